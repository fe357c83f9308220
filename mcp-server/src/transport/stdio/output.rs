//! The way out: lines that wait for standard output, and the task that writes them.

use std::{io, sync::Arc};

use rmcp::model::RequestId;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::pending::Pending;

/// Lines that wait for the output; a sender of one more waits, too.
const LINES_MAX: usize = 64;
/// Lines are written together up to about this many bytes.
const WRITE_BYTES: usize = 64 * 1024;

/// Where lines are left to be written. The output ends with the last clone.
#[derive(Debug, Clone)]
pub(super) struct Output {
    lines: mpsc::Sender<Vec<u8>>,
    pending: Arc<Pending>,
}

/// What [`Output`] leaves lines for.
pub(super) type Lines = mpsc::Receiver<Vec<u8>>;

impl Output {
    pub(super) fn new(pending: Arc<Pending>) -> (Self, Lines) {
        let (sender, lines) = mpsc::channel(LINES_MAX);
        let output = Self {
            lines: sender,
            pending,
        };
        (output, lines)
    }

    /// Leaves `line`, which answers the request `answered` if it answers one. Cancel safe: the line
    /// is left, or nothing has happened.
    ///
    /// # Errors
    ///
    /// When the output is closed.
    pub(super) async fn send(&self, answered: Option<&RequestId>, line: Vec<u8>) -> io::Result<()> {
        // Asked without waiting first: that costs a task none of its turns.
        let room = match self.lines.try_reserve() {
            Ok(room) => Ok(room),
            Err(_) => self.lines.reserve().await,
        };
        // Before the client can see the answer: it may have been waiting for this very place.
        if let Some(id) = answered {
            self.pending.finish(id);
        }
        let room = room.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        room.send(line);
        Ok(())
    }

    /// Leaves the line in `slot`, if there is one. Cancel safe: it is taken only once there is room.
    pub(super) async fn send_taken(&self, slot: &mut Option<Vec<u8>>) {
        if slot.is_some()
            && let Ok(room) = self.lines.reserve().await
            && let Some(line) = slot.take()
        {
            room.send(line);
        }
    }
}

/// Writes lines until all senders are gone: those that wait together, and flushes whenever none
/// does. `broken` is cancelled at the end.
pub(super) async fn write<W: AsyncWrite + Unpin>(
    mut output: W,
    mut lines: Lines,
    broken: CancellationToken,
) {
    let _broken = broken.drop_guard();
    let mut bytes = Vec::new();
    while let Some(line) = lines.recv().await {
        bytes.clear();
        append(&mut bytes, line);
        while bytes.len() < WRITE_BYTES
            && let Ok(line) = lines.try_recv()
        {
            append(&mut bytes, line);
        }
        let written = async {
            output.write_all(&bytes).await?;
            match lines.is_empty() {
                true => output.flush().await,
                false => Ok(()),
            }
        };
        if let Err(error) = written.await {
            tracing::info!(%error, "the output is closed");
            return;
        }
        // A large answer is not a reason to keep as much for ever.
        bytes.shrink_to(WRITE_BYTES);
    }
    if let Err(error) = output.flush().await {
        tracing::info!(%error, "the output is closed");
    }
}

/// Appends a line and its end; a long one to nothing is not copied.
fn append(bytes: &mut Vec<u8>, line: Vec<u8>) {
    match bytes.is_empty() && line.len() >= WRITE_BYTES {
        true => *bytes = line,
        false => bytes.extend_from_slice(&line),
    }
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_out_whole_and_in_order() {
        let pending = Arc::new(Pending::default());
        let id = RequestId::Number(1);
        assert!(pending.start(id.clone(), 1));
        let (output, lines) = Output::new(pending.clone());
        let broken = CancellationToken::new();
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let written: Vec<Vec<u8>> = [1, WRITE_BYTES, 2, WRITE_BYTES - 1, 3 * WRITE_BYTES, 5]
            .into_iter()
            .map(|length| vec![b'a'; length])
            .collect();
        for line in &written {
            output.send(Some(&id), line.clone()).await.unwrap();
        }
        pending.drained().await;
        drop(output);
        write(theirs, lines, broken.clone()).await;
        assert!(broken.is_cancelled());
        let mut read = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut { ours }, &mut read)
            .await
            .unwrap();
        let expect: Vec<u8> = written.join(&b'\n').into_iter().chain([b'\n']).collect();
        assert!(read == expect);
    }
}
