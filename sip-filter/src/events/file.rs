//! Events in a file, one JSON object a line.

use std::{
    fs::OpenOptions,
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::{Context, Result};

use super::Event;

/// Writes events behind what is in the file. It is opened anew each time, so that it may be moved away
/// at any moment, as logrotate does.
///
/// # Errors
///
/// When it cannot be written.
pub fn append(path: &Path, events: &[Event]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let mut out = BufWriter::new(file);
        for event in events {
            serde_json::to_writer(&mut out, event)?;
            out.write_all(b"\n")?;
        }
        out.flush()
    };
    write().with_context(|| format!("cannot write events to {}", path.display()))
}
