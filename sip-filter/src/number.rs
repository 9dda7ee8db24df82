//! Numbers as people read them.

use std::fmt;

/// A number with its thousands separated: 1,234,567.
pub fn thousands(number: u64) -> String {
    let mut text = String::new();
    // A string takes whatever is written.
    let _ = write_thousands(&mut text, number);
    text
}

/// Writes it.
///
/// # Errors
///
/// Those of `out`.
pub fn write_thousands(out: &mut impl fmt::Write, mut number: u64) -> fmt::Result {
    /// 18,446,744,073,709,551,615.
    const LONGEST: usize = 26;
    let mut text = [0; LONGEST];
    let mut place = LONGEST;
    loop {
        place -= 1;
        text[place] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
        if (LONGEST - place) % 4 == 3 {
            place -= 1;
            text[place] = b',';
        }
    }
    out.write_str(str::from_utf8(&text[place..]).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345, "12,345"),
            (123_456, "123,456"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(thousands(number), text);
        }
    }
}
