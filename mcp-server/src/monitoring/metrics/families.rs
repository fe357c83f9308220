//! Families of metrics, as rows of labels and values.

use std::fmt;

use prometheus_client::{
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::MetricType,
};

/// The labels of one row.
pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;

/// Writes families of metrics.
pub(super) struct Families<'a, 'e>(&'a mut DescriptorEncoder<'e>);

/// One histogram: bounds with the counts up to each, the sum and the count.
pub(super) struct Histogram {
    /// Upper bounds in seconds and how many were within each, those of the bounds before included.
    pub(super) within: Vec<(f64, u64)>,
    pub(super) sum: f64,
    pub(super) count: u64,
}

impl<'a, 'e> Families<'a, 'e> {
    pub(super) fn new(encoder: &'a mut DescriptorEncoder<'e>) -> Self {
        Self(encoder)
    }

    /// What only grows. `name` without `_total`.
    pub(super) fn counter<'l>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in rows {
            let labels = labels.as_slice();
            family
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    /// What grows and shrinks.
    pub(super) fn gauge<'l>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Labels<'l>, f64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in rows {
            let labels = labels.as_slice();
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// What is counted by size.
    pub(super) fn histogram<'l>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Labels<'l>, Histogram)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, histogram) in rows {
            let labels = labels.as_slice();
            let mut below = 0;
            let mut buckets: Vec<(f64, u64)> = Vec::with_capacity(histogram.within.len() + 1);
            for (bound, within) in histogram.within {
                buckets.push((bound, within.saturating_sub(below)));
                below = within;
            }
            buckets.push((f64::INFINITY, histogram.count.saturating_sub(below)));
            family
                .encode_family(&labels)?
                .encode_histogram::<NoLabelSet>(histogram.sum, histogram.count, &buckets, None)?;
        }
        Ok(())
    }
}
