//! The peers, each with 8 connections and a wait of 30 s.

use crate::loads::{Conn, Gauge, POOL_SIZE, Rival, run};
use std::{convert::Infallible, ops::Deref, time::Duration};

const WAIT: Duration = Duration::from_secs(30);

pub(crate) fn run_all() {
    run("deadpool", Deadpool::new);
    run("bb8", Bb8::new);
    run("mobc", Mobc::new);
}

struct Connector {
    gauge: Gauge,
    takes: Duration,
}

impl deadpool::managed::Manager for Connector {
    type Type = Conn;
    type Error = Infallible;

    async fn create(&self) -> Result<Conn, Infallible> {
        Ok(self.gauge.connect(self.takes).await)
    }

    async fn recycle(
        &self,
        _: &mut Conn,
        _: &deadpool::managed::Metrics,
    ) -> deadpool::managed::RecycleResult<Infallible> {
        Ok(())
    }
}

#[derive(Clone)]
struct Deadpool(deadpool::managed::Pool<Connector>);

impl Deadpool {
    fn new(gauge: Gauge, takes: Duration) -> Self {
        let pool = deadpool::managed::Pool::builder(Connector { gauge, takes })
            .max_size(POOL_SIZE)
            .wait_timeout(Some(WAIT))
            .runtime(deadpool::Runtime::Tokio1)
            .build();
        Self(pool.expect("a valid configuration"))
    }
}

impl Rival for Deadpool {
    type Held<'a> = deadpool::managed::Object<Connector>;

    async fn get(&self) -> Self::Held<'_> {
        self.0.get().await.expect("a connection")
    }
}

impl bb8::ManageConnection for Connector {
    type Connection = Conn;
    type Error = Infallible;

    async fn connect(&self) -> Result<Conn, Infallible> {
        Ok(self.gauge.connect(self.takes).await)
    }

    async fn is_valid(&self, _: &mut Conn) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _: &mut Conn) -> bool {
        false
    }
}

#[derive(Clone)]
struct Bb8(bb8::Pool<Connector>);

impl Bb8 {
    fn new(gauge: Gauge, takes: Duration) -> Self {
        let size = u32::try_from(POOL_SIZE).expect("small");
        let pool = bb8::Pool::builder()
            .max_size(size)
            .connection_timeout(WAIT)
            .build_unchecked(Connector { gauge, takes });
        Self(pool)
    }
}

impl Rival for Bb8 {
    type Held<'a> = bb8::PooledConnection<'a, Connector>;

    async fn get(&self) -> Self::Held<'_> {
        self.0.get().await.expect("a connection")
    }
}

#[mobc::async_trait]
impl mobc::Manager for Connector {
    type Connection = Conn;
    type Error = Infallible;

    async fn connect(&self) -> Result<Conn, Infallible> {
        Ok(self.gauge.connect(self.takes).await)
    }

    async fn check(&self, conn: Conn) -> Result<Conn, Infallible> {
        Ok(conn)
    }
}

#[derive(Clone)]
struct Mobc(mobc::Pool<Connector>);

/// Its guard, whose target is behind two steps.
struct MobcHeld(mobc::Connection<Connector>);

impl Deref for MobcHeld {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.0
    }
}

impl Mobc {
    fn new(gauge: Gauge, takes: Duration) -> Self {
        let size = u64::try_from(POOL_SIZE).expect("small");
        let pool = mobc::Pool::builder()
            .max_open(size)
            .max_idle(size)
            .get_timeout(Some(WAIT))
            .build(Connector { gauge, takes });
        Self(pool)
    }
}

impl Rival for Mobc {
    type Held<'a> = MobcHeld;

    async fn get(&self) -> Self::Held<'_> {
        MobcHeld(self.0.get().await.expect("a connection"))
    }
}
