//! The last good map, kept for the next start with its signature.

use std::{
    io::{self, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::Signed;

/// More than any map that is kept: settings bound those.
const BYTES_MAX: u64 = 256 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    document: String,
    signature: String,
}

/// What was kept, if it can be read; whether it is to be believed is not looked at. Blocks.
pub(super) fn read(path: &Path) -> Option<Signed> {
    let length = std::fs::metadata(path).ok()?.len();
    if length > BYTES_MAX {
        return None;
    }
    let kept: Kept = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    Some(Signed {
        document: kept.document,
        signature: kept.signature,
    })
}

/// Puts it in the place of what was kept before, as a whole; only its owner may read it. Blocks.
pub(super) fn write(path: &Path, signed: &Signed) -> io::Result<()> {
    let kept = Kept {
        document: signed.document.clone(),
        signature: signed.signature.clone(),
    };
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".service_map.")
        .tempfile_in(dir)?;
    file.write_all(&serde_json::to_vec(&kept)?)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
