//! What stands in one place of a listing. A listing may have a million of them: they borrow what the row
//! has.

use std::{borrow::Cow, cmp::Ordering, fmt, net::IpAddr, sync::Arc};

use super::WallTime;

/// What stands in one place of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// A count.
    Number(u64),
    /// An identifier made of digits, which is no count.
    Identifier(u64),
    /// A text.
    Text(Cow<'a, str>),
    /// Several names.
    List(Names<'a>),
    /// An address.
    Address(IpAddr),
    /// A moment.
    Time(WallTime),
}

/// Several names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Names<'a> {
    /// Of others, who may have written anything.
    Theirs(&'a [Arc<str>]),
    /// Our own.
    Ours(&'a [&'static str]),
    /// Our own, of things with a number each that is not told.
    Of(&'a [(&'static str, u64)]),
    /// Our own, each with its number.
    Counted(&'a [(&'static str, u64)]),
}

impl Cell<'_> {
    /// Nothing, where a row does not have what the column is of.
    pub const NONE: Self = Self::Text(Cow::Borrowed(""));

    /// Which of two cells of a column is listed first: the larger count, the later moment,
    /// the name, address or identifier that comes first, and what is empty last.
    pub(super) fn listed_before(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(this), Self::Number(other)) => other.cmp(this),
            (Self::Time(this), Self::Time(other)) => other.cmp(this),
            (Self::Identifier(this), Self::Identifier(other)) => this.cmp(other),
            (Self::Text(this), Self::Text(other)) => {
                (this.is_empty(), this).cmp(&(other.is_empty(), other))
            }
            (Self::List(this), Self::List(other)) => {
                (this.is_empty(), this).cmp(&(other.is_empty(), other))
            }
            (Self::Address(this), Self::Address(other)) => this.cmp(other),
            // What is not known is an empty text in a column of any other kind.
            (Self::Text(_), _) => Ordering::Greater,
            (_, Self::Text(_)) => Ordering::Less,
            // A column holds cells of one kind.
            _ => Ordering::Equal,
        }
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::NONE, Self::from)
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl Names<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Theirs(names) => names.is_empty(),
            Self::Ours(names) => names.is_empty(),
            Self::Of(names) | Self::Counted(names) => names.is_empty(),
        }
    }

    /// Writes them, with something between every two; `harmless` writes a name that may be anything.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write<W: fmt::Write>(
        self,
        out: &mut W,
        between: &str,
        harmless: impl Fn(&mut W, &str) -> fmt::Result,
    ) -> fmt::Result {
        /// Writes each with `write`.
        fn each<W: fmt::Write, T>(
            out: &mut W,
            between: &str,
            names: &[T],
            write: impl Fn(&mut W, &T) -> fmt::Result,
        ) -> fmt::Result {
            for (at, name) in names.iter().enumerate() {
                if at > 0 {
                    out.write_str(between)?;
                }
                write(out, name)?;
            }
            Ok(())
        }
        match self {
            Self::Theirs(names) => each(out, between, names, |out, name| harmless(out, name)),
            Self::Ours(names) => each(out, between, names, |out, name| out.write_str(name)),
            Self::Of(names) => each(out, between, names, |out, (name, _)| out.write_str(name)),
            Self::Counted(names) => each(out, between, names, |out, (name, packets)| {
                out.write_str(name)?;
                out.write_char('=')?;
                out.write_str(itoa::Buffer::new().format(*packets))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_listed_behind_every_kind_of_cell() {
        let names = ["a", "b"];
        for cell in [
            Cell::Number(0),
            Cell::Identifier(64_500),
            Cell::from("name"),
            Cell::List(Names::Ours(&names)),
            Cell::Address(IpAddr::from([192, 0, 2, 1])),
            Cell::Time(WallTime::from_ns(1)),
        ] {
            assert_eq!(cell.listed_before(&Cell::NONE), Ordering::Less, "{cell:?}");
            assert_eq!(
                Cell::NONE.listed_before(&cell),
                Ordering::Greater,
                "{cell:?}"
            );
        }
    }
}
