//! Which key sorts by which column: the letter that is a capital in the column's title.

/// Each column's name and title. In no listing two of them have the same capital letter.
const TITLES: [(&str, &str); 20] = [
    ("source", "Source"),
    ("rate", "Rate/s"),
    ("packets", "Packets"),
    ("scanner", "sCanner"),
    ("dropped", "Dropped"),
    ("would_drop", "Would drop"),
    ("bytes", "Bytes"),
    ("ports", "pOrts"),
    ("methods", "Methods"),
    ("tools", "Tools"),
    ("country", "countrY"),
    ("system", "Autonomous system"),
    ("behaviours", "bEhaviours"),
    ("reasons", "reasoNs"),
    ("first_seen", "First seen"),
    ("last_seen", "Last seen"),
    ("method", "Method"),
    ("tool", "Tool"),
    ("kind", "Kind"),
    ("port", "pOrt"),
];

/// The title of a column.
pub(super) fn title(name: &'static str) -> &'static str {
    let found = TITLES.iter().find(|(column, _)| *column == name);
    found.map_or(name, |(_, title)| title)
}

/// The key of a column.
pub(super) fn of(name: &'static str) -> Option<char> {
    title(name).chars().find(char::is_ascii_uppercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        stats::{Method, Port, Row, Tool},
        top::live::Live,
    };

    #[test]
    fn each_column_has_a_key_of_its_own() {
        fn check<R: Row>() {
            let mut keys: Vec<_> = R::COLUMNS
                .iter()
                .map(|column| of(column.name).unwrap_or_else(|| panic!("{}", column.name)))
                .collect();
            keys.sort_unstable();
            let count = keys.len();
            keys.dedup();
            assert_eq!(keys.len(), count, "{keys:?}");
        }
        check::<Live>();
        check::<Method>();
        check::<Tool>();
        check::<Port>();
    }
}
