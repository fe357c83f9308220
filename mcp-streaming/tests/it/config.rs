//! What makes sense, what does not, and how it is written.

use mcp_streaming::{
    BUDGET_BYTES_MAX, Budget, BudgetConfig, ConfigError, SessionConfig, SlowConsumer, StreamConfig,
    TIME_MAX,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt::Debug, time::Duration};

fn field(result: Result<(), ConfigError>) -> &'static str {
    result.err().map_or("", |error| error.field)
}

#[test]
fn nonsense_is_named() {
    let check = |change: fn(&mut BudgetConfig), expect| {
        let mut config = BudgetConfig::default();
        change(&mut config);
        assert_eq!(field(config.validate()), expect, "{config:?}");
    };
    check(|_| {}, "");
    check(|c| c.bytes_max = 1023, "bytes_max");
    check(|c| c.bytes_max = BUDGET_BYTES_MAX + 1, "bytes_max");
    check(|c| c.high_watermark = 0.0, "high_watermark");
    check(|c| c.high_watermark = 1.1, "high_watermark");
    check(|c| c.high_watermark = f64::NAN, "high_watermark");
    check(|c| c.low_watermark = 0.95, "low_watermark");
    check(|c| c.low_watermark = 0.0001, "low_watermark");
    check(|c| c.stall_timeout = Duration::ZERO, "stall_timeout");

    let check = |change: fn(&mut StreamConfig), expect| {
        let mut config = StreamConfig::default();
        change(&mut config);
        assert_eq!(field(config.validate()), expect, "{config:?}");
    };
    check(|_| {}, "");
    check(|c| c.bytes_max = 0, "bytes_max");
    check(|c| c.replay_bytes_max = c.bytes_max + 1, "replay_bytes_max");
    check(|c| c.idle_timeout = Some(TIME_MAX * 2), "idle_timeout");
    let never = |c: &mut StreamConfig| {
        c.slow_consumer = SlowConsumer::Wait {
            at_most: Duration::ZERO,
        };
    };
    check(never, "slow_consumer.at_most");

    let check = |change: fn(&mut SessionConfig), expect| {
        let mut config = SessionConfig::default();
        change(&mut config);
        assert_eq!(field(config.validate()), expect, "{config:?}");
    };
    check(|_| {}, "");
    check(|c| c.bytes_max = 100, "bytes_max");
    check(|c| c.stream.bytes_max = c.bytes_max + 1, "stream.bytes_max");
    check(|c| c.streams_max = 0, "streams_max");
    check(|c| c.sessions_max = 0, "sessions_max");
    check(|c| c.sessions_per_owner_max = 0, "sessions_per_owner_max");
    check(|c| c.init_timeout = Duration::ZERO, "init_timeout");
    check(|c| c.idle_timeout = Duration::ZERO, "idle_timeout");
    check(|c| c.busy_for = c.idle_timeout * 2, "busy_for");
    check(|c| c.life_time = Some(Duration::ZERO), "life_time");
}

fn read_back<T: Serialize + DeserializeOwned + PartialEq + Debug + Default>(config: &T) -> String {
    let text = serde_json::to_string(config).expect("JSON");
    assert_eq!(&serde_json::from_str::<T>(&text).expect("valid"), config);
    assert_eq!(
        serde_json::from_str::<T>("{}").expect("valid"),
        T::default()
    );
    assert!(serde_json::from_str::<T>(r#"{"bytes_maxx": 1}"#).is_err());
    text
}

#[test]
fn it_is_written_and_read_back() {
    read_back(&BudgetConfig::default());
    read_back(&SessionConfig::default());
    for slow_consumer in [
        SlowConsumer::Wait {
            at_most: Duration::from_secs(3),
        },
        SlowConsumer::Coalesce {
            at_most: Duration::from_millis(5),
        },
        SlowConsumer::DropHistory,
        SlowConsumer::Disconnect,
    ] {
        read_back(&StreamConfig {
            slow_consumer,
            ..StreamConfig::default()
        });
    }
    let text = read_back(&StreamConfig::default());
    let expect = r#""slow_consumer":{"policy":"wait","at_most":"30s"},"idle_timeout":"5m""#;
    assert!(text.contains(expect), "{text}");
}

#[test]
fn a_policy_has_no_other_fields() {
    for policy in ["wait", "drop_history", "coalesce", "disconnect"] {
        let text = format!(r#"{{"policy":"{policy}","at_most":"3s","at_mostt":"3s"}}"#);
        assert!(
            serde_json::from_str::<SlowConsumer>(&text).is_err(),
            "{text}"
        );
    }
    let text = r#"{"policy":"disconnect"}"#;
    let policy = SlowConsumer::Disconnect;
    assert_eq!(serde_json::to_string(&policy).expect("JSON"), text);
}

#[test]
fn it_must_be_made_inside_of_a_runtime() {
    let made = Budget::new(&BudgetConfig::default()).map(drop);
    assert_eq!(field(made), "runtime");
}
