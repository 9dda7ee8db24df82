//! Rows and columns: what a listing shows and can be sorted by, declared once for tables,
//! CSV and `--sort`.

use anyhow::{Result, anyhow};

use super::{ByBehaviour, ByReason, Cell, Method, Names, Port, Source, Tool, Totals};

/// One column of a listing of `R`.
pub struct Column<R> {
    /// Its name in CSV, as in JSON.
    pub name: &'static str,
    /// How soon a table that is too wide does without it; 0 stays whatever the width.
    pub rank: u8,
    /// What stands in it.
    pub cell: fn(&R) -> Cell<'_>,
}

/// What can be listed.
pub trait Row: Sized + 'static {
    /// Its columns; the first one identifies the row.
    const COLUMNS: &'static [Column<Self>];
}

/// The column that listings are sorted by unless the operator says otherwise.
pub const PACKETS: &str = "packets";

/// The column with that name.
///
/// # Errors
///
/// When there is none: the message names those that there are.
pub fn check_column<R: Row>(name: &str) -> Result<()> {
    match R::COLUMNS.iter().find(|column| column.name == name) {
        Some(_) => Ok(()),
        None => {
            let names: Vec<_> = R::COLUMNS.iter().map(|column| column.name).collect();
            Err(anyhow!(
                "there is no column `{name}` to sort by; there are {}",
                names.join(", ")
            ))
        }
    }
}

/// Sorts by the column with that name, and where it is equal by the first column. Leaves the
/// rows as they are when there is no such column.
pub fn sort<R: Row>(rows: &mut [R], name: &str) {
    let Some(column) = R::COLUMNS.iter().find(|column| column.name == name) else {
        return;
    };
    let identity = R::COLUMNS[0].cell;
    let keys = rows.iter().map(|row| ((column.cell)(row), identity(row)));
    let mut keyed: Vec<_> = keys.zip(0..rows.len()).collect();
    // No two rows have the same identity.
    keyed.sort_unstable_by(|((one, its), _), ((other, others), _)| {
        one.listed_before(other)
            .then_with(|| its.listed_before(others))
    });
    let order = keyed.into_iter().map(|(_, at)| at).collect();
    arrange(rows, order);
}

/// Puts rows into an order: at each place the row that stood at the one named there. Rows are long, so
/// each is moved once.
fn arrange<R>(rows: &mut [R], mut order: Vec<usize>) {
    for first in 0..order.len() {
        let mut place = first;
        // Along the circle of those that take each other's place; where that is done, all are in theirs.
        while order[place] != first {
            let next = order[place];
            rows.swap(place, next);
            order[place] = place;
            place = next;
        }
        order[place] = place;
    }
}

/// A column of counts.
macro_rules! count {
    ($name:ident, $rank:literal) => {
        Column {
            name: stringify!($name),
            rank: $rank,
            cell: |row| Cell::Number(u64::from(row.$name)),
        }
    };
}

impl Row for Totals {
    const COLUMNS: &'static [Column<Self>] = &[
        count!(packets, 0),
        count!(bytes, 0),
        count!(sip, 0),
        count!(requests, 0),
        count!(responses, 0),
        count!(keepalives, 0),
        count!(malformed, 0),
        count!(scanner, 0),
        count!(dropped, 0),
        count!(would_drop, 0),
        count!(passed, 0),
        count!(fragments, 0),
        count!(unreadable, 0),
        count!(unlisted, 0),
    ];
}

impl Row for Method {
    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            name: "method",
            rank: 0,
            cell: |row| row.method.into(),
        },
        count!(packets, 0),
        count!(bytes, 3),
        count!(scanner, 1),
        count!(dropped, 0),
        count!(would_drop, 1),
    ];
}

impl Row for Tool {
    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            name: "tool",
            rank: 0,
            cell: |row| row.tool.as_str().into(),
        },
        Column {
            name: "kind",
            rank: 2,
            cell: |row| row.kind.into(),
        },
        count!(packets, 0),
        count!(dropped, 0),
        count!(would_drop, 1),
    ];
}

impl Row for Port {
    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            name: "port",
            rank: 0,
            cell: |row| Cell::Identifier(u64::from(row.port)),
        },
        count!(packets, 0),
        count!(scanner, 1),
        count!(dropped, 0),
    ];
}

impl Row for Source {
    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            name: "source",
            rank: 0,
            cell: |row| Cell::Address(row.source),
        },
        count!(packets, 0),
        count!(bytes, 7),
        count!(scanner, 2),
        count!(dropped, 1),
        count!(would_drop, 3),
        Column {
            name: "methods",
            rank: 6,
            cell: |row| Cell::List(Names::Counted(&row.methods)),
        },
        Column {
            name: "tools",
            rank: 4,
            cell: |row| Cell::List(Names::Theirs(&row.tools)),
        },
        Column {
            name: "behaviours",
            rank: 4,
            cell: |row| Cell::List(Names::Ours(&row.behaviours)),
        },
        Column {
            name: "reasons",
            rank: 9,
            cell: |row| Cell::List(Names::Counted(&row.reasons)),
        },
        count!(ports, 6),
        Column {
            name: "first_seen",
            rank: 8,
            cell: |row| Cell::Time(row.first_seen),
        },
        Column {
            name: "last_seen",
            rank: 5,
            cell: |row| Cell::Time(row.last_seen),
        },
        Column {
            name: "country",
            rank: 3,
            cell: |row| row.location.country.as_deref().into(),
        },
        Column {
            name: "asn",
            rank: 10,
            cell: |row| match row.location.asn {
                Some(number) => Cell::Identifier(u64::from(number)),
                None => Cell::NONE,
            },
        },
        Column {
            name: "as_name",
            rank: 11,
            cell: |row| row.location.as_name.as_deref().into(),
        },
    ];
}

impl Row for ByReason {
    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            name: "reason",
            rank: 0,
            cell: |row| row.reason.into(),
        },
        count!(packets, 0),
        count!(dropped, 0),
        count!(would_drop, 0),
    ];
}

impl Row for ByBehaviour {
    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            name: "behaviour",
            rank: 0,
            cell: |row| row.behaviour.into(),
        },
        count!(packets, 0),
        count!(dropped, 0),
        count!(would_drop, 0),
    ];
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::{geoip::Location, stats::tests::snapshot};

    #[test]
    fn what_is_not_known_is_listed_last() {
        let one = &snapshot().sources[0];
        // So many that a sort notices an order that is none.
        let mut rows: Vec<_> = (0..200_u32)
            .map(|n| Source {
                source: IpAddr::from([192, 0, 2, n as u8]),
                location: Location {
                    country: (n % 2 == 0).then(|| format!("A{}", n * 37 % 100)),
                    asn: (n % 3 > 0).then_some(n * 7_919 % 1_000),
                    as_name: None,
                },
                tools: vec!["sipvicious".into(); (n % 2) as usize].into(),
                ..one.clone()
            })
            .collect();
        sort(&mut rows, "asn");
        let numbers: Vec<_> = rows.iter().map(|row| row.location.asn).collect();
        assert!(numbers[..133].is_sorted() && numbers[..133].iter().all(Option::is_some));
        assert!(numbers[133..].iter().all(Option::is_none), "{numbers:?}");
        sort(&mut rows, "country");
        let known = |row: &Source| row.location.country.is_some();
        assert!(rows[..100].iter().all(known) && !rows[100..].iter().any(known));
        sort(&mut rows, "tools");
        assert!(rows[..100].iter().all(|row| !row.tools.is_empty()));
    }
}
