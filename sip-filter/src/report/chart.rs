//! A figure as a picture: bars made of parts, as SVG.
//!
//! The colours are marks for the page's style sheet, which has others for dark screens and for paper:
//! [`COLOURS`] and [`INK`] are what it looks for, and what is seen without it.

use anyhow::{Result, anyhow};
use plotters::{
    chart::ChartBuilder,
    coord::ranged1d::{IntoSegmentedCoord as _, SegmentValue},
    drawing::IntoDrawingArea as _,
    element::Rectangle,
    prelude::SVGBackend,
    style::{Color as _, IntoFont as _, RGBColor, TextStyle},
};

use super::layout::Figure;
use crate::{history::OTHER, number::thousands};

/// In pixels, before the page makes it fit.
const SIZE: (u32, u32) = (900, 320);
const FONT: (&str, u32) = ("sans-serif", 14);
/// How wide a mark's letters are about, and how much room there is for all marks, in pixels.
const LETTER: usize = 8;
const X_ROOM: usize = 780;
/// Marks of the other axis.
const Y_MARKS: usize = 6;
/// Between two bars, in pixels on each side, and for how many bars there is room for that.
const GAP: u32 = 1;
const APART: usize = 150;

/// Of text and axes.
pub const INK: (u8, u8, u8) = (0x11, 0x11, 0x11);
/// Of lines behind the bars.
pub const GRID: (u8, u8, u8) = (0xdd, 0xdd, 0xdd);
/// Of the parts, from the axis up: those of Okabe and Ito, which are told apart by whoever sees less
/// colours than others, and a few more.
pub const COLOURS: [(u8, u8, u8); 11] = [
    (0x00, 0x72, 0xb2),
    (0xe6, 0x9f, 0x00),
    (0x00, 0x9e, 0x73),
    (0xd5, 0x5e, 0x00),
    (0xcc, 0x79, 0xa7),
    (0x56, 0xb4, 0xe9),
    (0x88, 0x22, 0x55),
    (0xf0, 0xe4, 0x42),
    (0x33, 0x22, 0x88),
    (0x11, 0x77, 0x33),
    (0x99, 0x99, 0x99),
];

/// A colour as SVG and style sheets write it.
pub fn hex((red, green, blue): (u8, u8, u8)) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

fn rgb((red, green, blue): (u8, u8, u8)) -> RGBColor {
    RGBColor(red, green, blue)
}

/// The colour of a part; what is not told apart has the last one.
pub fn colour(place: usize, name: &str) -> (u8, u8, u8) {
    match name {
        OTHER => COLOURS[COLOURS.len() - 1],
        _ => COLOURS[place % COLOURS.len()],
    }
}

/// Draws a figure.
///
/// # Errors
///
/// When it cannot be drawn, which is a fault of the program.
pub fn svg(figure: &Figure) -> Result<String> {
    let mut text = String::new();
    draw(figure, &mut text).map_err(|error| anyhow!("cannot draw a figure: {error}"))?;
    Ok(text)
}

fn draw(figure: &Figure, text: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let highest = figure.heights().into_iter().fold(0.0, f64::max);
    // An empty figure has an axis, too.
    let top = if highest > 0.0 { highest * 1.05 } else { 1.0 };
    let periods = figure.starts.len();
    let longest = figure.starts.iter().map(String::len).max().unwrap_or(0);
    let digits = usize::from(top < Y_MARKS as f64 * 2.0);
    let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
    let ink = rgb(INK);
    let font: TextStyle<'_> = FONT.into_font().color(&ink);
    let mut chart = ChartBuilder::on(&root)
        .margin(8)
        .margin_right(40)
        .x_label_area_size(48)
        .y_label_area_size(96)
        // The last one is a part of a segmented range.
        .build_cartesian_2d((0..periods.saturating_sub(1)).into_segmented(), 0.0..top)?;
    let start = |place: &SegmentValue<usize>| match place {
        SegmentValue::CenterOf(place) => figure.starts.get(*place).cloned().unwrap_or_default(),
        _ => String::new(),
    };
    let height = |height: &f64| match digits {
        0 => thousands(height.round() as u64),
        digits => format!("{height:.digits$}"),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(rgb(GRID).mix(0.0))
        .bold_line_style(rgb(GRID))
        .axis_style(ink)
        .label_style(font.clone())
        .axis_desc_style(font)
        .x_desc(figure.x_title)
        .y_desc(&figure.y_title)
        .x_labels(periods.min(X_ROOM / (LETTER * (longest + 1))).max(1))
        .y_labels(Y_MARKS)
        .x_label_formatter(&start)
        .y_label_formatter(&height)
        .draw()?;
    let gap = if periods <= APART { GAP } else { 0 };
    let mut bottoms = vec![0.0; periods];
    for (at, series) in figure.series.iter().enumerate() {
        let style = rgb(colour(at, &series.name)).filled();
        let bars = series.values.iter().zip(&mut bottoms).enumerate();
        let bars = bars.filter(|(_, (value, _))| **value > 0.0);
        let bars = bars.map(|(place, (value, bottom))| {
            let from = *bottom;
            *bottom += value;
            let corners = [
                (SegmentValue::Exact(place), from),
                (SegmentValue::Exact(place + 1), *bottom),
            ];
            let mut bar = Rectangle::new(corners, style);
            bar.set_margin(0, 0, gap, gap);
            bar
        });
        chart.draw_series(bars)?;
    }
    root.present()?;
    drop(chart);
    drop(root);
    Ok(())
}
