//! Messages of the channel.

use crate::remote::Feed;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use redis::Msg;
use std::pin::Pin;

pub(super) struct Messages(pub(super) Pin<Box<dyn Stream<Item = Msg> + Send>>);

#[async_trait]
impl Feed for Messages {
    async fn next(&mut self) -> Option<(u64, Bytes)> {
        loop {
            let message = self.0.next().await?;
            // Of anybody else on the channel: it has no number, and misses none.
            if let Some(numbered) = parse(message.get_payload_bytes()) {
                return Some(numbered);
            }
        }
    }
}

fn parse(payload: &[u8]) -> Option<(u64, Bytes)> {
    let at = payload.iter().position(|byte| *byte == b' ')?;
    let number = super::number(&payload[..at])?;
    Some((number, Bytes::copy_from_slice(&payload[at + 1..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_comes_before_the_body() {
        assert_eq!(parse(b"12 a b"), Some((12, Bytes::from_static(b"a b"))));
        for noise in ["", "12", "x 1", "-1 x", "0 x", "9007199254740992 x"] {
            assert_eq!(parse(noise.as_bytes()), None, "{noise}");
        }
    }
}
