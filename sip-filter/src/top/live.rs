//! A source as it is listed here: what was counted of it, and how much comes a second.

use crate::stats::{Cell, Column, Names, Row, Source};

/// A source, and how fast it sends.
#[derive(Clone, Debug)]
pub(super) struct Live {
    /// What was counted of it.
    pub(super) source: Source,
    /// Packets a second since the reading before.
    pub(super) rate: u64,
}

/// A column of counts.
macro_rules! count {
    ($name:ident, $rank:literal) => {
        Column {
            name: stringify!($name),
            rank: $rank,
            cell: |row| Cell::Number(u64::from(row.source.$name)),
        }
    };
}

impl Row for Live {
    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            name: "source",
            rank: 0,
            cell: |row| Cell::Address(row.source.source),
        },
        Column {
            name: "rate",
            rank: 1,
            cell: |row| Cell::Number(row.rate),
        },
        count!(packets, 0),
        count!(scanner, 3),
        count!(dropped, 2),
        count!(would_drop, 6),
        count!(bytes, 10),
        count!(ports, 8),
        Column {
            name: "methods",
            rank: 7,
            cell: |row| Cell::List(Names::Of(&row.source.methods)),
        },
        Column {
            name: "tools",
            rank: 4,
            cell: |row| Cell::List(Names::Theirs(&row.source.tools)),
        },
        Column {
            name: "country",
            rank: 6,
            cell: |row| row.source.location.country.as_deref().into(),
        },
        Column {
            name: "system",
            rank: 9,
            cell: |row| row.source.location.system().into(),
        },
        Column {
            name: "behaviours",
            rank: 7,
            cell: |row| Cell::List(Names::Ours(&row.source.behaviours)),
        },
        Column {
            name: "reasons",
            rank: 11,
            cell: |row| Cell::List(Names::Of(&row.source.reasons)),
        },
        Column {
            name: "first_seen",
            rank: 12,
            cell: |row| Cell::Time(row.source.first_seen),
        },
        Column {
            name: "last_seen",
            rank: 5,
            cell: |row| Cell::Time(row.source.last_seen),
        },
    ];
}
