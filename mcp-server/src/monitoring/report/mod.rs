//! A report of the last day, for people and for programs.

mod folder;
mod html;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

pub use folder::{ReportFolder, ReportsConfig};

use super::{HourStatus, Status};

/// A report of the last day.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Report {
    /// When it was written.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// How the server does, without the names of clients.
    pub status: Status,
    /// The hours of the last day, the oldest first.
    pub hours: Vec<HourStatus>,
}

impl Report {
    /// As a page that needs nothing else.
    #[must_use]
    pub fn html(&self) -> String {
        html::page(self)
    }
}
