//! A whole number and its unit, as sizes and spans of time are written.

/// A unit's name, and how many of the smallest ones it is.
pub(super) type Unit = (&'static str, u64);

/// Why a text cannot be counted.
pub(super) enum Wrong {
    /// It is no number with one of the units.
    Form,
    /// It is nothing.
    Nothing,
    /// It is more than can be counted.
    TooMuch,
}

/// What is written, counted in the smallest unit.
pub(super) fn counted(text: &str, units: &[Unit]) -> Result<u64, Wrong> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = units.iter().find(|(name, _)| *name == unit);
    let (Ok(number), Some((_, each))) = (number.parse::<u64>(), unit) else {
        return Err(Wrong::Form);
    };
    match number.checked_mul(*each) {
        Some(0) => Err(Wrong::Nothing),
        Some(count) => Ok(count),
        None => Err(Wrong::TooMuch),
    }
}

/// The same in the largest unit of which it is a whole number. The units are from the largest on.
pub(super) fn written(count: u64, units: &[Unit]) -> String {
    let whole = |(_, each): &&Unit| count.is_multiple_of(*each);
    let largest = units.iter().find(whole).or(units.last());
    largest.map_or_else(String::new, |(name, each)| {
        format!("{}{name}", count / each)
    })
}
