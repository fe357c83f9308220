//! What a configuration may say.

use crate::support::{ms, secs};
use mcp_pool::{Config, Pool, from_fn};

#[test]
fn a_senseless_field_is_named() {
    type Change = fn(&mut Config);
    let cases: [(&str, Change); 14] = [
        ("max_connections", |c| c.max_connections = 0),
        ("max_connections", |c| c.max_connections = 1 << 17),
        ("max_connecting", |c| c.max_connecting = 0),
        ("max_waiters", |c| c.max_waiters = 0),
        ("min_connections", |c| c.min_connections = 101),
        ("max_idle", |c| {
            c.min_connections = 3;
            c.max_idle = Some(2);
        }),
        ("acquire_timeout", |c| c.acquire_timeout = ms(0)),
        ("connect_timeout", |c| {
            c.connect_timeout = secs(31 * 24 * 3600)
        }),
        ("check_timeout", |c| c.check_timeout = ms(0)),
        ("close_timeout", |c| c.close_timeout = ms(0)),
        ("health_check_interval", |c| {
            c.health_check_interval = Some(ms(0))
        }),
        ("max_idle_time", |c| c.max_idle_time = Some(ms(0))),
        ("connect_backoff_max", |c| c.connect_backoff_max = ms(1)),
        ("check_after", |c| c.check_after = secs(31 * 24 * 3600)),
    ];
    for (field, change) in cases {
        let mut config = Config::default();
        change(&mut config);
        let error = config.validate().expect_err(field);
        assert_eq!(error.field, field, "{error}");
    }
    Config::default()
        .validate()
        .expect("the default makes sense");
}

#[test]
fn it_reads_and_writes_itself() {
    let text = r#"{
        "max_connections": 50, "max_idle": 25, "max_lifetime": "5m",
        "acquire_timeout": "10s", "max_idle_time": null, "lent_warn": "1m"
    }"#;
    let config: Config = serde_json::from_str(text).expect("a configuration");
    assert_eq!((config.max_connections, config.max_idle), (50, Some(25)));
    assert_eq!(
        (config.max_lifetime, config.acquire_timeout),
        (Some(secs(300)), secs(10))
    );
    assert_eq!(
        (config.max_idle_time, config.lent_warn),
        (None, Some(secs(60)))
    );
    let written = serde_json::to_string(&config).expect("JSON");
    assert_eq!(
        serde_json::from_str::<Config>(&written).expect("a configuration"),
        config
    );
    assert!(serde_json::from_str::<Config>(r#"{"max_conections": 1}"#).is_err());
}

#[tokio::test]
async fn a_pool_is_not_made_of_a_senseless_one() {
    let config = Config {
        max_connections: 0,
        ..Config::default()
    };
    let error = Pool::new(&config, from_fn(|| async {})).expect_err("senseless");
    assert_eq!(error.to_string(), "max_connections must be at least 1");
}
