//! Servers that are written with the SDKs of other languages.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Which SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreign {
    TypeScript,
    Python,
}

impl Foreign {
    pub(crate) const ALL: [Self; 2] = [Self::TypeScript, Self::Python];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::TypeScript => "TypeScript SDK 1.32.2, Node",
            Self::Python => "Python SDK 2.3.0, uvicorn",
        }
    }

    /// How it is started; `None` where its SDK is not at hand. It prints its address first.
    pub(crate) fn command(self, bytes: usize) -> Option<Command> {
        let tools = root().join("target/client-tools");
        let servers = root().join("benches/benches/mcp_performance");
        let (program, script) = match self {
            Self::TypeScript => ("node/node_modules/.bin/node", "server.mjs"),
            Self::Python => ("python/bin/python", "server.py"),
        };
        let program = tools.join(program);
        // What `tests/clients/setup.sh` writes last.
        if !program.exists() || !tools.join("installed").exists() {
            return None;
        }
        let mut command = Command::new(program);
        command
            .arg(servers.join(script))
            .arg(bytes.to_string())
            .arg(tools.join("node"));
        Some(command)
    }
}

fn root() -> PathBuf {
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    member.parent().map(Path::to_owned).unwrap_or_default()
}
