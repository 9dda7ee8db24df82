//! Samples as text: in OpenMetrics 1.0 where that is accepted, and in Prometheus' older format
//! otherwise. The client library has the formats; here are samples that were read just now.

use std::fmt;

use anyhow::{Context, Result};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder, prometheus_text, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

/// A format of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Prometheus,
}

impl Text {
    /// The better one that a request's Accept names; the older one unless it does.
    pub(super) fn accepted(accept: Option<&str>) -> Self {
        match accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
            true => Self::OpenMetrics,
            false => Self::Prometheus,
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }
}

/// What a sample says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Counter(u64),
    SecondsCounter(f64),
    Gauge(u64),
}

/// Names and values.
pub(super) type Labels = Vec<(&'static str, String)>;

/// A count of a row: its name, its help, and where it stands.
pub(super) type Column<R> = (&'static str, &'static str, fn(&R) -> u64);

/// Samples of one name.
#[derive(Debug)]
struct Family {
    /// Without what its type appends.
    name: String,
    help: &'static str,
    samples: Vec<(Labels, Value)>,
}

/// All that is exposed, in its order.
#[derive(Debug, Default)]
pub(super) struct Families(Vec<Family>);

impl Families {
    /// Samples of a name, without what its type appends.
    pub(super) fn add(
        &mut self,
        name: impl Into<String>,
        help: &'static str,
        samples: impl IntoIterator<Item = (Labels, Value)>,
    ) {
        self.0.push(Family {
            name: name.into(),
            help,
            samples: samples.into_iter().collect(),
        });
    }

    /// A sample without labels.
    pub(super) fn one(&mut self, name: &str, help: &'static str, value: Value) {
        self.add(name, help, [(Vec::new(), value)]);
    }

    /// Columns of a listing: a family each.
    pub(super) fn columns<R>(
        &mut self,
        prefix: &str,
        rows: &[R],
        labels: impl Fn(&R) -> Labels,
        columns: &[Column<R>],
    ) {
        for (name, help, count) in columns {
            let samples = rows
                .iter()
                .map(|row| (labels(row), Value::Counter(count(row))));
            self.add(format!("{prefix}_{name}"), help, samples);
        }
    }
}

impl Families {
    /// The text.
    pub(super) fn encode(self, format: Text) -> Result<String> {
        let mut registry = Registry::with_prefix("sip_filter");
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        match format {
            Text::OpenMetrics => text::encode(&mut text, &registry),
            Text::Prometheus => prometheus_text::encode(&mut text, &registry),
        }
        .context("the metrics cannot be written")?;
        Ok(text)
    }
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for Family {
            name,
            help,
            samples,
        } in &self.0
        {
            let kind = match samples.first() {
                None | Some((_, Value::Counter(_) | Value::SecondsCounter(_))) => {
                    MetricType::Counter
                }
                Some((_, Value::Gauge(_))) => MetricType::Gauge,
            };
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            // Without labels there is one sample.
            if let [(labels, value)] = samples.as_slice()
                && labels.is_empty()
            {
                write(*value, family)?;
                continue;
            }
            for (labels, value) in samples {
                write(*value, family.encode_family(labels)?)?;
            }
        }
        Ok(())
    }
}

fn write(value: Value, encoder: MetricEncoder) -> fmt::Result {
    match value {
        Value::Counter(count) => ConstCounter::new(count).encode(encoder),
        Value::SecondsCounter(seconds) => ConstCounter::new(seconds).encode(encoder),
        Value::Gauge(value) => ConstGauge::new(value).encode(encoder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_accepted() {
        for (accept, format) in [
            (None, Text::Prometheus),
            (Some("*/*"), Text::Prometheus),
            (Some("text/plain;version=0.0.4"), Text::Prometheus),
            (
                Some("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"),
                Text::OpenMetrics,
            ),
        ] {
            assert_eq!(Text::accepted(accept), format, "{accept:?}");
        }
    }
}
