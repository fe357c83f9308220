//! Stands in for the peers when the feature `peers` is off.

use crate::rival::Make;

pub(crate) const PEERS: &[Make] = &[];
