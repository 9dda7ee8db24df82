//! A report as one page that needs nothing else: pictures and style are in it, no script, no address.
//!
//! It is well-formed XML, too, so that any tool can read it.

use std::fmt::Write as _;

use anyhow::Result;

use super::{
    chart::{self, COLOURS, GRID, INK},
    layout::{self, Figure, Table},
    numbers::Report,
};
use crate::escape::html as escaped;

/// For dark screens: of text, of the background, of lines, and of those parts that would not be seen.
const DARK_INK: &str = "#e8e8e8";
const DARK_PAPER: &str = "#16181c";
const DARK_GRID: &str = "#3a3f46";
const DARK_COLOURS: [(usize, &str); 4] = [
    (0, "#4da3dd"),
    (6, "#d0659b"),
    (8, "#8f7fe8"),
    (9, "#4cb86f"),
];

/// Writes the page.
///
/// # Errors
///
/// When a picture cannot be drawn, which is a fault of the program.
pub fn page(report: &Report, made: &str) -> Result<String> {
    let title = escaped(&layout::title(report));
    let mut page = format!(
        "<!DOCTYPE html>\n\
         <html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n\
         <meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n\
         <title>{title}</title>\n<style>\n{}</style>\n</head>\n<body>\n<h1>{title}</h1>\n\
         <p>{}.</p>\n",
        style(),
        escaped(&layout::summary(report).join("; "))
    );
    for note in &report.notes {
        page += &format!("<p class=\"note\">Note: {}.</p>\n", escaped(note));
    }
    for figure in layout::figures(report) {
        add_figure(&mut page, &figure)?;
    }
    for table in layout::tables(report) {
        add_table(&mut page, &table);
    }
    page += &format!("<footer>Made by sip-filter, {}.</footer>\n", escaped(made));
    page += "</body>\n</html>\n";
    Ok(page)
}

/// The style sheet. Colours of the pictures are changed by what they are, so that a picture alone has
/// colours, too.
fn style() -> String {
    let mut style = String::from(
        ":root { --ink: #111; --paper: #fff; --grid: #ddd; }\n\
         body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; \
         padding: 0 1rem; color: var(--ink); background: var(--paper); }\n\
         h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }\n\
         p.note, figcaption, footer { font-size: .9rem; opacity: .85; } footer { margin-top: 2.5rem; }\n\
         figure { margin: 0; } figure > svg { width: 100%; height: auto; }\n\
         ul.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1rem; }\n\
         ul.legend svg { margin-right: .35rem; }\n\
         div.numbers { overflow-x: auto; }\n\
         table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }\n\
         th, td { padding: .15rem .7rem; text-align: right; border-bottom: 1px solid var(--grid); }\n\
         th.text, td.text { text-align: left; }\n\
         td, th.text, figure + div.numbers td.text { white-space: nowrap; }\n\
         td.text { white-space: normal; overflow-wrap: anywhere; min-width: 5rem; }\n",
    );
    let changed = |colour, other: &str| {
        let colour = chart::hex(colour);
        format!(
            "svg [fill=\"{colour}\"] {{ fill: {other}; }} \
             svg [stroke=\"{colour}\"] {{ stroke: {other}; }}\n"
        )
    };
    style += &changed(INK, "var(--ink)");
    style += &changed(GRID, "var(--grid)");
    style += &format!(
        "@media screen and (prefers-color-scheme: dark) {{\n\
         :root {{ --ink: {DARK_INK}; --paper: {DARK_PAPER}; --grid: {DARK_GRID}; }}\n"
    );
    for (place, other) in DARK_COLOURS {
        style += &changed(COLOURS[place], other);
    }
    // A picture of a telephone's width has no letters that can be read.
    style += "}\n\
              @media screen and (max-width: 40rem) { figure { overflow-x: auto; } \
              figure > svg { min-width: 40rem; } figure > svg text { font-size: 14px; } \
              th, td { padding: .15rem .4rem; } }\n\
              @media print { body { max-width: none; margin: 0; font-size: 11pt; } \
              figure, tr { break-inside: avoid; } h2, p.note { break-after: avoid; } \
              div.numbers { overflow: visible; } \
              table { font-size: 8pt; } th, td { padding: .1rem .4rem; } }\n";
    style
}

fn add_figure(page: &mut String, figure: &Figure) -> Result<()> {
    let title = escaped(&figure.title);
    let picture = chart::svg(figure)?;
    let picture = picture.replacen(
        "<svg ",
        &format!("<svg role=\"img\" aria-label=\"{title}\" "),
        1,
    );
    *page += &format!("<section>\n<h2>{title}</h2>\n<figure>\n{picture}\n");
    if figure.series.len() > 1 {
        *page += "<ul class=\"legend\">";
        for (place, series) in figure.series.iter().enumerate() {
            let colour = chart::hex(chart::colour(place, &series.name));
            let name = escaped(&series.name);
            *page += &format!(
                "<li><svg width=\"12\" height=\"12\"><rect width=\"12\" height=\"12\" \
                 fill=\"{colour}\"/></svg>{name}</li>"
            );
        }
        *page += "</ul>\n";
    }
    *page += &format!(
        "<figcaption>{}</figcaption>\n</figure>\n",
        escaped(&figure.note)
    );
    let head = figure.head();
    add_rows(page, head.iter().map(String::as_str), &figure.rows(), 1);
    *page += "</section>\n";
    Ok(())
}

fn add_table(page: &mut String, table: &Table) {
    let (title, note) = (escaped(&table.title), escaped(&table.note));
    *page += &format!("<section>\n<h2>{title}</h2>\n<p class=\"note\">{note}</p>\n");
    add_rows(page, table.head.iter().copied(), &table.rows, table.texts);
    *page += "</section>\n";
}

fn add_rows<'a>(
    page: &mut String,
    head: impl Iterator<Item = &'a str>,
    rows: &[Vec<String>],
    texts: usize,
) {
    let class = |place| if place < texts { " class=\"text\"" } else { "" };
    // Writing to a string does not fail.
    *page += "<div class=\"numbers\"><table>\n<thead><tr>";
    for (place, name) in head.enumerate() {
        let _ = write!(page, "<th{}>{}</th>", class(place), escaped(name));
    }
    *page += "</tr></thead>\n<tbody>\n";
    for row in rows {
        *page += "<tr>";
        for (place, cell) in row.iter().enumerate() {
            let _ = write!(page, "<td{}>{}</td>", class(place), escaped(cell));
        }
        *page += "</tr>\n";
    }
    *page += "</tbody></table></div>\n";
}
