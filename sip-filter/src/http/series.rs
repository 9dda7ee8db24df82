//! What came when: the counters every ten seconds, of the last hour, as the page draws them. Nothing
//! is kept of it beyond the process.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use anyhow::Result;
use serde::Serialize;

use crate::{
    kernel::Filter,
    stats::{Clock, WallTime, by_class},
};

/// How often a sample is taken.
pub(super) const EVERY: Duration = Duration::from_secs(10);
/// How many are kept: those of an hour, and the one before.
const KEPT: usize = 361;

/// What was counted at a moment since the filter was attached, in packets.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    time: WallTime,
    /// By class: the method's name, or `response`, `keepalive`, `malformed`.
    classes: Vec<(&'static str, u64)>,
    /// In which a tool was recognised, whatever its kind.
    tool: u64,
}

impl Sample {
    pub(super) fn read(filter: &Filter) -> Result<Self> {
        let classes = by_class(&filter.totals()?);
        let counts = filter.tool_counts()?;
        Ok(Self {
            time: Clock::now().wall(),
            classes,
            tool: counts.tools.iter().map(|count| count.packets).sum(),
        })
    }
}

/// What came between two samples, in packets.
#[derive(Serialize)]
struct Point {
    /// When it ended.
    time: WallTime,
    /// How long it took, in seconds.
    seconds: u64,
    packets: u64,
    /// By class, those that came.
    classes: BTreeMap<&'static str, u64>,
    tool: u64,
}

impl Point {
    fn between(before: &Sample, after: &Sample) -> Self {
        let before_of = |name: &str| {
            let mut classes = before.classes.iter();
            classes.find(|(other, _)| *other == name)
        };
        let since = |&(name, packets): &(&'static str, u64)| {
            let before = before_of(name).map_or(0, |(_, packets)| *packets);
            // Counters begin anew with another layout.
            (name, packets.saturating_sub(before))
        };
        let classes: BTreeMap<_, _> = after.classes.iter().map(since).collect();
        Self {
            time: after.time,
            seconds: after.time.seconds_since(before.time),
            packets: classes.values().sum(),
            classes: classes
                .into_iter()
                .filter(|(_, packets)| *packets > 0)
                .collect(),
            tool: after.tool.saturating_sub(before.tool),
        }
    }
}

/// The samples, oldest first.
#[derive(Debug, Default)]
pub(super) struct Series(VecDeque<Sample>);

impl Series {
    pub(super) fn add(&mut self, sample: Sample) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    /// What came between each two, and between the last one and now.
    pub(super) fn until(&self, now: &Sample) -> Points {
        let after = self.0.iter().skip(1).chain([now]);
        let pairs = self.0.iter().zip(after);
        let mut points: Vec<_> = pairs
            .map(|(before, after)| Point::between(before, after))
            .collect();
        points.retain(|point| point.seconds > 0);
        Points { points }
    }
}

/// What came when, oldest first.
#[derive(Serialize)]
pub(super) struct Points {
    points: Vec<Point>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn sample(second: u64, options: u64, malformed: u64, tool: u64) -> Sample {
        Sample {
            time: WallTime::from_ns(second * 1_000_000_000),
            classes: vec![("OPTIONS", options), ("malformed", malformed)],
            tool,
        }
    }

    fn points(series: &Series, now: &Sample) -> Vec<Value> {
        let document = serde_json::to_value(series.until(now)).unwrap();
        document["points"].as_array().unwrap().clone()
    }

    #[test]
    fn points_are_what_came_in_between() {
        let mut series = Series::default();
        assert_eq!(points(&series, &sample(0, 5, 1, 2)), Vec::<Value>::new());
        for sample in [sample(0, 5, 1, 2), sample(10, 9, 1, 5), sample(21, 9, 1, 5)] {
            series.add(sample);
        }
        let point = |time: &str, seconds: u64, packets: u64, classes: Value, tool: u64| {
            json!({"time": time, "seconds": seconds, "packets": packets, "classes": classes,
                   "tool": tool})
        };
        assert_eq!(
            points(&series, &sample(31, 1, 0, 0)),
            [
                point("1970-01-01T00:00:10.000Z", 10, 4, json!({"OPTIONS": 4}), 3),
                point("1970-01-01T00:00:21.000Z", 11, 0, json!({}), 0),
                point("1970-01-01T00:00:31.000Z", 10, 0, json!({}), 0),
            ]
        );
        // What is of the same second as the last sample says nothing more.
        assert_eq!(points(&series, &sample(21, 9, 1, 5)).len(), 2);
    }

    #[test]
    fn an_hour_is_kept() {
        let mut series = Series::default();
        for second in (0..10_000).step_by(10) {
            series.add(sample(second, second, 0, 0));
        }
        let points = points(&series, &sample(9_995, 9_995, 0, 0));
        assert_eq!(points.len(), 361);
        assert_eq!(points[0]["time"], "1970-01-01T01:46:40.000Z");
        assert_eq!(points[360]["time"], "1970-01-01T02:46:35.000Z");
    }
}
