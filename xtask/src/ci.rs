//! What is otherwise in continuous integration (`CI=true`): nothing is skipped, and what comes over the
//! network is asked for again where it failed, for nobody is there to start over.

use std::{env, thread, time::Duration};

use anyhow::Result;

/// How long to wait before it is tried again, in seconds: mirrors are soon back, or not at all.
const WAITS: [u64; 3] = [5, 30, 90];

/// Whether this is it.
pub fn is_here() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true")
}

/// Fetches what comes over the network, here once, and there until it is had or the last wait is over.
pub fn fetch<T>(what: &str, fetch: impl FnMut() -> Result<T>) -> Result<T> {
    let waits: &[u64] = if is_here() { &WAITS } else { &[] };
    fetch_again(what, waits, fetch)
}

fn fetch_again<T>(what: &str, waits: &[u64], mut fetch: impl FnMut() -> Result<T>) -> Result<T> {
    for &wait in waits {
        match fetch() {
            Ok(fetched) => return Ok(fetched),
            Err(error) => eprintln!("{what}: {error:#}; once more in {wait} s"),
        }
        thread::sleep(Duration::from_secs(wait));
    }
    fetch()
}

/// Fetches what a test needs. What cannot be had is left out and named; in continuous integration that
/// is a failure.
pub fn fetch_or_skip<T>(what: &str, fetch: impl FnMut() -> Result<T>) -> Result<Option<T>> {
    match self::fetch(what, fetch) {
        Ok(fetched) => Ok(Some(fetched)),
        Err(error) if is_here() => {
            Err(error.context(format!("{what} cannot be had, and nothing is skipped here")))
        }
        Err(error) => {
            eprintln!("SKIPPED, {what} cannot be had: {error:#}");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use super::*;

    #[test]
    fn what_fails_is_tried_again_as_often_as_there_are_waits() {
        for (waits, comes_at, tried, had) in [
            (&[][..], 1, 1, true),
            (&[], 2, 1, false),
            (&[0, 0], 1, 1, true),
            (&[0, 0], 3, 3, true),
            (&[0, 0], 4, 3, false),
        ] {
            let mut asked = 0;
            let fetched = fetch_again("it", waits, || {
                asked += 1;
                ensure!(asked >= comes_at, "the mirror is away");
                Ok(())
            });
            assert_eq!(
                (asked, fetched.is_ok()),
                (tried, had),
                "{waits:?} {comes_at}"
            );
        }
    }
}
