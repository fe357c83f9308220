//! The connections of a process.

use super::{
    RedisConfig,
    connect::{Connection, Endpoint},
    error,
    link::{Link, Use},
    script, unexpected,
};
use crate::{RemoteError, remote::Joined, sync::Mutex, sync::lock};
use redis::{Script, Value};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::timeout};

/// Calls that share a connection before the next one is used: many enough that
/// they travel together, and few enough that nobody waits for the others' bytes.
const SHARED_MAX: usize = 128;

pub(super) struct Pool {
    shared: Arc<Shared>,
    links: Box<[Arc<Link>]>,
    /// For values that are stored, which may be large: nobody's look waits behind
    /// their bytes.
    bulk: Arc<Link>,
    connecting: Mutex<JoinSet<()>>,
}

/// What every connection is made with.
pub(super) struct Shared {
    pub(super) endpoint: Endpoint,
    timeout: Duration,
    pub(super) names: Names,
    join: Script,
    /// The highest number that was seen.
    known: AtomicU64,
    made: AtomicU64,
}

/// The keys of the tier itself.
pub(super) struct Names {
    pub(super) prefix: Vec<u8>,
    pub(super) epoch: String,
    pub(super) stamps: String,
    pub(super) channel: String,
}

impl Pool {
    pub(super) fn new(config: &RedisConfig) -> Result<Self, RemoteError> {
        let endpoint = Endpoint::new(config).map_err(|failed| error(&failed))?;
        let namespace = &config.namespace;
        let links = std::iter::repeat_with(|| Arc::new(Link::new()));
        Ok(Self {
            shared: Arc::new(Shared {
                endpoint,
                timeout: config.connect_timeout,
                names: Names {
                    prefix: format!("{namespace}:").into_bytes(),
                    epoch: format!("{{{namespace}}}:epoch"),
                    stamps: format!("{{{namespace}}}:stamps"),
                    channel: format!("{{{namespace}}}:bus"),
                },
                join: Script::new(script::JOIN),
                known: AtomicU64::new(0),
                made: AtomicU64::new(0),
            }),
            links: links.take(config.connections).collect(),
            bulk: Arc::new(Link::new()),
            connecting: Mutex::new(JoinSet::new()),
        })
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// A connection: the first one that is there and not busy. Where there is
    /// none, one more is made; the caller waits for it only if no other is there.
    pub(super) async fn get(&self) -> Result<Use, RemoteError> {
        let busy = |link: &&Arc<Link>| link.in_flight.load(Ordering::Relaxed);
        let free = |link: &&Arc<Link>| busy(link) < SHARED_MAX;
        if let Some(used) = self.links.iter().filter(free).find_map(Link::used) {
            return Ok(used);
        }
        let next = self.links.iter().find(|link| !link.is_up());
        if let Some(link) = next.filter(|link| link.claim()) {
            self.connect(link);
        }
        let up = self.links.iter().filter(|link| link.is_up());
        if let Some(used) = up.min_by_key(busy).and_then(Link::used) {
            return Ok(used);
        }
        match next {
            Some(link) => link.get().await,
            None => Err(unexpected("no connections")),
        }
    }

    /// The connection for values that are stored.
    pub(super) async fn get_bulk(&self) -> Result<Use, RemoteError> {
        if self.bulk.claim() {
            self.connect(&self.bulk);
        }
        self.bulk.get().await
    }

    /// Gives up all connections there are: another server is to be found.
    pub(super) fn close_all(&self, reason: &str) {
        for link in self.links.iter().chain([&self.bulk]) {
            link.close(reason);
        }
    }

    /// On a task of its own, since whoever needs it has less time than that may
    /// take.
    fn connect(&self, link: &Arc<Link>) {
        let (shared, link) = (Arc::clone(&self.shared), Arc::clone(link));
        let mut connecting = lock(&self.connecting);
        while connecting.try_join_next().is_some() {}
        connecting.spawn(async move {
            let limit = shared.timeout;
            let made = timeout(limit, shared.connect()).await;
            let made = made.unwrap_or(Err(RemoteError::DeadlineExceeded { limit }));
            link.connected(made, shared.made.fetch_add(1, Ordering::Relaxed));
        });
    }
}

impl Shared {
    /// Joins before anything else is asked: a server that was restarted with old
    /// content is noticed by whoever reaches it first.
    async fn connect(&self) -> Result<Connection, RemoteError> {
        let made = self.endpoint.connect(self.timeout).await;
        let mut connection = made.map_err(|failed| error(&failed))?;
        let forget = crate::remote::forget_message();
        let joined = self.join_on(&mut connection, 0, false, &forget).await;
        joined.map_err(|failed| error(&failed))??;
        Ok(connection)
    }

    pub(super) async fn join_on(
        &self,
        connection: &mut Connection,
        known: u64,
        force: bool,
        forget: &[u8],
    ) -> redis::RedisResult<Result<Joined, RemoteError>> {
        let known = self.known.load(Ordering::Relaxed).max(known);
        let mut call = self.join.key(&self.names.epoch);
        call.key(&self.names.stamps)
            .arg(&self.names.channel)
            .arg(forget)
            .arg(known)
            .arg(u8::from(force));
        let value = connection.invoke(&call).await?;
        let Value::Array(numbers) = value else {
            return Ok(Err(unexpected("a join")));
        };
        let [Value::Int(epoch), Value::Int(base)] = numbers[..] else {
            return Ok(Err(unexpected("a join")));
        };
        let (Ok(epoch), Ok(base)) = (u64::try_from(epoch), u64::try_from(base)) else {
            return Ok(Err(unexpected("a join")));
        };
        let joined = Joined { epoch, base };
        self.knows(joined.epoch);
        Ok(Ok(joined))
    }

    /// A number that the store has given.
    pub(super) fn knows(&self, number: u64) {
        self.known.fetch_max(number, Ordering::Relaxed);
    }
}
