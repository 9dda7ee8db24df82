//! Events for other processes: `run` reads what the kernel reports, and gives it to whoever connects to
//! `STATE/INSTANCE.events`, a stream socket.
//!
//! Who connects gets the last events, one JSON object a line, an empty line, and then what comes.
//! Nothing that a client does reaches `run`; one that does not read is left behind, and told how many
//! events it has missed.

use std::{
    fs, io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::{
    io::AsyncWriteExt as _,
    net::{self, UnixListener},
    sync::broadcast::error::RecvError,
};

use super::Feed;
use crate::access;

/// Where an instance's events are.
pub fn path(state: &Path, instance: &str) -> PathBuf {
    state.join(format!("{instance}.events"))
}

/// Where events are given away, until it is dropped.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    listener: UnixListener,
}

impl Socket {
    /// Listens for an instance that this process holds, so that what is there is nobody's any more. The
    /// group may connect.
    ///
    /// # Errors
    ///
    /// When the socket cannot be made.
    pub fn listen(state: &Path, instance: &str, group: Option<u32>) -> Result<Self> {
        let path = path(state, instance);
        let listen = || -> io::Result<UnixListener> {
            fs::create_dir_all(state)?;
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => UnixListener::bind(&path),
            }
        };
        let listener = listen().with_context(|| format!("cannot make {}", path.display()))?;
        access::let_connect(&path, group)?;
        Ok(Self { path, listener })
    }

    /// Gives events to whoever connects, for ever.
    pub async fn serve(&self, feed: &Feed) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let feed = feed.clone();
                    // Whoever hangs up ends it.
                    tokio::spawn(async move { give(stream, &feed).await });
                }
                Err(error) => {
                    log::warn!("events: {error}");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Said to a reader that has not kept up.
#[derive(Serialize)]
struct Missed {
    missed: u64,
}

async fn give(mut stream: net::UnixStream, feed: &Feed) -> io::Result<()> {
    let (recent, mut live) = feed.follow();
    let mut lines = Vec::new();
    for event in recent {
        line(&mut lines, &*event)?;
    }
    lines.push(b'\n');
    stream.write_all(&lines).await?;
    loop {
        lines.clear();
        match live.recv().await {
            Ok(event) => line(&mut lines, &*event)?,
            Err(RecvError::Lagged(missed)) => line(&mut lines, &Missed { missed })?,
            Err(RecvError::Closed) => return Ok(()),
        }
        stream.write_all(&lines).await?;
    }
}

fn line(lines: &mut Vec<u8>, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *lines, value)?;
    lines.push(b'\n');
    Ok(())
}

/// Connects to the `run` of an instance; none where there is none.
///
/// # Errors
///
/// When it may not be asked.
pub fn connect(state: &Path, instance: &str) -> Result<Option<UnixStream>> {
    let path = path(state, instance);
    match UnixStream::connect(&path) {
        Ok(stream) => Ok(Some(stream)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("cannot connect to {}", path.display())),
    }
}
