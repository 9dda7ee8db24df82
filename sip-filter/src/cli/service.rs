//! What the service manager that has started `run` is told, after the protocol of sd_notify(3): when
//! the filter is attached, that it goes on, what it counts, and when it ends. Where none listens,
//! nothing is said.

use std::{future, time::Duration};

use sd_notify::NotifyState;
use tokio::time;

/// How often the manager is told at least: what it shows is not to be old.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// The service manager.
pub(super) struct Manager {
    /// How long it waits for a word; nothing where none listens.
    patience: Option<Duration>,
}

impl Manager {
    /// The one that the environment names.
    pub(super) fn from_environment() -> Self {
        let mut watchdog = 0;
        let is_watched = sd_notify::watchdog_enabled(false, &mut watchdog);
        let patience = match is_watched && watchdog > 0 {
            // Half of the time is what sd_watchdog_enabled(3) recommends.
            true => TOLD_EVERY.min(Duration::from_micros(watchdog) / 2),
            false => TOLD_EVERY,
        };
        let listens = std::env::var_os("NOTIFY_SOCKET").is_some();
        Self {
            patience: listens.then_some(patience),
        }
    }

    /// Packets are filtered from now on, as this says.
    pub(super) fn ready(&self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// The configuration is being read again; [`Manager::ready`] or [`Manager::unchanged`] ends it.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(error) => log::warn!("the kernel does not tell the time: {error}"),
        }
    }

    /// It cannot be used: what was in force stays.
    pub(super) fn unchanged(&self) {
        self.ready("the configuration cannot be used; what was in force stays");
    }

    /// It goes on, and has counted this.
    pub(super) fn alive(&self, status: &str) {
        self.tell(&[NotifyState::Watchdog, NotifyState::Status(status)]);
    }

    /// It ends.
    pub(super) fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// Waits until the manager is to be told again; for ever, where none listens.
    pub(super) async fn expects(&self) {
        match self.patience {
            Some(patience) => time::sleep(patience).await,
            None => future::pending().await,
        }
    }

    /// A manager that has gone away is no reason to stop filtering.
    fn tell(&self, states: &[NotifyState]) {
        if self.patience.is_some()
            && let Err(error) = sd_notify::notify(false, states)
        {
            log::warn!("the service manager cannot be told: {error}");
        }
    }
}
