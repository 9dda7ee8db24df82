//! Text that others have written, made harmless: what a terminal or a page would take for more than
//! text is written out.
//!
//! Names of tools come out of files, and from whoever wrote them. Escape sequences, control characters
//! and characters that are not seen or that turn others around are shown as `\u{1b}`: what is there is
//! seen, and does nothing.

use std::{borrow::Cow, fmt::Write as _};

/// For a terminal, or any other place where text is read as it is.
pub fn terminal(text: &str) -> Cow<'_, str> {
    if is_harmless(text) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match is_hostile(character) {
            true => escaped.extend(character.escape_unicode()),
            false => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

/// What a spreadsheet takes for a formula when a cell begins with it, and what marks a cell as text.
const FORMULA: [char; 5] = ['=', '+', '-', '@', TEXT];
const TEXT: char = '\'';

/// For a cell of a CSV file, which is read in a terminal and opened as a spreadsheet: what [`terminal`]
/// writes out is written out, and what would be computed is marked as text by an apostrophe before it
/// (OWASP, CSV Injection). A name that begins with an apostrophe gets another one, so that [`from_cell`]
/// finds each name again.
pub fn cell(text: &str) -> Cow<'_, str> {
    let text = terminal(text);
    match text.starts_with(FORMULA) {
        true => Cow::Owned(format!("{TEXT}{text}")),
        false => text,
    }
}

/// The text of such a cell.
pub fn from_cell(cell: &str) -> String {
    let mut left = match cell.strip_prefix(TEXT) {
        Some(text) if text.starts_with(FORMULA) => text,
        _ => cell,
    };
    let mut text = String::with_capacity(left.len());
    while let Some(at) = left.find(BEGIN) {
        let (before, written) = left.split_at(at);
        text.push_str(before);
        let (character, behind) = match read(written) {
            Some(read) => read,
            None => ('\\', &written[1..]),
        };
        text.push(character);
        left = behind;
    }
    text.push_str(left);
    text
}

/// What begins a character that was written out.
const BEGIN: &str = "\\u{";

/// The character that a text begins with as [`terminal`] writes it out, and what is behind it. One that
/// need not be written out was not.
fn read(text: &str) -> Option<(char, &str)> {
    let (code, behind) = text.strip_prefix(BEGIN)?.split_once('}')?;
    let character = char::from_u32(u32::from_str_radix(code, 16).ok()?)?;
    let is_so = is_hostile(character)
        && character
            .escape_unicode()
            .eq(format!("{BEGIN}{code}}}").chars());
    is_so.then_some((character, behind))
}

/// For the text of an element and for an attribute in quotation marks, in HTML and XML; with what
/// [`terminal`] writes out.
pub fn html(text: &str) -> String {
    let text = terminal(text);
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' | '<' | '>' | '"' | '\'' => {
                // Writing to a string does not fail.
                let _ = write!(escaped, "&#{};", u32::from(character));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// Whether all of a text is to be read and nothing else.
pub fn is_harmless(text: &str) -> bool {
    // Nearly all of it is ASCII that is seen.
    text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.chars().any(is_hostile)
}

/// Whether a character does something, hides, or hides what others do.
pub fn is_hostile(character: char) -> bool {
    match character {
        // C0, DEL and C1 (Unicode's general category Cc), line ends and tabulators among them.
        _ if character.is_control() => true,
        // Soft hyphen, combining grapheme joiner, Arabic letter mark, Hangul fillers, Khmer vowels,
        // Mongolian separators: not seen.
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{3164}'
        | '\u{ffa0}' => true,
        // Zero-width characters and marks of direction; line and paragraph separators, embeddings and
        // overrides; joiners, isolates and other controls of format (Unicode chapter 23).
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        // Variation selectors, byte order mark, interlinear annotations and what XML has no place for.
        '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{fffe}'
        | '\u{ffff}' => true,
        // Tags, and more variation selectors.
        '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_something_is_written_out() {
        for (text, expected) in [
            ("friendly-scanner", "friendly-scanner"),
            ("Größe 大きさ 🙂", "Größe 大きさ 🙂"),
            ("\x1b]0;owned\x07", "\\u{1b}]0;owned\\u{7}"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("a\r\nb\tc\0\u{7f}", "a\\u{d}\\u{a}b\\u{9}c\\u{0}\\u{7f}"),
            ("\u{202e}txt.exe\u{2066}", "\\u{202e}txt.exe\\u{2066}"),
            ("a\u{200b}b\u{feff}c\u{ad}", "a\\u{200b}b\\u{feff}c\\u{ad}"),
            ("\u{2028}\u{e0041}\u{fe0f}", "\\u{2028}\\u{e0041}\\u{fe0f}"),
        ] {
            assert_eq!(terminal(text), expected);
        }
        for code in (0x202a..=0x202e).chain(0x2066..=0x2069).chain(0x80..=0x9f) {
            let character = char::from_u32(code).unwrap();
            assert!(
                !terminal(&character.to_string()).contains(character),
                "{code:x}"
            );
        }
    }

    #[test]
    fn no_cell_does_anything_and_each_is_found_again() {
        for (text, written) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "\\u{9}=1"),
            ("'=1", "''=1"),
            ("'quoted'", "''quoted'"),
            ("a=1", "a=1"),
            ("", ""),
            ("=\u{1b}[2J\u{202e}b", "'=\\u{1b}[2J\\u{202e}b"),
            (
                "\\u{41}\\u{}\\u{x\\u{001b}\\u{1b",
                "\\u{41}\\u{}\\u{x\\u{001b}\\u{1b",
            ),
        ] {
            assert_eq!(cell(text), written);
            assert_eq!(from_cell(written), text);
        }
        // Whoever writes such text by hand marks nothing.
        for cell in ["=1", "'quoted"] {
            assert_eq!(from_cell(cell), cell);
        }
    }

    #[test]
    fn no_markup_is_left() {
        let text = "</title><script>alert('x' & \"y\")</script>\u{1b}[31m";
        let escaped = html(text);
        assert!(
            !escaped.contains(['<', '>', '"', '\'', '\x1b']),
            "{escaped}"
        );
        assert_eq!(html("a & b"), "a &#38; b");
    }
}
