//! How the peers load, and how they are invalidated while they do.

use crate::{
    fetch::{FetchRival, Fetcher},
    stale::{Known, check},
};
use bytes::Bytes;
use mcp_cache::history::{InvalidateForm, LoadForm, Source, Subject};
use std::{convert::Infallible, io, sync::Arc};
use tokio::runtime::Runtime;

const ENTRIES: usize = 200_000;

pub(crate) fn fetch_peers() -> Vec<FetchRival> {
    vec![
        FetchRival::new("quick_cache", quick::<Bytes>),
        FetchRival::new("moka", moka::<Bytes>),
        FetchRival::new("foyer, s3fifo", foyer::<Bytes>),
    ]
}

/// Moka and foyer serve a value that was invalidated while it was loaded;
/// quick_cache does not, if it was by its key.
pub(crate) fn check_peers(runtime: &Runtime) {
    use InvalidateForm::{Clear, Key};
    check(runtime, "quick_cache", quick(), (Key, Known::Never));
    for form in [Key, Clear] {
        check(runtime, "moka", moka(), (form, Known::Stale));
        check(runtime, "foyer, s3fifo", foyer(), (form, Known::Stale));
    }
}

struct Quick<V>(quick_cache::sync::Cache<u64, V>);
struct Moka<V>(moka::future::Cache<u64, V>);
struct Foyer<V>(foyer_memory::Cache<u64, V>)
where
    V: Clone + Send + Sync + 'static;

fn quick<V: Clone>() -> Quick<V> {
    Quick(quick_cache::sync::Cache::new(ENTRIES))
}

fn moka<V: Clone + Send + Sync + 'static>() -> Moka<V> {
    Moka(moka::future::Cache::new(ENTRIES as u64))
}

fn foyer<V: Clone + Send + Sync + 'static>() -> Foyer<V> {
    let s3fifo = foyer_memory::EvictionConfig::S3Fifo(foyer_memory::S3FifoConfig::default());
    let builder = foyer_memory::CacheBuilder::new(ENTRIES).with_eviction_config(s3fifo);
    Foyer(builder.build())
}

impl<V: Clone + Send + Sync + 'static> Quick<V> {
    async fn load(&self, key: u64, load: impl Future<Output = V> + Send) -> V {
        let load = async { Ok::<_, Infallible>(load.await) };
        match self.0.get_or_insert_async(&key, load).await {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }
}

impl<V: Clone + Send + Sync + 'static> Moka<V> {
    async fn load(&self, key: u64, load: impl Future<Output = V> + Send) -> V {
        self.0.get_with_by_ref(&key, load).await
    }
}

impl<V: Clone + Send + Sync + 'static> Foyer<V> {
    async fn load(&self, key: u64, load: impl Future<Output = V> + Send + 'static) -> V {
        let load = || async { Ok::<_, io::Error>(load.await) };
        let entry = self.0.get_or_fetch(&key, load).await.expect("loaded");
        entry.value().clone()
    }
}

macro_rules! fetcher {
    ($($peer:ident),*) => {
        $(impl Fetcher for $peer<Bytes> {
            async fn fetch(
                &self,
                key: u64,
                load: impl Future<Output = Bytes> + Send + 'static,
            ) -> Bytes {
                self.load(key, load).await
            }
        })*
    };
}

fetcher!(Quick, Moka, Foyer);

/// By key and by clearing, in the foreground: all that they have in common.
macro_rules! subject {
    ($($peer:ident: $remove:expr, $clear:expr;)*) => {
        $(impl Subject for $peer<u64> {
            async fn read(&self, key: u32, _: LoadForm, source: &Arc<Source>) -> Option<u64> {
                let source = Arc::clone(source);
                let load = async move { source.read(key).await };
                Some(self.load(u64::from(key), load).await)
            }

            async fn invalidate(&self, key: u32, form: InvalidateForm) {
                match form {
                    InvalidateForm::Clear => $clear(&self.0),
                    _ => $remove(&self.0, u64::from(key)).await,
                }
            }

            async fn write_through(&self, key: u32, source: &Arc<Source>) -> u64 {
                let version = source.write(key);
                self.invalidate(key, InvalidateForm::Key).await;
                version
            }
        })*
    };
}

type QuickMap = quick_cache::sync::Cache<u64, u64>;
type MokaMap = moka::future::Cache<u64, u64>;
type FoyerMap = foyer_memory::Cache<u64, u64>;

subject! {
    Quick: async |cache: &QuickMap, key| { cache.remove(&key); }, |cache: &QuickMap| cache.clear();
    Moka: async |cache: &MokaMap, key| cache.invalidate(&key).await, |cache: &MokaMap| cache.invalidate_all();
    Foyer: async |cache: &FoyerMap, key| drop(cache.remove(&key)), |cache: &FoyerMap| cache.clear();
}
