//! Whether an instance is still attached, as the file system of its pins tells whoever listens.

use std::{io, os::fd::OwnedFd};

use anyhow::{Context, Result};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::{Interest, unix::AsyncFd};

use super::Instance;

/// Listens to what becomes of the folder of an instance's pins.
pub struct PinsWatch {
    inotify: AsyncFd<OwnedFd>,
}

impl PinsWatch {
    /// Listens from now on to an instance that is attached.
    ///
    /// # Errors
    ///
    /// When it is not, when the kernel has too many who listen, or outside a runtime.
    pub fn new(instance: &Instance) -> Result<Self> {
        let dir = instance.dir();
        let listen = || -> io::Result<AsyncFd<OwnedFd>> {
            let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
            inotify.add_watch(dir, AddWatchFlags::IN_DELETE_SELF)?;
            let inotify = OwnedFd::from(inotify);
            // SAFETY: it owns its descriptor, gives the same one each time, and lives as long as the
            // registration.
            let inotify = unsafe { AsyncFd::register_with_interest(inotify, Interest::READABLE) };
            Ok(inotify?)
        };
        Ok(Self {
            inotify: listen().with_context(|| format!("cannot watch {}", dir.display()))?,
        })
    }

    /// Waits until the folder is gone, which it is when the last interface was detached.
    ///
    /// # Errors
    ///
    /// When the kernel tells nothing any more.
    pub async fn gone(&mut self) -> Result<()> {
        // Nothing else was asked for.
        self.inotify.readable().await?.retain_ready();
        Ok(())
    }
}
