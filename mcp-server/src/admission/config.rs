//! How many calls are at work at once, and who may take whose place.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::call::Lane;

/// Configuration of the lanes. Places that no lane has reserved go to whichever lane comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LanesConfig {
    /// The most calls at work at once, in all lanes together. Default 96. Raising it lets more
    /// calls wait in the store, where they are in each other's way, and holds their arguments and
    /// answers in memory.
    pub in_flight_max: NonZeroU32,
    /// How long a call may wait for a place before it is refused. Default 5 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub queue_timeout: Duration,
    /// Cursor.
    pub cursor: LaneConfig,
    /// Visual Studio Code.
    pub vscode: LaneConfig,
    /// Every other client.
    pub other: LaneConfig,
}

/// Configuration of one lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LaneConfig {
    /// Places that no other lane can take, even while they are idle. Default 16. Raising it leaves
    /// fewer for the lanes that are busy.
    pub reserved: u32,
    /// The most calls that wait for a place; one more is refused at once. Default 96, with which a
    /// call waits about twice as long as it works at most. Raising it refuses less and lets calls
    /// wait longer.
    pub queue_len_max: NonZeroUsize,
}

impl Default for LanesConfig {
    fn default() -> Self {
        Self {
            in_flight_max: NonZeroU32::new(96).expect("96 is not zero"),
            queue_timeout: Duration::from_secs(5),
            cursor: LaneConfig::default(),
            vscode: LaneConfig::default(),
            other: LaneConfig::default(),
        }
    }
}

impl Default for LaneConfig {
    fn default() -> Self {
        Self {
            reserved: 16,
            queue_len_max: NonZeroUsize::new(96).expect("96 is not zero"),
        }
    }
}

impl LanesConfig {
    /// The settings of one lane.
    #[must_use]
    pub fn lane(&self, lane: Lane) -> &LaneConfig {
        match lane {
            Lane::Cursor => &self.cursor,
            Lane::Vscode => &self.vscode,
            Lane::Other => &self.other,
        }
    }

    /// Checks that every lane can have a place.
    ///
    /// # Errors
    ///
    /// The field, with its section, and what is wrong with it.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        if self.queue_timeout.is_zero() {
            return Err(("lanes.queue_timeout", "must be longer than 0".to_owned()));
        }
        let reserved: u64 = Lane::ALL
            .map(|lane| u64::from(self.lane(lane).reserved))
            .iter()
            .sum();
        let max = u64::from(self.in_flight_max.get());
        if reserved > max {
            return Err((
                "lanes.in_flight_max",
                format!("must be at least {reserved}, which is what the lanes reserve together"),
            ));
        }
        let without_place = Lane::ALL
            .into_iter()
            .find(|lane| self.lane(*lane).reserved == 0 && reserved == max);
        match without_place {
            Some(lane) => Err((
                "lanes.in_flight_max",
                format!("leaves no place for `{lane}`: the other lanes have reserved them all"),
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_can_have_a_place() {
        let check = |in_flight_max: u32, reserved: [u32; 3], says: Option<&str>| {
            let lane = |reserved| LaneConfig {
                reserved,
                ..LaneConfig::default()
            };
            let config = LanesConfig {
                in_flight_max: in_flight_max.try_into().unwrap(),
                cursor: lane(reserved[0]),
                vscode: lane(reserved[1]),
                other: lane(reserved[2]),
                ..LanesConfig::default()
            };
            let reason = config.validate().err().map(|(_, reason)| reason);
            match says {
                Some(says) => assert!(reason.as_ref().unwrap().contains(says), "{reason:?}"),
                None => assert_eq!(reason, None, "{in_flight_max} {reserved:?}"),
            }
        };
        assert_eq!(LanesConfig::default().validate(), Ok(()));
        check(1, [0, 0, 0], None);
        check(3, [1, 1, 1], None);
        check(3, [1, 1, 0], None);
        check(2, [1, 1, 0], Some("leaves no place for `other`"));
        check(2, [0, 2, 0], Some("leaves no place for `cursor`"));
        check(2, [1, 1, 1], Some("at least 3"));
        check(1, [u32::MAX; 3], Some("at least"));
    }
}
