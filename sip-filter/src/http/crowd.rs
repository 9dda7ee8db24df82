//! How many connections there are at once: in all, and from one address that is not this machine's, so
//! that one who opens many takes nobody else's place.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many there are at once; more wait until one of these has ended.
const MOST: usize = 64;
/// How many from one address; more are ended at once.
const FROM_ONE: usize = 16;

/// Those that are there.
#[derive(Clone)]
pub(super) struct Crowd {
    room: Arc<Semaphore>,
    from: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// Room for one more, until it is dropped.
pub(super) struct Place {
    _room: OwnedSemaphorePermit,
    crowd: Crowd,
    from: Option<IpAddr>,
}

impl Crowd {
    pub(super) fn new() -> Self {
        Self {
            room: Arc::new(Semaphore::new(MOST)),
            from: Arc::default(),
        }
    }

    /// Waits until there is room for one more, whoever comes.
    pub(super) async fn room(&self) -> Option<Place> {
        let room = Arc::clone(&self.room).acquire_owned().await;
        Some(Place {
            // Never closed.
            _room: room.ok()?,
            crowd: self.clone(),
            from: None,
        })
    }

    fn from(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.from.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whether who has come from this address may have it.
    pub(super) fn is_for(&mut self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        // A proxy or the end of a tunnel stands for many.
        if address.is_loopback() {
            return true;
        }
        let mut from = self.crowd.from();
        let many = from.entry(address).or_default();
        if *many == FROM_ONE {
            return false;
        }
        *many += 1;
        drop(from);
        self.from = Some(address);
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(address) = self.from else { return };
        let mut from = self.crowd.from();
        if let Some(many) = from.get_mut(&address) {
            *many -= 1;
            if *many == 0 {
                from.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(crowd: &Crowd, address: &str) -> Option<Place> {
        let mut place = Place {
            _room: Arc::clone(&crowd.room).try_acquire_owned().ok()?,
            crowd: crowd.clone(),
            from: None,
        };
        place.is_for(address.parse().unwrap()).then_some(place)
    }

    #[test]
    fn one_address_takes_nobody_elses_place() {
        let crowd = Crowd::new();
        let many = |address: &str| -> Vec<_> {
            (0..2 * MOST)
                .filter_map(|_| place(&crowd, address))
                .collect()
        };
        let first = many("192.0.2.66");
        assert_eq!(first.len(), FROM_ONE);
        // The same address in IPv6's form.
        assert_eq!(many("::ffff:192.0.2.66").len(), 0);
        let second = many("2001:db8::66");
        assert_eq!(second.len(), FROM_ONE);
        let here = many("127.0.0.1");
        assert_eq!(here.len(), MOST - 2 * FROM_ONE);
        drop(here);
        drop(first);
        assert_eq!(many("192.0.2.66").len(), FROM_ONE);
        drop(second);
        assert_eq!(crowd.from().len(), 0);
        assert_eq!(many("::1").len(), MOST);
    }
}
