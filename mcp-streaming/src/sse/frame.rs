//! Events as text. Plain functions.

use crate::{EndReason, EventId};
use bytes::Bytes;
use std::{fmt::Write as _, time::Duration};

/// From this size on a payload is passed on as it is.
const COPY_LEN_MAX: usize = 4 << 10;

/// The pieces of one event, in order.
#[derive(Debug, Default)]
pub(super) struct Framed {
    pieces: [Option<Bytes>; 3],
}

impl Framed {
    fn whole(text: impl Into<Bytes>) -> Self {
        Self {
            pieces: [Some(text.into()), None, None],
        }
    }

    pub(super) fn next(&mut self) -> Option<Bytes> {
        self.pieces.iter_mut().find_map(Option::take)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.iter().all(Option::is_none)
    }
}

/// What comes before the first event.
pub(super) fn head(retry: Option<Duration>, priming: Option<EventId>) -> Option<Bytes> {
    let mut text = String::new();
    // Writing to a string cannot fail, here and below.
    if let Some(id) = priming {
        let _ = writeln!(text, "id: {id}");
    }
    if let Some(retry) = retry {
        let _ = writeln!(text, "retry: {}", retry.as_millis());
    }
    text.push_str(if priming.is_some() {
        "data: \n\n"
    } else {
        "\n"
    });
    (text != "\n").then(|| text.into())
}

pub(super) fn message(id: &EventId, data: Bytes) -> Framed {
    let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let mut head = String::with_capacity(64);
    let _ = write!(head, "id: {id}\ndata: ");
    if data.len() >= COPY_LEN_MAX && !data.iter().any(is_break) {
        let tail = Bytes::from_static(b"\n\n");
        return Framed {
            pieces: [Some(head.into()), Some(data), Some(tail)],
        };
    }
    let mut text = head.into_bytes();
    text.reserve(data.len() + 2);
    let mut rest = &data[..];
    while let Some(at) = rest.iter().position(is_break) {
        text.extend_from_slice(&rest[..at]);
        text.extend_from_slice(b"\ndata: ");
        let len = if rest[at..].starts_with(b"\r\n") {
            2
        } else {
            1
        };
        rest = &rest[at + len..];
    }
    text.extend_from_slice(rest);
    text.extend_from_slice(b"\n\n");
    Framed::whole(text)
}

pub(super) fn gap(missed: u64) -> Framed {
    Framed::whole(format!("event: gap\ndata: {{\"missed\":{missed}}}\n\n"))
}

pub(super) fn end(reason: EndReason) -> Framed {
    let word = word(reason);
    Framed::whole(format!("event: end\ndata: {{\"reason\":\"{word}\"}}\n\n"))
}

/// As it is serialized.
fn word(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Finished => "finished",
        EndReason::WriterLost => "writer_lost",
        EndReason::ReaderLost => "reader_lost",
        EndReason::Replaced => "replaced",
        EndReason::SlowConsumer => "slow_consumer",
        EndReason::Stalled => "stalled",
        EndReason::Idle => "idle",
        EndReason::NotInitialized => "not_initialized",
        EndReason::LifeTime => "life_time",
        EndReason::Evicted => "evicted",
        EndReason::Closed => "closed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Origin;
    use proptest::prelude::*;

    const ID: EventId = EventId {
        origin: Origin {
            epoch: 10,
            session: 11,
            stream: 12,
        },
        seq: 13,
    };

    fn text(mut framed: Framed) -> String {
        let pieces = std::iter::from_fn(|| framed.next());
        let bytes: Vec<u8> = pieces.flatten().collect();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn each_line_of_data_has_its_name() {
        let check = |data: &'static str, expect: &str| {
            let framed = message(&ID, Bytes::from_static(data.as_bytes()));
            assert_eq!(text(framed), format!("id: a-b-c-d\n{expect}\n\n"));
        };
        check("one", "data: one");
        check("", "data: ");
        check(
            "a\nb\r\nc\rd\n",
            "data: a\ndata: b\ndata: c\ndata: d\ndata: ",
        );
        assert_eq!(text(gap(3)), "event: gap\ndata: {\"missed\":3}\n\n");
        assert_eq!(
            text(end(EndReason::Idle)),
            "event: end\ndata: {\"reason\":\"idle\"}\n\n"
        );
    }

    #[test]
    fn a_head_says_what_there_is_to_say() {
        let retry = Some(Duration::from_secs(3));
        let check = |retry, id, expect: Option<&'static str>| {
            assert_eq!(head(retry, id), expect.map(Bytes::from));
        };
        check(None, None, None);
        check(retry, None, Some("retry: 3000\n\n"));
        check(None, Some(ID), Some("id: a-b-c-d\ndata: \n\n"));
        check(
            retry,
            Some(ID),
            Some("id: a-b-c-d\nretry: 3000\ndata: \n\n"),
        );
    }

    #[test]
    fn a_large_payload_is_not_copied() {
        let data = Bytes::from(vec![b'x'; COPY_LEN_MAX]);
        let mut framed = message(&ID, data.clone());
        framed.next();
        assert_eq!(
            framed.next().map(|piece| piece.as_ptr()),
            Some(data.as_ptr())
        );
    }

    #[test]
    fn words_are_as_serialized() {
        for reason in [
            EndReason::Finished,
            EndReason::WriterLost,
            EndReason::ReaderLost,
            EndReason::Replaced,
            EndReason::SlowConsumer,
            EndReason::Stalled,
            EndReason::Idle,
            EndReason::NotInitialized,
            EndReason::LifeTime,
            EndReason::Evicted,
            EndReason::Closed,
        ] {
            let json = serde_json::to_string(&reason).expect("JSON");
            assert_eq!(json, format!("\"{}\"", word(reason)));
        }
    }

    proptest! {
        /// As a browser would read it: lines joined by a line feed.
        #[test]
        fn any_text_is_read_back_with_line_feeds(data in "[ab:\n\r ]{0,60}") {
            let framed = text(message(&ID, Bytes::from(data.clone())));
            let lines = framed.strip_suffix("\n\n").expect("an end").split('\n').skip(1);
            let read: Vec<&str> = lines.map(|line| &line["data: ".len()..]).collect();
            prop_assert_eq!(read.join("\n"), data.replace("\r\n", "\n").replace('\r', "\n"));
        }
    }
}
