//! Where a call belongs in a trace that somebody else began (W3C Trace Context).

use std::{fmt, str::FromStr};

/// The name of the header, and of the member of `_meta`.
pub const TRACEPARENT: &str = "traceparent";

/// A place in a trace, as `traceparent` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    id: u128,
    parent: u64,
    flags: u8,
}

/// A `traceparent` that is none; it is ignored, as the standard asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no traceparent")]
pub struct NoTrace;

impl Trace {
    /// A place below this one, for what is asked of another server. `None` without random numbers.
    #[must_use]
    pub fn child(&self) -> Option<Self> {
        let parent = getrandom::u64().ok().filter(|parent| *parent != 0)?;
        Some(Self { parent, ..*self })
    }

    /// The span that logs of the call are in.
    pub(crate) fn span(&self, tool: &str) -> tracing::Span {
        let (trace_id, parent_id) = (format!("{:032x}", self.id), format!("{:016x}", self.parent));
        tracing::info_span!("call", tool, trace_id, parent_id)
    }
}

impl FromStr for Trace {
    type Err = NoTrace;

    fn from_str(text: &str) -> Result<Self, NoTrace> {
        let mut parts = text.trim().split('-');
        let mut part = |len: usize| {
            let part = parts.next().filter(|part| part.len() == len)?;
            let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            part.bytes().all(is_hex).then_some(part)
        };
        let (version, id, parent, flags) = (part(2), part(32), part(16), part(2));
        let number = |part: Option<&str>| u128::from_str_radix(part?, 16).ok();
        let trace = Self {
            id: number(id).filter(|id| *id != 0).ok_or(NoTrace)?,
            parent: number(parent)
                .and_then(|parent| u64::try_from(parent).ok())
                .filter(|parent| *parent != 0)
                .ok_or(NoTrace)?,
            flags: number(flags)
                .and_then(|flags| u8::try_from(flags).ok())
                .ok_or(NoTrace)?,
        };
        match (version, parts.next()) {
            (Some("00"), None) => Ok(trace),
            // Later versions may say more.
            (Some(later), _) if later != "00" && later != "ff" => Ok(trace),
            _ => Err(NoTrace),
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.id, self.parent, self.flags
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_well_formed_is_read_and_written_again() {
        let trace: Trace = GOOD.parse().unwrap();
        assert_eq!(trace.to_string(), GOOD);
        let child = trace.child().unwrap();
        assert_eq!((child.id, child.flags), (trace.id, trace.flags));
        assert_ne!(child.parent, trace.parent);
        let later = GOOD.replacen("00", "01", 1) + "-more";
        assert_eq!(later.parse(), Ok(trace));
    }

    #[test]
    fn everything_else_is_none() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-+0f067aa0ba902b7-01",
        ] {
            assert_eq!(text.parse::<Trace>(), Err(NoTrace), "{text}");
        }
    }
}
