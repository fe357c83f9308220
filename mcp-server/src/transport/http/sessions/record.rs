//! What is kept of a session between its requests.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use mcp_streaming::Tx;
use rmcp::model::{ClientJsonRpcMessage, InitializeRequestParams, ProtocolVersion, RequestId};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::client::Client;

/// Where messages of the client go to a service that serves one of its requests.
pub(super) type Inbox = mpsc::Sender<ClientJsonRpcMessage>;

/// A session's client, and what of it is at work.
#[derive(Debug)]
pub(super) struct Record {
    /// What the client said of itself, with the revision that was agreed on.
    pub(super) peer: InitializeRequestParams,
    pub(super) client: Client,
    /// Cancelled when the session ends.
    pub(super) stop: CancellationToken,
    work: Mutex<Work>,
    next_question: AtomicI64,
}

/// A record in the keeping of its session, whose end stops the work.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) record: Arc<Record>,
    _stop: DropGuard,
}

impl Kept {
    pub(super) fn new(record: Record) -> Self {
        Self {
            _stop: record.stop.clone().drop_guard(),
            record: Arc::new(record),
        }
    }
}

/// What belongs to no request is whole when the session ends.
impl Drop for Kept {
    fn drop(&mut self) {
        let standing = self.record.with_standing(std::mem::take);
        standing.iter().for_each(Tx::finish);
    }
}

#[derive(Debug, Default)]
struct Work {
    /// Requests of the client, by their id.
    running: HashMap<RequestId, Running>,
    /// Requests to the client that it has not answered: who asks, under which id of its own.
    asked: HashMap<i64, (Inbox, RequestId)>,
    /// The streams for what belongs to no request.
    standing: Vec<Tx>,
}

/// Who does the work of a request.
#[derive(Debug, Clone)]
pub(super) enum Running {
    /// The front, in a task that this ends.
    Task(CancellationToken),
    /// A service that reads what the client has to say.
    Service(Inbox),
}

impl Record {
    pub(super) fn new(
        peer: InitializeRequestParams,
        client: Client,
        stop: CancellationToken,
    ) -> Self {
        Self {
            peer,
            client,
            stop,
            work: Mutex::default(),
            next_question: AtomicI64::new(0),
        }
    }

    /// Whether streams may begin with an event that carries only an id; clients from before
    /// 2025-11-25 take it for a broken message.
    pub(super) fn is_primed(&self) -> bool {
        // Revisions are dates: they compare as text.
        self.peer.protocol_version.as_str() >= ProtocolVersion::V_2025_11_25.as_str()
    }

    /// Whether several messages may come at once: 2025-03-26 has them, the one after no more.
    pub(super) fn has_batches(&self) -> bool {
        self.peer.protocol_version == ProtocolVersion::V_2025_03_26
    }

    /// Notes that the request `id` is at work.
    pub(super) fn begin(&self, id: RequestId, running: Running) {
        self.lock().running.insert(id, running);
    }

    /// The work on the request `id` has ended, and whatever it asked the client.
    pub(super) fn end(&self, id: &RequestId, inbox: Option<&Inbox>) {
        let mut work = self.lock();
        work.running.remove(id);
        if let Some(inbox) = inbox {
            work.asked
                .retain(|_, (asker, _)| !asker.same_channel(inbox));
        }
    }

    /// Who works on the request `id`.
    pub(super) fn running(&self, id: &RequestId) -> Option<Running> {
        self.lock().running.get(id).cloned()
    }

    /// All who read what the client says.
    pub(super) fn listeners(&self) -> Vec<Inbox> {
        let work = self.lock();
        let inboxes = work.running.values().filter_map(|running| match running {
            Running::Service(inbox) => Some(inbox.clone()),
            Running::Task(_) => None,
        });
        inboxes.collect()
    }

    /// The id under which the client is asked what `inbox` asks under `id`: each service counts for
    /// itself, and the client sees one session.
    pub(super) fn ask(&self, inbox: &Inbox, id: RequestId) -> RequestId {
        let number = self.next_question.fetch_add(1, Ordering::Relaxed);
        self.lock().asked.insert(number, (inbox.clone(), id));
        RequestId::Number(number)
    }

    /// The id under which the client was asked that, if it was.
    pub(super) fn asked_as(&self, inbox: &Inbox, id: &RequestId) -> Option<RequestId> {
        let work = self.lock();
        let mut asked = work.asked.iter();
        let found = asked.find(|(_, (asker, own))| own == id && asker.same_channel(inbox))?;
        Some(RequestId::Number(*found.0))
    }

    /// Who asked what the client answers under `id`.
    pub(super) fn asker(&self, id: &RequestId) -> Option<(Inbox, RequestId)> {
        let number = match id {
            RequestId::Number(number) => *number,
            RequestId::String(text) => text.parse().ok()?,
        };
        self.lock().asked.remove(&number)
    }

    /// The way for what belongs to no request: of the streams for that, the first that is read.
    pub(super) fn standing(&self) -> Option<Tx> {
        let work = self.lock();
        let read = work.standing.iter().find(|tx| tx.stats().has_reader);
        read.or_else(|| work.standing.first()).cloned()
    }

    /// The streams for what belongs to no request.
    pub(super) fn with_standing<T>(&self, visit: impl FnOnce(&mut Vec<Tx>) -> T) -> T {
        visit(&mut self.lock().standing)
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
