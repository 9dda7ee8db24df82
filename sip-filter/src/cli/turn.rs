//! Taking turns: while one process changes what filters are given, others that would do so, or that
//! ask what they were given, wait. Without that, the file that was read first could be in force last,
//! and what is kept could be what another program was given.

use std::{
    fs::{File, TryLockError},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// How long to wait: a million entries of the lists take seconds.
const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(10);

/// A turn, until it is dropped. The kernel ends that of a process that is killed.
#[derive(Debug)]
pub(super) struct Turn {
    _folder: Option<File>,
}

impl Turn {
    /// Waits for one.
    ///
    /// # Errors
    ///
    /// When another process has not ended its own for a minute.
    pub(super) fn wait(state: &Path) -> Result<Self> {
        // Where nothing was ever kept, nothing can contradict what is in force.
        let Ok(folder) = File::open(state) else {
            return Ok(Self { _folder: None });
        };
        let end = Instant::now() + PATIENCE;
        loop {
            match folder.try_lock() {
                Ok(()) => {
                    return Ok(Self {
                        _folder: Some(folder),
                    });
                }
                Err(TryLockError::WouldBlock) if Instant::now() < end => thread::sleep(STEP),
                Err(TryLockError::WouldBlock) => bail!(
                    "another sip-filter has been changing what filters in {} are given for {} s; \
                     wait for it, or end it",
                    state.display(),
                    PATIENCE.as_secs()
                ),
                // Not every file system has locks.
                Err(TryLockError::Error(_)) => return Ok(Self { _folder: None }),
            }
        }
    }
}
