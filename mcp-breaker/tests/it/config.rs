//! Bad input: every field that makes no sense is named.

use mcp_breaker::{
    Breaker, Config, ConfigError, GradientConfig, HalfOpenConfig, LimitConfig, OpenConfig,
    RegistryConfig, RetryConfig, ThrottleConfig, WindowConfig,
};
use std::time::Duration;

const ZERO: Duration = Duration::ZERO;
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn check(field: &str, change: impl FnOnce(&mut Config)) {
    let mut config = Config::default();
    change(&mut config);
    let error = config.validate().expect_err(field);
    assert_eq!(error.field, field);
    assert!(error.to_string().starts_with(field) && error.to_string().len() > field.len() + 5);
    assert_eq!(
        Breaker::new(&config).expect_err(field),
        error,
        "the constructor checks too"
    );
}

#[test]
fn the_default_is_valid() {
    assert_eq!(Config::default().validate(), Ok(()));
    assert_eq!(RegistryConfig::default().validate(), Ok(()));
    assert_eq!(RetryConfig::default().validate(), Ok(()));
    assert_eq!(ThrottleConfig::default().validate(), Ok(()));
}

#[test]
fn thresholds_that_make_no_sense_are_named() {
    check("consecutive_failures", |config| {
        config.consecutive_failures = Some(0)
    });
    for rate in [0.0, -0.5, 1.01, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        check("failure_rate", |config| config.failure_rate = Some(rate));
        check("slow_rate", |config| config.slow_rate = Some(rate));
    }
    check("slow_after", |config| config.slow_after = ZERO);
    check("slow_after", |config| config.slow_after = YEAR);
    check("calls_min", |config| config.calls_min = 0);
    check("events_capacity", |config| config.events_capacity = 0);
    check("events_capacity", |config| {
        config.events_capacity = usize::MAX
    });
}

#[test]
fn thresholds_that_contradict_each_other_are_named() {
    check("failure_rate", |config| {
        config.failure_rate = None;
        config.consecutive_failures = None;
    });
    check("calls_min", |config| {
        config.window = WindowConfig::Count { size: 19 }
    });
}

#[test]
fn windows_that_make_no_sense_are_named() {
    let time = |duration, buckets| WindowConfig::Time { duration, buckets };
    check("window.size", |config| {
        config.window = WindowConfig::Count { size: 0 }
    });
    check("window.size", |config| {
        config.window = WindowConfig::Count { size: 65_537 }
    });
    check("window.buckets", |config| {
        config.window = time(Duration::from_secs(10), 9)
    });
    check("window.buckets", |config| {
        config.window = time(Duration::from_secs(10), 61)
    });
    check("window.duration", |config| config.window = time(ZERO, 10));
    check("window.duration", |config| {
        config.window = time(Duration::from_millis(9), 10)
    });
    check("window.duration", |config| config.window = time(YEAR, 10));
}

#[test]
fn delays_that_make_no_sense_are_named() {
    fn check_open(field: &str, change: impl FnOnce(&mut OpenConfig)) {
        check(field, |config| change(&mut config.open));
    }
    check_open("open.delay", |open| open.delay = ZERO);
    check_open("open.delay", |open| open.delay = YEAR);
    check_open("open.delay_max", |open| {
        open.delay_max = Duration::from_secs(1)
    });
    check_open("open.delay_max", |open| open.delay_max = YEAR);
    for factor in [0.0, 0.99, 10.1, f64::NAN] {
        check_open("open.factor", |open| open.factor = factor);
    }
    for jitter in [-0.1, 1.1, f64::NAN] {
        check_open("open.jitter", |open| open.jitter = jitter);
    }
    check_open("open.retry_after_max", |open| open.retry_after_max = YEAR);
}

#[test]
fn probes_that_make_no_sense_are_named() {
    fn check_probes(field: &str, change: impl FnOnce(&mut HalfOpenConfig)) {
        check(field, |config| change(&mut config.half_open));
    }
    check_probes("half_open.probes_max", |probes| probes.probes_max = 0);
    check_probes("half_open.successes_to_close", |probes| {
        probes.successes_to_close = 0
    });
    check_probes("half_open.successes_to_close", |probes| {
        probes.successes_to_close = 4
    });
    check_probes("half_open.probe_timeout", |probes| {
        probes.probe_timeout = ZERO
    });
}

#[test]
fn limits_that_make_no_sense_are_named() {
    fn check_gradient(field: &str, change: impl FnOnce(&mut GradientConfig)) {
        let mut gradient = GradientConfig::default();
        change(&mut gradient);
        check(field, |config| {
            config.limit = LimitConfig::Gradient(gradient)
        });
    }
    check("limit.max_in_flight", |config| {
        config.limit = LimitConfig::Fixed { max_in_flight: 0 }
    });
    check_gradient("limit.min", |gradient| gradient.min = 0);
    check_gradient("limit.max", |gradient| gradient.max = 3);
    check_gradient("limit.initial", |gradient| gradient.initial = 1);
    check_gradient("limit.initial", |gradient| gradient.initial = 201);
    for bad in [f64::NAN, 0.5, 11.0] {
        check_gradient("limit.tolerance", |gradient| gradient.tolerance = bad);
    }
    for bad in [f64::NAN, 0.0, 1.5] {
        check_gradient("limit.smoothing", |gradient| gradient.smoothing = bad);
    }
    check_gradient("limit.samples", |gradient| gradient.samples = 0);
}

fn field_of(result: Result<(), ConfigError>) -> &'static str {
    result.expect_err("it makes no sense").field
}

#[test]
fn policies_that_make_no_sense_are_named() {
    let throttle = ThrottleConfig::default;
    assert_eq!(
        field_of(
            ThrottleConfig {
                buckets: 9,
                ..throttle()
            }
            .validate()
        ),
        "buckets"
    );
    assert_eq!(
        field_of(
            ThrottleConfig {
                window: ZERO,
                ..throttle()
            }
            .validate()
        ),
        "window"
    );
    assert_eq!(
        field_of(
            ThrottleConfig {
                window: YEAR,
                ..throttle()
            }
            .validate()
        ),
        "window"
    );
    for bad in [0.9, 101.0, f64::NAN] {
        let config = ThrottleConfig {
            requests_per_accept: bad,
            ..throttle()
        };
        assert_eq!(field_of(config.validate()), "requests_per_accept");
    }
    let retry = RetryConfig::default;
    assert_eq!(
        field_of(
            RetryConfig {
                ratio: f64::NAN,
                ..retry()
            }
            .validate()
        ),
        "ratio"
    );
    assert_eq!(
        field_of(
            RetryConfig {
                ratio: 0.0,
                min_per_second: 0,
                ..retry()
            }
            .validate()
        ),
        "ratio"
    );
    assert_eq!(
        field_of(
            RetryConfig {
                min_per_second: u32::MAX,
                ..retry()
            }
            .validate()
        ),
        "min_per_second"
    );
    assert_eq!(
        field_of(
            RetryConfig {
                ttl: ZERO,
                ..retry()
            }
            .validate()
        ),
        "ttl"
    );
    let registry = RegistryConfig::default;
    assert_eq!(
        field_of(
            RegistryConfig {
                keys_max: 0,
                ..registry()
            }
            .validate()
        ),
        "keys_max"
    );
    assert_eq!(
        field_of(
            RegistryConfig {
                idle_timeout: ZERO,
                ..registry()
            }
            .validate()
        ),
        "idle_timeout"
    );
    let breaker = Config {
        calls_min: 0,
        ..Config::default()
    };
    assert_eq!(
        field_of(
            RegistryConfig {
                breaker,
                ..registry()
            }
            .validate()
        ),
        "calls_min"
    );
}

#[test]
fn a_configuration_is_written_and_read_back() {
    let config = Config {
        window: WindowConfig::Time {
            duration: Duration::from_millis(2500),
            buckets: 10,
        },
        limit: LimitConfig::Gradient(GradientConfig::default()),
        ..Config::default()
    };
    let text = serde_json::to_string(&config).expect("plain data");
    assert!(
        text.contains(r#""duration":"2s 500ms""#) && text.contains(r#""delay":"1m""#),
        "{text}"
    );
    assert_eq!(
        serde_json::from_str::<Config>(&text).expect("what was written"),
        config
    );
}

#[test]
fn a_partial_configuration_keeps_the_defaults() {
    let text = r#"{"consecutive_failures": 3, "open": {"delay": "30s"}, "limit": {"kind": "fixed", "max_in_flight": 8}}"#;
    let config: Config = serde_json::from_str(text).expect("valid");
    let expect = Config {
        consecutive_failures: Some(3),
        open: OpenConfig {
            delay: Duration::from_secs(30),
            ..OpenConfig::default()
        },
        limit: LimitConfig::Fixed { max_in_flight: 8 },
        ..Config::default()
    };
    assert_eq!(config, expect);
}

#[test]
fn unknown_fields_and_bad_durations_are_refused() {
    let check = |text, says: &str| {
        let error = serde_json::from_str::<Config>(text)
            .expect_err(text)
            .to_string();
        assert!(error.contains(says), "{error}");
    };
    check(r#"{"consecutive_failure": 3}"#, "consecutive_failure");
    check(r#"{"open": {"delay": "60"}}"#, "unit designator");
    check(r#"{"open": {"delay": 60}}"#, "string");
    check(
        r#"{"window": {"kind": "count", "size": 9, "buckets": 1}}"#,
        "buckets",
    );
}
