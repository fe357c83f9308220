//! The commands that check, show and begin a file of settings.

use std::fs;

use crate::support::process::{folder, refused, run, stderr, stdout};

#[tokio::test]
async fn a_file_of_defaults_is_written_once_and_valid() {
    let dir = folder();
    let file = dir.path().join("settings.yaml");
    let path = file.to_str().unwrap();
    let output = run(&["config", "init", path], &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    refused(&["config", "init", path], &[], 1, &["--force", path]).await;
    let output = run(&["config", "init", path, "--force"], &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let output = run(&["config", "check", "--config", path], &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output), "the settings are valid\n");
    let with = run(&["config", "show", "--config", path], &[]).await;
    let without = run(&["config", "show"], &[]).await;
    assert_eq!(stdout(&with), stdout(&without));
    let nowhere = dir.path().join("no/such/folder/file");
    let nowhere = nowhere.to_str().unwrap();
    refused(
        &["config", "init", nowhere],
        &[],
        1,
        &["cannot write", nowhere],
    )
    .await;
}

#[tokio::test]
async fn settings_are_shown_with_what_set_them() {
    let dir = folder();
    let file = dir.path().join("settings.yaml");
    fs::write(&file, "http:\n  sessions_max: 7\n  body_timeout: 5s\n").unwrap();
    let path = file.to_str().unwrap();
    let arguments = [
        "config", "show", "--origin", "--config", path, "--log", "debug",
    ];
    let environment = [("MCP_SERVER__HTTP__BODY_TIMEOUT", "6s")];
    let output = run(&arguments, &environment).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let shown = stdout(&output);
    for line in [
        format!("  sessions_max: 7  # {path}"),
        "  body_timeout: \"6s\"  # MCP_SERVER__HTTP__BODY_TIMEOUT".to_owned(),
        "  filter: \"debug\"  # --log".to_owned(),
        "  listen: \"127.0.0.1:7420\"  # default".to_owned(),
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    fs::write(&file, "http:\n  sesions_max: 7\n").unwrap();
    let says = ["line 2", "did you mean `sessions_max`?", path];
    refused(&["config", "check", "--config", path], &[], 2, &says).await;
    fs::write(&file, "http:\n  body_timeout: 0s\n").unwrap();
    let says = ["http.body_timeout", "longer than 0"];
    refused(&["config", "check", "--config", path], &[], 2, &says).await;
}

#[tokio::test]
async fn the_schema_describes_every_setting() {
    let output = run(&["config", "schema"], &[("MCP_SERVER__BROKEN", "1")]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let schema: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let http = &schema["$defs"]["HttpConfig"]["properties"];
    assert_eq!(http["body_timeout"]["type"], "string");
    assert_eq!(http["sessions_max"]["type"], "integer");
    assert_eq!(schema["additionalProperties"], false);
    let described = |name: &str| http[name]["description"].is_string();
    assert!(described("body_timeout") && described("listen"), "{http}");
}
