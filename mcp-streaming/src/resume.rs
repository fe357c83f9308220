//! Going on with a stream whose reader went away.

use crate::{EventId, Rx, Tx, core::Sought, stream::Stream};
use std::sync::Arc;
use thiserror::Error;

/// A reader that goes on behind the last event that a client has.
#[derive(Debug)]
#[must_use = "dropping the reader ends its turn"]
pub enum Resumed {
    /// Everything since that event is there.
    Whole(Rx),
    /// Events since then are gone. The reader begins with an
    /// [`Event::Gap`](crate::Event::Gap) and goes on with what is there.
    WithGap {
        /// How many events.
        missed: u64,
        /// The reader.
        rx: Rx,
    },
}

impl Resumed {
    /// The reader, which tells of a gap itself.
    pub fn into_rx(self) -> Rx {
        match self {
            Self::Whole(rx) | Self::WithGap { rx, .. } => rx,
        }
    }
}

/// Why a stream cannot be resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// There is no such session, or it is another owner's.
    #[error("no such session")]
    UnknownSession,
    /// The event is of another session, or of a process that is no more.
    #[error("the event is not of this session")]
    Foreign,
    /// The session has no such stream any more.
    #[error("no such stream")]
    UnknownStream,
    /// The stream never had such an event.
    #[error("the stream never had such an event")]
    UnknownEvent,
}

impl ResumeError {
    /// Whether it may go another time. It never does: what is gone stays gone.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        false
    }
}

impl Tx {
    /// A reader that goes on behind the event `last`. The reader before it, if
    /// it is still there, gets [`EndReason::Replaced`](crate::EndReason::Replaced).
    ///
    /// # Errors
    /// The event is not of this stream.
    pub fn resume_from(&self, last: &EventId) -> Result<Resumed, ResumeError> {
        if last.origin != self.stream.origin {
            return Err(ResumeError::Foreign);
        }
        resume(&self.stream, last.seq)
    }

    /// A new reader that goes on where the last one was.
    pub fn reader(&self) -> Rx {
        attach(&self.stream)
    }
}

pub(crate) fn attach(stream: &Arc<Stream>) -> Rx {
    let generation = stream.take_over(|core, cx, after| core.attach(cx, after));
    Rx::new(Arc::clone(stream), generation)
}

pub(crate) fn resume(stream: &Arc<Stream>, after_seq: u64) -> Result<Resumed, ResumeError> {
    let sought = stream.take_over(|core, cx, after| core.attach_behind(after_seq, cx, after));
    let Sought::Found { generation, missed } = sought else {
        return Err(ResumeError::UnknownEvent);
    };
    let rx = Rx::new(Arc::clone(stream), generation);
    Ok(match missed {
        0 => Resumed::Whole(rx),
        missed => Resumed::WithGap { missed, rx },
    })
}
