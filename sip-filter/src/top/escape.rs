//! Text that others have written, made harmless for a terminal.

use std::borrow::Cow;

/// The same text, with whatever does something, hides, or turns others around written out, as
/// `\u{1b}`: control characters (C0, DEL, C1), zero-width characters and marks of direction,
/// embeddings, overrides and isolates (Unicode chapter 23).
pub(super) fn terminal(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
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

fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_something_is_written_out_and_text_stays() {
        for (text, expected) in [
            ("sipvicious", "sipvicious"),
            ("Müller's 電話", "Müller's 電話"),
            ("\x1b[2J", "\\u{1b}[2J"),
            ("a\u{9b}31mb", "a\\u{9b}31mb"),
            ("a\u{202e}b\u{2066}c", "a\\u{202e}b\\u{2066}c"),
            ("a\u{200b}\r\n", "a\\u{200b}\\u{d}\\u{a}"),
        ] {
            assert_eq!(terminal(text), expected);
        }
    }
}
