//! Who holds an instance: the one `run` that watches it. A second one would detach under the first, so
//! it is refused, and told who is there. Commands that only change what is in force (`attach`,
//! `reload`) or end it (`detach`) need no hold.
//!
//! It is a lock on a file of the state folder, `STATE/INSTANCE.run`, which says whose it is. The kernel
//! releases it with the process, however that ends; a file without the lock means nothing.

use std::{
    env,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process, thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::{events::socket, stats::WallTime};

/// How long to ask whoever has the lock for its name, which is written right after.
const PATIENCE: Duration = Duration::from_millis(500);
const STEP: Duration = Duration::from_millis(10);

/// Who holds an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    /// The process.
    pub pid: u32,
    /// Since when.
    pub since: String,
    /// Its command line.
    pub command: String,
}

impl Holder {
    fn this() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let since = since.map_or(0, |since| since.as_nanos() as u64);
        let words = env::args_os().map(|word| word.to_string_lossy().into_owned());
        Self {
            pid: process::id(),
            since: WallTime::from_ns(since).to_string(),
            command: words.collect::<Vec<_>>().join(" "),
        }
    }
}

/// The hold, until it is dropped.
#[derive(Debug)]
pub(super) struct Hold {
    path: PathBuf,
    /// None where nothing can be kept, so that nobody can be told either.
    file: Option<File>,
    /// What the operator should know, if anything.
    pub(super) notice: Option<String>,
}

impl Hold {
    /// Takes it.
    ///
    /// # Errors
    ///
    /// When another process has it.
    pub(super) fn take(state: &Path, instance: &str) -> Result<Self> {
        let path = path(state, instance);
        let open = || -> io::Result<File> {
            fs::create_dir_all(state)?;
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            options.open(&path)
        };
        let mut notice = None;
        loop {
            let file = match open() {
                Ok(file) => file,
                Err(error) => {
                    notice = Some(format!(
                        "cannot write {}: {error}; a second run is not told of this one: name \
                         another folder with --state",
                        path.display()
                    ));
                    break;
                }
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    refuse(&path, instance)?;
                    continue;
                }
                // Not every file system has locks.
                Err(TryLockError::Error(_)) => break,
            }
            // Whoever had it before has removed its file: one that nobody finds any more locks nothing.
            if !is_at(&file, &path) {
                continue;
            }
            write(&file, &Holder::this())
                .with_context(|| format!("cannot write {}", path.display()))?;
            let file = Some(file);
            return Ok(Self { path, file, notice });
        }
        let file = None;
        Ok(Self { path, file, notice })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.file.is_some() {
            // While it is still locked, so that it is no other process's.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Who holds the instance, if anybody does.
pub(super) fn holder(state: &Path, instance: &str) -> Option<Holder> {
    let mut file = File::open(path(state, instance)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {}
        _ => return None,
    }
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    toml::from_str(&text).ok()
}

/// Removes what a holder that was killed has left: its file, and the socket of its events. Of no use to
/// anybody, they are not worth a failure.
pub(super) fn clear(state: &Path, instance: &str) {
    let path = path(state, instance);
    let Ok(file) = File::open(&path) else {
        return;
    };
    // While it is locked, so that nobody makes a socket there.
    if file.try_lock().is_ok() && is_at(&file, &path) {
        let _ = fs::remove_file(socket::path(state, instance));
        let _ = fs::remove_file(&path);
    }
}

fn refuse(path: &Path, instance: &str) -> Result<()> {
    let state = path.parent().unwrap_or(Path::new("/"));
    for _ in 0..PATIENCE.as_millis() / STEP.as_millis() {
        if let Some(Holder {
            pid,
            since,
            command,
        }) = holder(state, instance)
        {
            bail!(
                "the filter {instance} is held by process {pid} since {since} ({command}); change \
                 what it does with `sip-filter attach` or `reload`, end it (kill {pid}), or run \
                 another filter with --name"
            );
        }
        if !is_locked(path) {
            // Its holder has just ended.
            return Ok(());
        }
        thread::sleep(STEP);
    }
    bail!(
        "another process holds {}, and does not say who it is; end it first",
        path.display()
    )
}

fn is_locked(path: &Path) -> bool {
    File::open(path)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Whether the file is the one that is found there.
fn is_at(file: &File, path: &Path) -> bool {
    let same =
        |file: fs::Metadata, at: fs::Metadata| (file.dev(), file.ino()) == (at.dev(), at.ino());
    file.metadata()
        .and_then(|file| Ok(same(file, fs::metadata(path)?)))
        .unwrap_or(false)
}

fn write(mut file: &File, holder: &Holder) -> Result<()> {
    let text = toml::to_string(holder)?;
    file.set_len(0)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}

fn path(state: &Path, instance: &str) -> PathBuf {
    state.join(format!("{instance}.run"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_and_the_next_is_told_who() {
        let state = env::temp_dir().join(format!("sip-filter-hold-{}", process::id()));
        assert_eq!(holder(&state, "edge"), None);
        let hold = Hold::take(&state, "edge").unwrap();
        assert_eq!(
            holder(&state, "edge").map(|holder| holder.pid),
            Some(process::id())
        );
        let refused = Hold::take(&state, "edge").unwrap_err().to_string();
        assert!(
            refused.contains(&format!("process {}", process::id())),
            "{refused}"
        );
        drop(Hold::take(&state, "another").unwrap());
        drop(hold);
        assert_eq!(holder(&state, "edge"), None);
        assert_eq!(fs::read_dir(&state).unwrap().count(), 0, "something stays");

        let hold = Hold::take(&state, "edge").unwrap();
        let left = [path(&state, "edge"), socket::path(&state, "edge")];
        fs::write(&left[1], "").unwrap();
        clear(&state, "edge");
        assert!(left.iter().all(|path| path.exists()), "it is held");
        drop(hold);
        // Who is killed removes nothing.
        fs::write(&left[0], "").unwrap();
        clear(&state, "edge");
        assert_eq!(fs::read_dir(&state).unwrap().count(), 0, "something stays");
        drop(Hold::take(&state, "edge").unwrap());
        fs::remove_dir(&state).unwrap();
    }
}
