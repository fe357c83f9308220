//! What Prometheus reads: everything that is counted, read where it is counted when it is asked for.
//! So nothing is counted twice, and nothing is written down in between.

mod calls;
mod families;
mod parts;
mod plain;
mod server;

use std::fmt;

use prometheus_client::{
    collector::Collector, encoding::DescriptorEncoder, encoding::text::encode, registry::Registry,
};

use super::Monitor;
use families::Families;

/// In which form metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format of Prometheus 0.0.4, which every scraper reads.
    Plain,
}

impl Format {
    /// What a scraper wants that sends this `Accept` header. Whoever does not name `OpenMetrics` gets
    /// the older one.
    #[must_use]
    pub fn wanted(accept: &str) -> Self {
        let refused = |range: &str| {
            let weight = range
                .split(';')
                .find_map(|part| part.trim().strip_prefix("q="));
            weight.is_some_and(|weight| weight.trim().parse() == Ok(0.0))
        };
        let is_open = |range: &str| {
            let kind = range.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("application/openmetrics-text") && !refused(range)
        };
        match accept.split(',').any(is_open) {
            true => Self::OpenMetrics,
            false => Self::Plain,
        }
    }

    /// Its content type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

impl Monitor {
    /// Everything that is counted, at this moment.
    ///
    /// # Errors
    ///
    /// Never: text can always be written.
    pub fn metrics(&self, format: Format) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::with_capacity(16 << 10);
        encode(&mut text, &registry)?;
        Ok(match format {
            Format::OpenMetrics => text,
            Format::Plain => plain::of(&text),
        })
    }
}

impl Collector for Monitor {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families::new(&mut encoder);
        calls::encode(&self.recorder().totals(), &mut families)?;
        let parts = self.parts();
        parts::encode(&parts, &mut families)?;
        server::encode(self, &parts, &mut families)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scraper_gets_what_it_asks_for() {
        let check = |accept, expect| assert_eq!(Format::wanted(accept), expect, "{accept}");
        check("", Format::Plain);
        check("*/*", Format::Plain);
        check("text/plain", Format::Plain);
        check(
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3",
            Format::OpenMetrics,
        );
        check("Application/OpenMetrics-Text", Format::OpenMetrics);
        check("application/openmetrics-text;q=0, */*", Format::Plain);
    }
}
