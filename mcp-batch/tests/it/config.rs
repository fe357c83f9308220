//! What makes sense, what does not, and how it is written.

use mcp_batch::{BATCH_SIZE_MAX, BatchProcessor, Config, Overflow};
use std::time::Duration;

fn refused(config: &Config) -> Option<&'static str> {
    config.validate().err().map(|error| error.field)
}

#[test]
fn nonsense_is_named() {
    let base = Config::default;
    let check = |config: Config, field| assert_eq!(refused(&config), field, "{config:?}");
    check(base(), None);
    let max_batch_size = 0;
    check(
        Config {
            max_batch_size,
            ..base()
        },
        Some("max_batch_size"),
    );
    let max_batch_size = BATCH_SIZE_MAX + 1;
    check(
        Config {
            max_batch_size,
            ..base()
        },
        Some("max_batch_size"),
    );
    let max_concurrent_batches = 0;
    let config = Config {
        max_concurrent_batches,
        ..base()
    };
    check(config, Some("max_concurrent_batches"));
    check(
        Config {
            queue_len_max: 0,
            ..base()
        },
        Some("queue_len_max"),
    );
    let window = Duration::from_secs(3601);
    check(Config { window, ..base() }, Some("window"));
    check(
        Config {
            window: Duration::ZERO,
            ..base()
        },
        None,
    );
    let batch_bytes_max = Some(0);
    check(
        Config {
            batch_bytes_max,
            ..base()
        },
        Some("batch_bytes_max"),
    );
    check(
        Config {
            history_len: usize::MAX,
            ..base()
        },
        Some("history_len"),
    );
    let latency_goal = Some(Duration::ZERO);
    check(
        Config {
            latency_goal,
            ..base()
        },
        Some("latency_goal"),
    );
    let latency_goal = Some(Duration::from_millis(5));
    check(
        Config {
            latency_goal,
            ..base()
        },
        None,
    );
    let config = Config {
        latency_goal,
        adaptive_sizing: false,
        ..base()
    };
    check(config, Some("latency_goal"));
}

#[test]
fn it_is_written_and_read_back() {
    let config = Config {
        latency_goal: Some(Duration::from_millis(5)),
        overflow: Overflow::ShedOldest,
        ..Config::default()
    };
    let text = serde_json::to_string(&config).expect("JSON");
    assert!(text.contains(r#""window":"50ms""#), "{text}");
    assert!(text.contains(r#""latency_goal":"5ms""#), "{text}");
    assert!(text.contains(r#""overflow":"shed_oldest""#), "{text}");
    assert_eq!(
        serde_json::from_str::<Config>(&text).expect("valid"),
        config
    );
    let partial: Config = serde_json::from_str(r#"{"max_batch_size": 7}"#).expect("valid");
    assert_eq!(
        partial,
        Config {
            max_batch_size: 7,
            ..Config::default()
        }
    );
    assert!(serde_json::from_str::<Config>(r#"{"max_batch_sise": 7}"#).is_err());
    assert!(serde_json::from_str::<Config>(r#"{"window": "soon"}"#).is_err());
}

#[test]
fn it_must_be_built_inside_of_a_runtime() {
    let built = BatchProcessor::<u64, u64, ()>::new(&Config::default(), |_| async { vec![] });
    assert_eq!(built.err().map(|error| error.field), Some("runtime"));
}
