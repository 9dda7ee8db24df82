//! What people and programs read: tables, JSON, CSV, and the live table of `run`.
//!
//! Everything here turns a snapshot into text; nothing reads the kernel. [`print()`] is the
//! one way to standard output, but for the screen of [`top`](crate::top).

pub mod csv;
pub(crate) mod fit;
pub mod json;
pub mod live;
pub mod status;
pub mod table;

use std::{
    env,
    io::{self, BufWriter, ErrorKind, IsTerminal, Write},
};

use anyhow::{Context, Result};

/// How something is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns, for people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// Comma-separated values with a header line.
    Csv,
}

/// The room and the means that a table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// In columns.
    pub width: usize,
    /// In lines.
    pub height: usize,
    /// Whether to colour.
    pub colour: bool,
}

impl Terminal {
    /// What is assumed where there is no terminal: the usual size, without colour.
    pub const NONE: Self = Self {
        width: 80,
        height: 24,
        colour: false,
    };

    /// Standard output's, as it is now. Colour is only for terminals, and not where NO_COLOR
    /// is set to anything (no-color.org).
    pub fn stdout() -> Self {
        if !io::stdout().is_terminal() {
            return Self::NONE;
        }
        let size = terminal_size::terminal_size_of(io::stdout());
        let (width, height) = match size {
            Some((terminal_size::Width(width), terminal_size::Height(height))) => {
                (usize::from(width), usize::from(height))
            }
            None => (Self::NONE.width, Self::NONE.height),
        };
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            width,
            height,
            colour: !no_color && !dumb,
        }
    }
}

/// Writes to standard output. A reader that has had enough (`| head`) is no error.
///
/// # Errors
///
/// When standard output cannot be written for another reason.
pub fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    goes_on(write).map(|_| ())
}

/// The same; whether the reader goes on reading.
///
/// # Errors
///
/// As above.
pub fn goes_on(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<bool> {
    // Large, so that 65,536 sources are not as many system calls.
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write to standard output"),
    }
}
