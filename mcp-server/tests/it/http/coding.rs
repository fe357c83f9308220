//! Packed bodies, in both directions, by the reference implementations of each format.

use std::io::{Read, Write};

use flate2::{
    Compression,
    read::{GzDecoder, ZlibDecoder},
    write::{GzEncoder, ZlibEncoder},
};
use mcp_server::config::{CompressionConfig, HttpConfig};
use serde_json::{Value, json};

use super::assert_alive;
use crate::support::{
    http::Http,
    mcp::{legacy_headers, modern, modern_headers, open_session, post_modern},
    process::{Process, folder},
    server::Server,
};

const CODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

fn config() -> HttpConfig {
    HttpConfig {
        compression: CompressionConfig {
            loopback: true,
            ..CompressionConfig::default()
        },
        ..HttpConfig::default()
    }
}

fn unpacked(coding: &str, packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match coding {
        "gzip" => GzDecoder::new(packed).read_to_end(&mut plain),
        "deflate" => ZlibDecoder::new(packed).read_to_end(&mut plain),
        "br" => brotli::Decompressor::new(packed, 4096).read_to_end(&mut plain),
        _ => zstd::stream::read::Decoder::new(packed)
            .unwrap()
            .read_to_end(&mut plain),
    }
    .unwrap();
    plain
}

/// Packs what `write` writes.
fn packed(coding: &str, write: impl Fn(&mut dyn Write)) -> Vec<u8> {
    let best = Compression::best();
    match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), best);
            write(&mut encoder);
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), best);
            write(&mut encoder);
            encoder.finish().unwrap()
        }
        "br" => {
            let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 2, 22);
            write(&mut encoder);
            encoder.into_inner()
        }
        _ => {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
            write(&mut encoder);
            encoder.finish().unwrap()
        }
    }
}

fn list() -> Value {
    modern(1, "tools/list", &json!({}))
}

#[tokio::test]
async fn large_answers_are_packed_as_the_client_likes_it() {
    let server = Server::memory(config()).await;
    let mut connection = Http::connect(server.address).await;
    let plain = post_modern(&mut connection, &list()).await;
    assert_eq!(plain.head.header("content-encoding"), None);
    // Caches on the way must know that there are other forms.
    assert_eq!(plain.head.header("vary"), Some("accept-encoding"));
    let message = list();
    for (accept, coding) in [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip;q=1.0, br;q=0.1, zstd;q=0", "gzip"),
        ("*", "zstd"),
    ] {
        let mut headers = modern_headers(&message);
        headers.push(("Accept-Encoding", accept));
        connection
            .request("POST", "/mcp", &headers, message.to_string())
            .await;
        let head = connection.head().await;
        assert_eq!(head.header("content-encoding"), Some(coding), "{accept}");
        assert_eq!(head.header("vary"), Some("accept-encoding"), "{accept}");
        let body = connection.bytes_of(&head).await;
        assert!(
            body.len() < plain.body.len() / 2,
            "{accept}: {}",
            body.len()
        );
        assert_eq!(unpacked(coding, &body), plain.body.as_bytes(), "{accept}");
    }
    for accept in [
        "identity",
        "gzip;q=0",
        "gzip;q=0.5, identity",
        "compress",
        "",
    ] {
        let mut headers = modern_headers(&message);
        headers.push(("Accept-Encoding", accept));
        connection
            .request("POST", "/mcp", &headers, message.to_string())
            .await;
        let answer = connection.response().await;
        assert_eq!(answer.head.header("content-encoding"), None, "{accept}");
        assert_eq!(answer.body, plain.body, "{accept}");
    }
    let stats = server.app().http_stats();
    assert_eq!(stats.answers_packed, 7, "{stats:?}");
    assert!(
        stats.packed_bytes_out * 2 < stats.packed_bytes_in,
        "{stats:?}"
    );
}

/// A memory of a megabyte: packed off the runtime's threads, and whole.
#[tokio::test]
async fn a_very_large_answer_survives_each_coding() {
    let server = Server::memory(config()).await;
    let mut connection = Http::connect(server.address).await;
    let content: String = (0..100_000).map(|n| format!("{n} ")).collect();
    let add = json!({"name": "memory_add", "arguments": {"content": content}});
    let add = modern(1, "tools/call", &add);
    let added = post_modern(&mut connection, &add).await.message();
    let id = &added["result"]["structuredContent"]["id"];
    let get = modern(
        1,
        "tools/call",
        &json!({"name": "memory_get", "arguments": {"id": id}}),
    );
    for coding in CODINGS {
        let mut headers = modern_headers(&get);
        headers.push(("Accept-Encoding", coding));
        connection
            .request("POST", "/mcp", &headers, get.to_string())
            .await;
        let head = connection.head().await;
        assert_eq!(head.header("content-encoding"), Some(coding));
        let body = unpacked(coding, &connection.bytes_of(&head).await);
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            answer["result"]["structuredContent"]["content"], content,
            "{coding}"
        );
    }
}

#[tokio::test]
async fn small_answers_streams_and_loopback_are_left_alone() {
    let server = Server::memory(config()).await;
    let mut connection = Http::connect(server.address).await;
    let accept = ("Accept-Encoding", "gzip");
    let small = connection.get("/healthz", &[accept]).await;
    assert_eq!(small.head.header("content-encoding"), None);
    // Unless the plain form is not wanted at all.
    let only = ("Accept-Encoding", "gzip, identity;q=0");
    let answer = connection.get("/healthz", &[only]).await;
    assert_eq!(answer.message()["status"], "ok", "it would only grow");

    let session = open_session(&mut connection).await;
    let mut headers = legacy_headers(&session);
    headers.retain(|(name, _)| *name != "Accept");
    headers.extend([accept, ("Accept", "text/event-stream")]);
    connection.request("GET", "/mcp", &headers, "").await;
    let stream = connection.head().await;
    assert_eq!(stream.status, 200, "{stream:?}");
    assert_eq!(stream.header("content-encoding"), None);

    let server = Server::memory(HttpConfig::default()).await;
    let mut connection = Http::connect(server.address).await;
    let message = list();
    let mut headers = modern_headers(&message);
    headers.push(accept);
    connection
        .request("POST", "/mcp", &headers, message.to_string())
        .await;
    let answer = connection.response().await;
    assert_eq!(answer.head.header("content-encoding"), None);
}

#[tokio::test]
async fn packed_requests_are_unpacked() {
    let server = Server::memory(HttpConfig::default()).await;
    let mut connection = Http::connect(server.address).await;
    let content = "packed ".repeat(100_000);
    let add = json!({"name": "memory_add", "arguments": {"content": content}});
    let add = modern(1, "tools/call", &add);
    let text = add.to_string();
    for coding in CODINGS {
        let body = packed(coding, |to| to.write_all(text.as_bytes()).unwrap());
        assert!(body.len() < text.len() / 100);
        let mut headers = modern_headers(&add);
        headers.push(("Content-Encoding", coding));
        connection.request("POST", "/mcp", &headers, &body).await;
        let answer = connection.response().await;
        assert_eq!(answer.status(), 200, "{coding}: {answer:?}");
        assert_eq!(
            answer.message()["result"]["isError"],
            false,
            "{coding}: {answer:?}"
        );

        // Not what its coding says, or not to its end.
        for odd in [text.as_bytes(), &body[..body.len() / 2], b""] {
            let mut connection = Http::connect(server.address).await;
            connection.request("POST", "/mcp", &headers, odd).await;
            let answer = connection.response().await;
            assert_eq!(answer.status(), 400, "{coding}: {answer:?}");
        }
    }
    assert_eq!(server.app().http_stats().bodies_unpacked, 16);
    let mut headers = modern_headers(&add);
    headers.push(("Content-Encoding", "exi"));
    connection.request("POST", "/mcp", &headers, "").await;
    let refused = connection.response().await;
    assert_eq!(refused.status(), 415, "{refused:?}");
    let known = refused.head.header("accept-encoding");
    assert_eq!(known, Some("zstd, br, gzip, deflate"));
}

/// Bodies that would become far more than is allowed, many at once: refused, and never held.
#[tokio::test]
async fn bombs_are_refused_without_being_held() {
    const BOMB_BYTES: usize = 64 << 20;
    const AT_ONCE: usize = 20;
    let dir = folder();
    let server = Process::serve(dir.path()).await;
    let message = list();
    let mut headers = modern_headers(&message);
    headers.push(("Content-Encoding", ""));
    let last = headers.len() - 1;
    assert_alive(server.address).await;
    let before = peak_kib(server.id());
    for coding in CODINGS {
        headers[last].1 = coding;
        let body = packed(coding, |to| {
            let zeros = vec![b' '; 1 << 20];
            for _ in 0..BOMB_BYTES >> 20 {
                to.write_all(&zeros).unwrap();
            }
        });
        let mut connections = Vec::new();
        for _ in 0..AT_ONCE {
            let mut connection = Http::connect(server.address).await;
            connection.request("POST", "/mcp", &headers, &body).await;
            connections.push(connection);
        }
        for mut connection in connections {
            let answer = connection.response().await;
            assert_eq!(answer.status(), 413, "{coding}: {answer:?}");
        }
        let grown = peak_kib(server.id()) - before;
        eprintln!(
            "{AT_ONCE} {coding} bombs of {} bytes: +{grown} KiB at the peak",
            body.len()
        );
        // As many bodies as are taken at once, each at its bound, and buffers.
        assert!(grown < 128 * 1024, "{coding}: {grown} KiB");
    }
    assert_alive(server.address).await;
}

/// The most memory that a process has had.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse().unwrap()
}
