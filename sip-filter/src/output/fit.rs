//! Texts made to fit: cut off with a mark, or over several lines.

use std::borrow::Cow;

use ratatui::text::Line;

/// Stands for what was cut off.
const MARK: char = '…';

/// How many columns a text takes.
pub(crate) fn width(text: &str) -> u16 {
    u16::try_from(Line::raw(text).width()).unwrap_or(u16::MAX)
}

/// The beginning of a text, as much of it as so many columns have room for.
pub(crate) fn beginning(text: &str, columns: u16) -> Cow<'_, str> {
    if width(text) <= columns {
        return text.into();
    }
    let mut left = columns.saturating_sub(1);
    let fits = |character: &char| takes(*character, &mut left);
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.push(MARK);
    cut.into()
}

/// Its end.
pub(crate) fn end(text: &str, columns: u16) -> Cow<'_, str> {
    if width(text) <= columns {
        return text.into();
    }
    let mut left = columns.saturating_sub(1);
    let fits = |character: &char| takes(*character, &mut left);
    let cut: Vec<_> = text.chars().rev().take_while(fits).collect();
    let cut = std::iter::once(MARK).chain(cut.into_iter().rev());
    cut.collect::<String>().into()
}

/// Whether there is room for a character in what is left, which is less by it then.
fn takes(character: char, left: &mut u16) -> bool {
    let rest = left.checked_sub(columns_of(character));
    *left = rest.unwrap_or(0);
    rest.is_some()
}

/// All of it in lines of so many columns, at least one, parted at blanks where there are some.
pub(crate) fn wrapped(text: &str, columns: u16) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for character in text.chars() {
        if !line.is_empty() && width(&line) + columns_of(character) > columns {
            if character == ' ' {
                lines.push(std::mem::take(&mut line));
                continue;
            }
            let word = line.rfind(' ').map(|blank| line.split_off(blank + 1));
            lines.push(std::mem::replace(&mut line, word.unwrap_or_default()));
        }
        line.push(character);
    }
    lines.push(line);
    lines
}

fn columns_of(character: char) -> u16 {
    width(character.encode_utf8(&mut [0; 4]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_off_with_a_mark() {
        for (text, columns, first, last) in [
            ("OPTIONS", 7, "OPTIONS", "OPTIONS"),
            ("OPTIONS", 6, "OPTIO…", "…TIONS"),
            ("OPTIONS", 1, "…", "…"),
            ("世界世界", 6, "世界…", "…世界"),
            ("", 3, "", ""),
        ] {
            assert_eq!(beginning(text, columns), first, "{text} {columns}");
            assert_eq!(end(text, columns), last, "{text} {columns}");
        }
    }

    #[test]
    fn long_texts_go_on_in_the_next_line() {
        for (text, columns, expected) in [
            ("", 5, &[""][..]),
            ("INVITE 7", 8, &["INVITE 7"]),
            ("INVITE 7, BYE 7", 9, &["INVITE 7,", "BYE 7"]),
            ("INVITE 7, BYE 7", 12, &["INVITE 7, ", "BYE 7"]),
            ("sip:100@192.0.2.10", 7, &["sip:100", "@192.0.", "2.10"]),
            ("a  b", 3, &["a  ", "b"]),
            ("世界", 1, &["世", "界"]),
        ] {
            assert_eq!(wrapped(text, columns), expected, "{text} {columns}");
        }
    }
}
