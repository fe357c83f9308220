//! What is checked: a cache behind the few operations that the checker needs.

use super::Source;
use crate::{Cache, ClassConfig, Config, Error, Fetch, Loaded};
use std::{convert::Infallible, num::NonZero, sync::Arc, time::Duration};

/// How something is invalidated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidateForm {
    /// By its key.
    Key,
    /// By one of its tags.
    Tag,
    /// By a pattern that its key matches.
    Pattern,
    /// By its namespace.
    Namespace,
    /// With everything.
    Clear,
}

impl InvalidateForm {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Key,
        Self::Tag,
        Self::Pattern,
        Self::Namespace,
        Self::Clear,
    ];
}

/// How a value gets into the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoadForm {
    /// The reader loads it.
    Foreground,
    /// It expires at once and is loaded anew in the background.
    Refresh,
    /// It is warmed before it is read.
    Warming,
}

impl LoadForm {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Foreground, Self::Refresh, Self::Warming];
}

/// A cache in front of a [`Source`]. A form that it does not have may be done by
/// another one that covers it.
pub trait Subject: Send + Sync + 'static {
    /// Reads through the cache; `None` if that failed.
    fn read(
        &self,
        key: u32,
        form: LoadForm,
        source: &Arc<Source>,
    ) -> impl Future<Output = Option<u64>> + Send;

    /// Invalidates `key`, and whatever else the form covers.
    fn invalidate(&self, key: u32, form: InvalidateForm) -> impl Future<Output = ()> + Send;

    /// Writes the source's next version, and has it in the cache; which one.
    fn write_through(&self, key: u32, source: &Arc<Source>) -> impl Future<Output = u64> + Send;
}

/// A configuration for a [`Cache`] under test: the class `refresh` lets values
/// expire at once, and there is room for a part of the keys only.
#[must_use]
pub fn cache_config() -> Config {
    let refresh = ClassConfig {
        ttl: Some(Duration::from_millis(1)),
        stale_while_revalidate: Duration::from_secs(3_600),
        ..ClassConfig::default()
    };
    Config {
        entries_max: NonZero::new(96),
        classes: [("refresh".to_owned(), refresh)].into(),
        sweep_interval: Some(Duration::from_millis(1)),
        ..Config::default()
    }
}

/// Keys, tags and namespaces overlap, so that most invalidations meet a load.
fn name(key: u32) -> String {
    format!("{}/{key}", key % 8)
}

async fn load(source: Arc<Source>, key: u32) -> Result<Loaded<u64>, Infallible> {
    Ok(tagged(source.read(key).await, key))
}

fn tagged(version: u64, key: u32) -> Loaded<u64> {
    let tags = [format!("all{}", key % 2), format!("some{}", key % 16)];
    let namespace = format!("{}", key % 4);
    Loaded::new(version).tags(tags).namespace(namespace)
}

/// See [`cache_config`].
impl Subject for Cache<String, u64> {
    async fn read(&self, key: u32, form: LoadForm, source: &Arc<Source>) -> Option<u64> {
        let name = name(key);
        let fetch = match form {
            LoadForm::Refresh => Fetch::new().class(self.class("refresh")?),
            _ => Fetch::new(),
        };
        if form == LoadForm::Warming {
            let source = Arc::clone(source);
            let loading = move |_: &String| load(Arc::clone(&source), key);
            self.warm(
                [name.clone()],
                fetch,
                NonZero::<usize>::MIN,
                loading,
                |_| {},
            )
            .await;
            return self.try_get(&name);
        }
        let source = Arc::clone(source);
        let answer = self.get_or_fetch_with(&name, fetch, move || load(source, key));
        let answer: Result<_, Error<Infallible>> = answer.await;
        answer.ok().map(|answer| answer.value)
    }

    async fn invalidate(&self, key: u32, form: InvalidateForm) {
        match form {
            InvalidateForm::Key => {
                self.invalidate(&name(key));
            }
            InvalidateForm::Tag => self.invalidate_by_tags(&[&format!("some{}", key % 16)]),
            InvalidateForm::Pattern => self.invalidate_pattern(&format!("{}/*", key % 8)),
            InvalidateForm::Namespace => self.invalidate_namespace(&format!("{}", key % 4)),
            InvalidateForm::Clear => self.clear(),
        }
    }

    async fn write_through(&self, key: u32, source: &Arc<Source>) -> u64 {
        let write = async || {
            tokio::task::yield_now().await;
            let version = source.write(key);
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(tagged(version, key))
        };
        match self.write_through(name(key), write).await {
            Ok(version) => version,
            Err(never) => match never {},
        }
    }
}
