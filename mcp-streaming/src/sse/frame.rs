//! Events as text. Plain functions.

use crate::{EndReason, EventId};
use bytes::{Buf, Bytes};
use std::{fmt::Write as _, time::Duration};

/// From this size on a payload is passed on as it is, and pieces that are copied
/// are not much larger.
const COPY_LEN_MAX: usize = 4 << 10;
/// Lines shorter than this are copied.
const SHORT_LINE_MAX: usize = 512;
const NEXT_LINE: &[u8] = b"\ndata: ";

/// The pieces of one event, in order.
#[derive(Debug, Default)]
pub(super) struct Framed {
    head: Option<Bytes>,
    /// What is passed on as it is, line by line.
    data: Option<Bytes>,
    /// A line has ended, and another one begins.
    is_between: bool,
}

impl Framed {
    fn whole(text: impl Into<Bytes>) -> Self {
        Self {
            head: Some(text.into()),
            ..Self::default()
        }
    }

    pub(super) fn next(&mut self) -> Option<Bytes> {
        if let Some(head) = self.head.take() {
            return Some(head);
        }
        if std::mem::take(&mut self.is_between) {
            return Some(Bytes::from_static(NEXT_LINE));
        }
        let mut data = self.data.take()?;
        if data.is_empty() {
            return Some(Bytes::from_static(b"\n\n"));
        }
        let line = match data.iter().position(is_break) {
            // Lines as short as their prefix are cheaper to copy.
            Some(at) if at < SHORT_LINE_MAX => copy_lines(&mut data),
            Some(at) => {
                let line = data.split_to(at);
                data.advance(break_len(&data));
                self.is_between = true;
                line
            }
            None => std::mem::take(&mut data),
        };
        self.data = Some(data);
        Some(line)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head.is_none() && self.data.is_none()
    }
}

fn is_break(byte: &u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Of the line break that the data begins with.
fn break_len(data: &[u8]) -> usize {
    if data.starts_with(b"\r\n") { 2 } else { 1 }
}

/// Takes whole lines off the data, as they are to be sent, until they fill a
/// piece. The last break is written, so that a line goes on behind it.
fn copy_lines(data: &mut Bytes) -> Bytes {
    let mut text = Vec::with_capacity(COPY_LEN_MAX);
    while let Some(at) = data.iter().position(is_break) {
        if !text.is_empty() && text.len() + at + NEXT_LINE.len() > COPY_LEN_MAX {
            break;
        }
        text.extend_from_slice(&data[..at]);
        text.extend_from_slice(NEXT_LINE);
        data.advance(at + break_len(&data[at..]));
    }
    text.into()
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

pub(super) fn message(id: &EventId, mut data: Bytes) -> Framed {
    let mut head = String::with_capacity(64);
    let _ = write!(head, "id: {id}\ndata: ");
    if data.len() >= COPY_LEN_MAX {
        return Framed {
            head: Some(head.into()),
            data: Some(data),
            is_between: false,
        };
    }
    let mut text = head.into_bytes();
    text.reserve(data.len() + 2);
    while let Some(at) = data.iter().position(is_break) {
        text.extend_from_slice(&data[..at]);
        text.extend_from_slice(NEXT_LINE);
        data.advance(at + break_len(&data[at..]));
    }
    text.extend_from_slice(&data);
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

    /// However many lines there are, what is copied at once is small.
    #[test]
    fn a_large_payload_of_lines_is_sent_in_small_pieces() {
        let long = "x".repeat(1_000) + "\r\n";
        for data in [
            "\n".repeat(50_000),
            long.repeat(50),
            "ab\n".repeat(9_000) + &long,
        ] {
            let mut framed = message(&ID, Bytes::from(data.clone()));
            let mut read = String::new();
            while let Some(piece) = framed.next() {
                assert!(!piece.is_empty() && piece.len() < 2 * COPY_LEN_MAX);
                read.push_str(std::str::from_utf8(&piece).expect("text"));
            }
            assert!(framed.is_empty());
            let lines = data.replace("\r\n", "\n").replace('\n', "\ndata: ");
            assert_eq!(read, format!("id: a-b-c-d\ndata: {lines}\n\n"));
        }
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
        fn any_text_is_read_back_with_line_feeds(data in "[ab:\n\r ]{0,60}", large: bool) {
            let data = if large { data.repeat(200) } else { data };
            let framed = text(message(&ID, Bytes::from(data.clone())));
            let lines = framed.strip_suffix("\n\n").expect("an end").split('\n').skip(1);
            let read: Vec<&str> = lines.map(|line| &line["data: ".len()..]).collect();
            prop_assert_eq!(read.join("\n"), data.replace("\r\n", "\n").replace('\r', "\n"));
        }
    }
}
