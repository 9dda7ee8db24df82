//! Times: from the kernel's monotonic nanoseconds to the wall clock.

use std::fmt;

use jiff::{Timestamp, tz::Offset};
use serde::{Serialize, Serializer};

use crate::kernel;

/// A moment of the wall clock, printed as RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime(Timestamp);

impl WallTime {
    /// From nanoseconds since 1970; beyond the year 9999, that year's end.
    pub fn from_ns(ns: u64) -> Self {
        Self::from_wide_ns(i128::from(ns))
    }

    fn from_wide_ns(ns: i128) -> Self {
        let nearest = if ns < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        };
        Self(Timestamp::from_nanosecond(ns).unwrap_or(nearest))
    }

    /// As a timestamp.
    pub fn timestamp(self) -> Timestamp {
        self.0
    }

    /// Whole seconds from `earlier` until this, 0 if it is not earlier.
    pub fn seconds_since(self, earlier: Self) -> u64 {
        let seconds = self.0.as_second() - earlier.0.as_second();
        u64::try_from(seconds).unwrap_or(0)
    }
}

/// As long as the text of a moment is.
const WRITTEN: usize = "2026-11-23T06:00:00.000Z".len();

impl WallTime {
    /// As text. Two of these stand in each line of 65,536 sources, and jiff's own way, which knows of
    /// other formats too, took a quarter of the time that writing them took.
    fn written(self) -> [u8; WRITTEN] {
        let it = Offset::UTC.to_datetime(self.0);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        // A year before 1 or with five digits has no such text: no clock shows one.
        let year = u32::try_from(it.year()).unwrap_or(0);
        for (end, number) in [
            (4, year),
            (7, it.month() as u32),
            (10, it.day() as u32),
            (13, it.hour() as u32),
            (16, it.minute() as u32),
            (19, it.second() as u32),
            (23, it.millisecond() as u32),
        ] {
            let (mut place, mut rest) = (end, number);
            while rest > 0 {
                place -= 1;
                text[place] = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        text
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.written()).unwrap_or_default())
    }
}

impl Serialize for WallTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(str::from_utf8(&self.written()).unwrap_or_default())
    }
}

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: WallTime,
    /// Nanoseconds of the kernel's monotonic clock.
    monotonic: u64,
}

impl Clock {
    /// Both clocks now.
    pub fn now() -> Self {
        Self::new(WallTime(Timestamp::now()), kernel::monotonic_ns())
    }

    /// Both clocks at whatever moment.
    pub fn new(wall: WallTime, monotonic: u64) -> Self {
        Self { wall, monotonic }
    }

    /// The moment.
    pub fn wall(self) -> WallTime {
        self.wall
    }

    /// When the monotonic clock showed `monotonic` nanoseconds. 0 stands for now: the kernel
    /// has made the entry and is about to stamp it.
    pub fn at(self, monotonic: u64) -> WallTime {
        if monotonic == 0 {
            return self.wall;
        }
        let ago = self.monotonic.saturating_sub(monotonic);
        WallTime::from_wide_ns(self.wall.0.as_nanosecond() - i128::from(ago))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T06:00:00Z.
    const WALL: u64 = 1_795_413_600_000_000_000;

    #[test]
    fn monotonic_times_become_wall_times() {
        let clock = Clock::new(WallTime::from_ns(WALL), 90_000_000_000);
        for (monotonic, expected) in [
            (90_000_000_000, "2026-11-23T06:00:00.000Z"),
            (89_999_000_000, "2026-11-23T05:59:59.999Z"),
            (30_000_000_000, "2026-11-23T05:59:00.000Z"),
            (0, "2026-11-23T06:00:00.000Z"),
            (90_000_000_001, "2026-11-23T06:00:00.000Z"),
        ] {
            assert_eq!(clock.at(monotonic).to_string(), expected, "at {monotonic}");
        }
    }

    #[test]
    fn moments_are_written_as_rfc_3339_has_them() {
        for ns in [
            0,
            1_000_000,
            951_782_399_999_999_999,
            951_868_800_000_000_000,
            i128::from(WALL) + 1_234_567_890,
            253_402_207_199_999_000_000,
        ] {
            let time = WallTime::from_wide_ns(ns);
            assert_eq!(time.to_string(), format!("{:.3}", time.0), "{ns}");
        }
    }

    #[test]
    fn ages_are_whole_seconds() {
        let now = WallTime::from_ns(WALL);
        assert_eq!(
            now.seconds_since(WallTime::from_ns(WALL - 61_000_000_000)),
            61
        );
        assert_eq!(
            now.seconds_since(WallTime::from_ns(WALL + 61_000_000_000)),
            0
        );
    }
}
