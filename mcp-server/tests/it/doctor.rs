//! `mcp-server doctor`: what is wrong, and how to mend it.

use serde_json::Value;

use crate::support::process::{Process, folder, run, stdout};

/// The findings as JSON, and the exit code.
async fn doctor(arguments: &[&str], environment: &[(&str, &str)]) -> (Value, Option<i32>) {
    let mut command = vec!["doctor", "--json"];
    command.extend(arguments);
    let output = run(&command, environment).await;
    let text = stdout(&output);
    let report = serde_json::from_str(&text);
    (
        report.unwrap_or_else(|error| panic!("{error}: {text}")),
        output.status.code(),
    )
}

/// What was found of `check`, and whether it says how to mend it.
fn found<'a>(report: &'a Value, check: &str) -> (&'a str, bool) {
    let findings = report["findings"].as_array().expect("a list");
    let finding = findings
        .iter()
        .find(|finding| finding["check"] == check)
        .unwrap_or_else(|| panic!("nothing of {check}: {report}"));
    let verdict = finding["verdict"].as_str().expect("a word");
    assert_eq!(verdict == "ok", finding["mend"].is_null(), "{finding}");
    (verdict, finding["mend"].is_string())
}

#[tokio::test]
async fn an_empty_machine_is_fit_to_start() {
    let dir = folder();
    let data = dir.path().join("data").display().to_string();
    let (report, code) = doctor(
        &["--data-dir", &data],
        &[("MCP_SERVER__HTTP__LISTEN", "127.0.0.1:0")],
    )
    .await;
    assert_eq!(code, Some(0), "{report}");
    for check in [
        "configuration",
        "data folder",
        "store",
        "tokens",
        "address",
        "connectors",
        "clock",
    ] {
        assert_eq!(found(&report, check), ("ok", false), "{report}");
    }
    assert!(!dir.path().join("data").exists(), "a look changes nothing");
}

#[tokio::test]
async fn a_running_server_is_asked_for_its_parts() {
    let dir = folder();
    let server = Process::serve(dir.path()).await;
    let data = dir.path().display().to_string();
    let listen = server.address.to_string();
    let (report, code) = doctor(
        &["--data-dir", &data],
        &[("MCP_SERVER__HTTP__LISTEN", &listen)],
    )
    .await;
    assert_eq!(code, Some(0), "{report}");
    let running = found(&report, "running: memory_store");
    assert_eq!(running, ("ok", false), "{report}");
    assert_eq!(found(&report, "store"), ("ok", false), "{report}");
    server.kill().await;
}

#[tokio::test]
async fn what_does_not_work_says_how_to_mend_it() {
    let dir = folder();
    let data = dir.path().display().to_string();
    std::fs::write(dir.path().join("memory.db"), "no database at all").unwrap();
    let settings = dir.path().join("settings.yaml");
    let connector = "connectors: {servers: {gone: {command: [/nowhere/server]}}}";
    std::fs::write(&settings, connector).unwrap();
    let settings = settings.display().to_string();
    let (report, code) = doctor(
        &["--data-dir", &data, "--config", &settings],
        &[
            ("MCP_SERVER__HTTP__LISTEN", "127.0.0.1:0"),
            ("MCP_SERVER__HTTP__REQUIRE_TOKEN", "true"),
        ],
    )
    .await;
    assert_eq!(code, Some(1), "{report}");
    assert_eq!(found(&report, "store"), ("failure", true), "{report}");
    assert_eq!(found(&report, "tokens"), ("failure", true), "{report}");
    assert_eq!(
        found(&report, "connector gone"),
        ("warning", true),
        "{report}"
    );
}

#[tokio::test]
async fn settings_that_are_wrong_are_a_finding_and_no_end() {
    let environment = [("MCP_SERVER__HTTP__BODY_BYTES_MAX", "0")];
    let (report, code) = doctor(&[], &environment).await;
    assert_eq!(code, Some(1), "{report}");
    assert_eq!(
        found(&report, "configuration"),
        ("failure", true),
        "{report}"
    );
    let output = run(&["doctor"], &environment).await;
    let text = stdout(&output);
    assert!(
        text.contains("FAILURE") && text.contains("body_bytes_max"),
        "{text}"
    );
}
