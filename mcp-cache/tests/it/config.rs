//! What a cache can be told, and what it refuses.

use mcp_cache::{AdaptiveConfig, Cache, ClassConfig, CompressConfig, Config};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn refused(config: &Config) -> Option<&'static str> {
    config.validate().err().map(|error| error.field)
}

fn class(change: impl FnOnce(&mut ClassConfig)) -> Option<&'static str> {
    let mut class = ClassConfig::default();
    change(&mut class);
    let classes = [("named".to_owned(), class)].into();
    refused(&Config {
        classes,
        ..Config::default()
    })
}

fn adaptive(change: impl FnOnce(&mut AdaptiveConfig)) -> Option<&'static str> {
    let mut adaptive = AdaptiveConfig::default();
    change(&mut adaptive);
    class(|class| class.adaptive = Some(adaptive))
}

#[test]
fn what_makes_no_sense_is_named() {
    let rows = [
        (class(|_| ()), None),
        (class(|class| class.ttl = None), None),
        (class(|class| class.ttl = Some(Duration::ZERO)), Some("ttl")),
        (class(|class| class.ttl = Some(YEAR)), Some("ttl")),
        (class(|class| class.jitter = 1.0), Some("jitter")),
        (class(|class| class.jitter = f64::NAN), Some("jitter")),
        (
            class(|class| class.refresh_ahead = 0.95),
            Some("refresh_ahead"),
        ),
        (
            class(|class| class.stale_while_revalidate = YEAR),
            Some("stale_while_revalidate"),
        ),
        (
            class(|class| class.stale_on_error = YEAR),
            Some("stale_on_error"),
        ),
        (class(|class| class.error_ttl = YEAR), Some("error_ttl")),
        (
            class(|class| class.soft_deadline = Some(MS)),
            Some("soft_deadline"),
        ),
        (
            class(|class| {
                class.stale_on_error = MS;
                class.soft_deadline = Some(2 * MS);
                class.hard_deadline = Some(MS);
            }),
            Some("soft_deadline"),
        ),
        (
            class(|class| {
                class.stale_while_revalidate = MS;
                class.stale_on_error = MS;
                class.soft_deadline = Some(MS);
            }),
            Some("soft_deadline"),
        ),
        (
            class(|class| {
                class.ttl = None;
                class.invalidated_on_error = true;
            }),
            Some("invalidated_on_error"),
        ),
        (
            class(|class| class.hard_deadline = Some(Duration::ZERO)),
            Some("hard_deadline"),
        ),
        (adaptive(|_| ()), None),
        (
            adaptive(|adaptive| adaptive.ttl_min = Duration::ZERO),
            Some("adaptive.ttl_min"),
        ),
        (
            adaptive(|adaptive| adaptive.ttl_max = MS),
            Some("adaptive.ttl_max"),
        ),
        (
            adaptive(|adaptive| adaptive.ttl_max = Duration::MAX),
            Some("adaptive.ttl_max"),
        ),
        (
            adaptive(|adaptive| adaptive.stale_share = 0.0),
            Some("adaptive.stale_share"),
        ),
        (
            adaptive(|adaptive| adaptive.stale_share = f64::NAN),
            Some("adaptive.stale_share"),
        ),
        (
            adaptive(|adaptive| adaptive.groups = 0),
            Some("adaptive.groups"),
        ),
        (
            class(|class| {
                class.ttl = None;
                class.adaptive = Some(AdaptiveConfig::default());
            }),
            Some("adaptive"),
        ),
        (
            refused(&Config {
                sweep_interval: Some(Duration::ZERO),
                ..Config::default()
            }),
            Some("sweep_interval"),
        ),
        (
            refused(&Config {
                background_max: 0,
                ..Config::default()
            }),
            Some("background_max"),
        ),
        (
            refused(&Config {
                errors_max: 0,
                ..Config::default()
            }),
            Some("errors_max"),
        ),
        (
            refused(&Config {
                tag_stats_max: 1 << 30,
                ..Config::default()
            }),
            Some("tag_stats_max"),
        ),
    ];
    for (number, (found, expect)) in rows.into_iter().enumerate() {
        assert_eq!(found, expect, "row {number}");
    }
    let config = Config {
        background_max: 0,
        ..Config::default()
    };
    let error = Cache::<String, u64>::new(&config).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "background_max must be from 1 to 1048576"
    );
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let config = Config::default();
    assert_eq!(config.bytes_max.map(|max| max.get()), Some(256 << 20));
    assert_eq!(config.entries_max, None);
    assert_eq!(config.default_class.ttl, Some(Duration::from_secs(300)));
    assert_eq!(config.validate(), Ok(()));
}

#[test]
fn it_is_read_from_text_and_written_back() {
    let text = r#"{
        "bytes_max": null,
        "entries_max": 10000,
        "default_class": {"ttl": "90s", "adaptive": {"ttl_max": "2h"}},
        "classes": {"manifest": {"ttl": "1h", "stale_on_error": "24h", "soft_deadline": "250ms"}},
        "sweep_interval": null
    }"#;
    let config: Config = serde_json::from_str(text).expect("a configuration");
    assert_eq!(config.validate(), Ok(()));
    let manifest = &config.classes["manifest"];
    assert_eq!(manifest.stale_on_error, Duration::from_secs(86_400));
    assert_eq!(
        manifest.jitter.to_bits(),
        ClassConfig::default().jitter.to_bits()
    );
    let written = serde_json::to_string(&config).expect("text");
    assert_eq!(
        serde_json::from_str::<Config>(&written).expect("the same"),
        config
    );
    for unknown in [r#"{"byte_max": 1}"#, r#"{"default_class": {"tll": "1s"}}"#] {
        assert!(
            serde_json::from_str::<Config>(unknown).is_err(),
            "{unknown}"
        );
    }
    let compress: CompressConfig = serde_json::from_str(r#"{"algorithm": "lz4"}"#).expect("lz4");
    assert_eq!(compress, CompressConfig::default());
}

/// A cache can be made, used and swept without a runtime.
#[test]
fn it_needs_no_runtime() {
    let cache: Cache<String, u64> = Cache::new(&Config::default()).expect("valid");
    cache.insert("a".into(), 1, ["t"]);
    assert_eq!(cache.try_get("a"), Some(1));
    cache.invalidate_by_tags(&["t"]);
    assert_eq!((cache.try_get("a"), cache.sweep()), (None, 0));
}
