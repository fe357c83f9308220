//! Which clients are connected, and what each has asked for so far.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{call::Lane, memory::Owner};

/// What carries a client's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// A session over HTTP.
    Http,
    /// A WebSocket.
    WebSocket,
    /// Standard input and output.
    Stdio,
}

/// What is known of one client that is connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ClientStats {
    /// Whose data it works on.
    pub user_id: String,
    /// What kind of client it is.
    pub client_type: Lane,
    /// When it connected.
    #[schemars(with = "String")]
    pub connection_time: Timestamp,
    /// The calls of tools it has made since.
    pub request_count: u64,
    /// How it is connected.
    pub transport: Transport,
}

/// The clients that are connected: sessions, and the client on standard input and output. Clients
/// that send each request by itself (revision 2026-07-28 over HTTP) are never connected.
///
/// Holds one entry per session, so the bound on sessions bounds it. Clones share the entries.
#[derive(Debug, Clone, Default)]
pub struct Clients(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    next_id: u64,
    /// By the order in which they connected.
    by_id: BTreeMap<u64, Arc<Entry>>,
}

struct Entry {
    owner: Owner,
    lane: AtomicU8,
    connected: Timestamp,
    requests: AtomicU64,
    transport: Transport,
}

/// One connected client. Dropping it disconnects it.
#[derive(Debug)]
pub struct Client {
    clients: Clients,
    id: u64,
    entry: Arc<Entry>,
}

impl Clients {
    /// Notes a client that has connected.
    #[must_use]
    pub fn connect(&self, owner: Owner, lane: Lane, transport: Transport) -> Client {
        let entry = Arc::new(Entry {
            owner,
            lane: AtomicU8::new(code(lane)),
            connected: Timestamp::now(),
            requests: AtomicU64::new(0),
            transport,
        });
        let mut entries = self.lock();
        let id = entries.next_id;
        entries.next_id += 1;
        entries.by_id.insert(id, entry.clone());
        Client {
            clients: self.clone(),
            id,
            entry,
        }
    }

    /// The clients that are connected at this moment, the longest connected first.
    #[must_use]
    pub fn stats(&self) -> Vec<ClientStats> {
        self.lock()
            .by_id
            .values()
            .map(|entry| entry.stats())
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// Counts a call.
    pub fn count_call(&self) {
        self.entry.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Whose data it works on.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.entry.owner
    }

    /// The lane it is in.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.entry.lane()
    }

    /// Puts it into the lane that turned out to be its own.
    pub fn set_lane(&self, lane: Lane) {
        self.entry.lane.store(code(lane), Ordering::Relaxed);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.clients.lock().by_id.remove(&self.id);
    }
}

impl Entry {
    fn lane(&self) -> Lane {
        let code = self.lane.load(Ordering::Relaxed);
        Lane::ALL[usize::from(code)]
    }

    fn stats(&self) -> ClientStats {
        ClientStats {
            user_id: self.owner.as_str().to_owned(),
            client_type: self.lane(),
            connection_time: self.connected,
            request_count: self.requests.load(Ordering::Relaxed),
            transport: self.transport,
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

fn code(lane: Lane) -> u8 {
    lane as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_lives_as_long_as_its_client() {
        let clients = Clients::default();
        assert_eq!(clients.stats(), []);
        let first = clients.connect(Owner::local(), Lane::Cursor, Transport::Http);
        let second = clients.connect(Owner::new("ann"), Lane::Other, Transport::Stdio);
        first.count_call();
        first.count_call();
        second.set_lane(Lane::Vscode);
        let known = |clients: &Clients| -> Vec<_> {
            clients
                .stats()
                .into_iter()
                .map(|client| (client.user_id, client.client_type, client.request_count))
                .collect()
        };
        assert_eq!(
            known(&clients),
            [
                ("local".to_owned(), Lane::Cursor, 2),
                ("ann".to_owned(), Lane::Vscode, 0)
            ]
        );
        drop(first);
        assert_eq!(known(&clients), [("ann".to_owned(), Lane::Vscode, 0)]);
        drop(second);
        assert_eq!(clients.stats(), []);
    }
}
