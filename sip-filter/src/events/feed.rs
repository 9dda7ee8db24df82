//! Events on their way to whoever wants them in this process.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::broadcast;

use super::Event;

/// How many events are remembered, and how many a reader may be behind.
const REMEMBERED: usize = 1024;

/// Hands out events. Clones are the same feed.
#[derive(Clone, Debug)]
pub struct Feed {
    recent: Arc<Mutex<VecDeque<Arc<Event>>>>,
    live: broadcast::Sender<Arc<Event>>,
}

impl Feed {
    /// Without any events yet.
    pub fn new() -> Self {
        Self {
            recent: Arc::default(),
            live: broadcast::Sender::new(REMEMBERED),
        }
    }

    /// Hands out one more.
    pub fn push(&self, event: Event) {
        let event = Arc::new(event);
        let mut recent = self.lock();
        if recent.len() == REMEMBERED {
            recent.pop_front();
        }
        recent.push_back(Arc::clone(&event));
        // Nobody may listen.
        let _ = self.live.send(event);
    }

    /// The last events, the oldest first: 1,024 at most.
    pub fn recent(&self) -> Vec<Arc<Event>> {
        self.lock().iter().cloned().collect()
    }

    /// The last events, and those that come from then on: none is missing in between.
    pub fn follow(&self) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let recent = self.lock();
        (recent.iter().cloned().collect(), self.live.subscribe())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Event>>> {
        // Whoever panicked with it had not begun to change it.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Feed {
    fn default() -> Self {
        Self::new()
    }
}
