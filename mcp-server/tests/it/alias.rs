//! The settings of an earlier program: its file loads as it is, what has a meaning here is used, and
//! what has none is said.

use std::fs;

use serde_json::json;

use crate::support::{
    mcp::{Client, Era},
    process::{Process, folder, refused, run, stderr, stdout},
};

const FILE: &str = include_str!("fixtures/context_manager.yaml");
const NOT_USED: [&str; 3] = [
    "not used: context_manager.database: it has no `dsn`",
    "not used: context_manager.read_replicas: 2 ignored",
    "not used: memory.cache.redis: the embedded store serves",
];

#[tokio::test]
async fn its_file_loads_verbatim_and_the_server_starts() {
    let dir = folder();
    let file = dir.path().join("settings.yaml");
    fs::write(&file, FILE).unwrap();
    let path = file.to_str().unwrap();
    let output = run(&["config", "check", "--config", path], &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let checked = stdout(&output);
    assert!(checked.starts_with("the settings are valid\n"), "{checked}");
    for remark in NOT_USED {
        assert!(checked.contains(remark), "{remark:?} is not in {checked}");
    }

    let arguments = ["--listen", "127.0.0.1:0", "--config", path];
    let server = Process::serve_with(dir.path(), &arguments, &[]).await;
    for remark in NOT_USED {
        let line = server.log.line(remark).await;
        assert!(line.contains("WARN"), "{line}");
    }
    let mut client = Client::http(Era::Modern, server.address).await;
    client
        .ok("context_put", json!({"id": "a", "content": "x"}))
        .await;
}

#[tokio::test]
async fn what_it_means_is_shown_with_where_it_comes_from() {
    let dir = folder();
    let file = dir.path().join("settings.yaml");
    let path = file.to_str().unwrap();
    let changed = FILE
        .replace("max_size: 10000", "max_size: 77")
        .replace("ttl: 5m", "ttl: 7m")
        .replace(
            "enabled: true\n      max_size",
            "enabled: false\n      max_size",
        )
        .replace("timeout: 60s", "timeout: 61s");
    fs::write(&file, changed).unwrap();
    let show = ["config", "show", "--origin", "--config", path];
    let environment = [(
        "MCP_SERVER__MEMORY__CIRCUIT_BREAKER__FAILURE_THRESHOLD",
        "9",
    )];
    let output = run(&show, &environment).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let shown = stdout(&output);
    let alias = format!("# {path}, context_manager");
    for line in [
        format!("  manager: \"standard\"  {alias}.cache.in_memory.enabled"),
        format!("    entries_max: 77  {alias}.cache.in_memory.max_size"),
        format!("      other: \"7m\"  {alias}.cache.in_memory.ttl"),
        format!("    timeout: \"1m 1s\"  {alias}.circuit_breaker.timeout"),
        "    failure_threshold: 9  # MCP_SERVER__MEMORY__CIRCUIT_BREAKER__FAILURE_THRESHOLD"
            .to_owned(),
        format!("      ttl: \"1h\"  {alias}.cache.redis.ttl"),
        format!("    max_open_conns: 50  # {path}"),
        format!("# {}", NOT_USED[1]),
    ] {
        let has =
            |shown: &str| shown == line || line.ends_with("ignored") && shown.starts_with(&line);
        assert!(shown.lines().any(has), "{line}\n{shown}");
    }
    assert!(!shown.contains("reader:pass"), "{shown}");
    assert!(
        shown.contains("postgres://reader:***@replica1:5432/mcp"),
        "{shown}"
    );

    // What is shown is a file that means the same.
    fs::write(&file, &shown).unwrap();
    let output = run(&["config", "show", "--config", path], &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let again = stdout(&output);
    for line in shown.lines().filter(|line| !line.starts_with('#')) {
        let line = line.split("  # ").next().unwrap();
        assert!(again.lines().any(|again| again == line), "{line}\n{again}");
    }
}

#[tokio::test]
async fn what_is_wrong_in_it_is_named_with_its_line_and_the_way_out() {
    let dir = folder();
    let file = dir.path().join("settings.yaml");
    let path = file.to_str().unwrap();
    let with = |old: &str, new: &str| {
        assert!(FILE.contains(old), "{old}");
        FILE.replace(old, new)
    };
    let rows: &[(String, &[&str])] = &[
        (
            with("max_size: 10000", "max_sizes: 10000"),
            &[
                "line 9",
                "there is no `max_sizes`; did you mean `max_size`?",
            ],
        ),
        (
            with("max_size: 10000", "max_size: 0"),
            &["line 9", "nonzero"],
        ),
        (with("ttl: 5m", "ttl: soon"), &["line 10", "duration"]),
        (
            with("ttl: 5m", "ttl: 9000h"),
            &[
                "line 10",
                "context_manager.cache.in_memory.ttl",
                "from 1ms to 30 days",
            ],
        ),
        (
            with("max_idle_conns: 25", "max_idle_conns: 51"),
            &["line 4", "max_idle_conns", "not be above max_open_conns"],
        ),
        (
            with("\"redis-node1:6379\", \"redis-node2:6379\"", ""),
            &["line 11", "names no `endpoints`", "enabled: false"],
        ),
        (
            with("redis-node2:6379", "redis-node2"),
            &[
                "line 13",
                "`redis-node2` is no host and port",
                "redis.example.com:6379",
            ],
        ),
        (
            with(
                "postgres://reader:pass@replica2",
                "mysql://reader:pass@replica2",
            ),
            &[
                "line 21",
                "mysql://reader:***@replica2",
                "write postgres://",
            ],
        ),
        (
            with("- dsn: \"postgres", "- dns: \"postgres"),
            &["line 20", "there is no `dns`; there are: dsn"],
        ),
        (
            format!("{FILE}contexts:\n  cache:\n    entries_max: 9\n"),
            &[
                "line 9",
                "`context_manager.cache.in_memory.max_size`",
                "`contexts.cache.entries_max` (line 24)",
                "remove one",
            ],
        ),
        (
            format!("{FILE}memory:\n  circuit_breaker:\n    timeout: 2m\n"),
            &["line 18", "`memory.circuit_breaker.timeout` (line 24)"],
        ),
        (
            "contexts:\n  warming:\n    interval: 0s\n".to_owned(),
            &["line 3", "`contexts.warming.interval`", "from 1ms"],
        ),
        (
            "contexts:\n  cache:\n    ttl:\n      rules: 24h\n      session: 0s\n".to_owned(),
            &["line 5", "`contexts.cache.ttl.session`", "from 1ms"],
        ),
    ];
    for (yaml, says) in rows {
        fs::write(&file, yaml).unwrap();
        let says = [&["settings.yaml"][..], says].concat();
        refused(&["config", "check", "--config", path], &[], 2, &says).await;
    }
    // To say the same twice is no conflict.
    let same = format!("{FILE}memory:\n  circuit_breaker:\n    timeout: 1m\n");
    fs::write(&file, same).unwrap();
    let output = run(&["config", "check", "--config", path], &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[tokio::test]
async fn a_database_that_is_named_is_the_store() {
    let dir = folder();
    let file = dir.path().join("settings.yaml");
    let path = file.to_str().unwrap();
    let yaml = "context_manager:\n  database: {dsn: 'postgres://u:p@db:5432/mcp', \
                max_open_conns: 40}\n  read_replicas: [{dsn: 'postgres://u:p@copy:5432/mcp'}]\n  \
                cache: {redis: {enabled: false, endpoints: ['a:1']}}\n";
    fs::write(&file, yaml).unwrap();
    let output = run(&["config", "check", "--config", path], &[]).await;
    let checked = stdout(&output);
    let remarks: Vec<_> = checked.lines().skip(1).collect();
    assert_eq!(remarks.len(), 0, "{checked}");
    let output = run(&["config", "show", "--origin", "--config", path], &[]).await;
    let shown = stdout(&output);
    for line in [
        "  store: \"postgres\"  #",
        "    dsn: \"postgres://u:***@db:5432/mcp\"  #",
        "    connections_max: 40  #",
        "    read_replicas: [\"postgres://u:***@copy:5432/mcp\"]  #",
    ] {
        assert!(shown.contains(line), "{line:?} is not in\n{shown}");
    }
    let variable = [("MCP_SERVER__CONTEXT_MANAGER__READ_REPLICAS", "[]")];
    let says = [
        "MCP_SERVER__CONTEXT_MANAGER__READ_REPLICAS",
        "can only be in a file",
    ];
    refused(&["config", "check"], &variable, 2, &says).await;
}
