//! Lines of bounded length out of a byte stream.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line without its line break.
    Whole(Vec<u8>),
    /// A line longer than the bound; it was skipped.
    TooLong,
}

/// Reads lines of at most `bytes_max` bytes and holds no more than that.
pub(super) struct Lines<R> {
    input: BufReader<R>,
    bytes_max: usize,
    partial: Vec<u8>,
    skipping: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(input: R, bytes_max: usize) -> Self {
        Self {
            input: BufReader::with_capacity(64 * 1024, input),
            bytes_max,
            partial: Vec::new(),
            skipping: false,
        }
    }

    /// The next line; `None` at the end of the input or when it broke. Blank lines are passed
    /// over, and a last line without a line break counts.
    ///
    /// Cancel safe: what was read so far is kept.
    pub(super) async fn next(&mut self) -> Option<Line> {
        loop {
            let buffered = match self.input.fill_buf().await {
                Ok(buffered) => buffered,
                Err(error) => {
                    tracing::warn!(%error, "the input broke");
                    return None;
                }
            };
            if buffered.is_empty() {
                return self.finish();
            }
            let line_end = buffered.iter().position(|byte| *byte == b'\n');
            let taken = line_end.unwrap_or(buffered.len());
            if self.partial.len() + taken > self.bytes_max {
                self.skipping = true;
                self.partial = Vec::new();
            }
            if !self.skipping {
                self.partial.extend_from_slice(&buffered[..taken]);
            }
            self.input.consume(taken + usize::from(line_end.is_some()));
            if line_end.is_some()
                && let Some(line) = self.finish()
            {
                return Some(line);
            }
        }
    }

    fn finish(&mut self) -> Option<Line> {
        if std::mem::take(&mut self.skipping) {
            return Some(Line::TooLong);
        }
        let mut line = std::mem::take(&mut self.partial);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        (!line.trim_ascii().is_empty()).then_some(Line::Whole(line))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        io,
        pin::Pin,
        task::{Context, Poll},
    };

    use tokio::io::ReadBuf;

    use super::*;

    /// An input that arrives in pieces.
    struct Pieces(VecDeque<Vec<u8>>);

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if let Some(piece) = self.0.pop_front() {
                buffer.put_slice(&piece);
            }
            Poll::Ready(Ok(()))
        }
    }

    async fn check(pieces: &[&[u8]], expect: &[Line]) {
        let input = Pieces(pieces.iter().map(|piece| piece.to_vec()).collect());
        let mut lines = Lines::new(input, 8);
        for line in expect {
            assert_eq!(lines.next().await.as_ref(), Some(line), "{pieces:?}");
        }
        assert_eq!(lines.next().await, None, "{pieces:?}");
    }

    fn whole(text: &str) -> Line {
        Line::Whole(text.as_bytes().to_vec())
    }

    #[tokio::test]
    async fn lines_are_bounded_whatever_the_pieces() {
        check(&[], &[]).await;
        check(&[b"a\nb\r\n\n \nc"], &[whole("a"), whole("b"), whole("c")]).await;
        check(&[b"ab", b"cd", b"\n", b"e\n"], &[whole("abcd"), whole("e")]).await;
        check(&[b"12345678\n"], &[whole("12345678")]).await;
        check(&[b"123456789\nok\n"], &[Line::TooLong, whole("ok")]).await;
        check(
            &[b"1234", b"5678", b"9", b"\nok\n"],
            &[Line::TooLong, whole("ok")],
        )
        .await;
        check(&[b"1234567890"], &[Line::TooLong]).await;
    }
}
