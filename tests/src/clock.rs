//! A clock of the machine's that a test sets, for one process alone: libfaketime is loaded into it and
//! answers whoever asks for the time of day. What counts from the boot on goes on as ever.

use std::{fs, path::PathBuf, process::Command};

use crate::namespace::Folder;

/// Where Debian has its libraries, and where this one is below a folder of theirs.
const LIBRARIES: &str = "/usr/lib";
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// Such a clock, which is right until it is set.
#[derive(Debug)]
pub struct Clock {
    folder: Folder,
    library: PathBuf,
}

impl Clock {
    /// A clock that is right.
    ///
    /// # Panics
    ///
    /// Without libfaketime.
    pub fn new() -> Self {
        let folders = fs::read_dir(LIBRARIES).into_iter().flatten().flatten();
        let mut libraries = folders.map(|folder| folder.path().join(LIBRARY));
        let library = libraries
            .find(|library| library.is_file())
            .unwrap_or_else(|| panic!("no {LIBRARY}: `cargo xtask setup --for test` installs it"));
        let clock = Self {
            folder: Folder::new(),
            library,
        };
        clock.set("+0");
        clock
    }

    /// Sets it so far from what is right, as libfaketime writes that: `-2h`, `+3d`.
    pub fn set(&self, from_now: &str) {
        // Renamed, so that it is never read while it is written.
        let new = self.folder.path().join("new");
        let set = fs::write(&new, from_now).and_then(|()| fs::rename(&new, self.file()));
        set.unwrap_or_else(|error| panic!("cannot set the clock: {error}"));
    }

    /// Has a command go by it.
    pub fn wear(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", self.file())
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("clock")
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}
