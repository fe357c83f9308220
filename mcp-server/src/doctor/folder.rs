//! The folder that holds everything: whether it can be written, who can read it, and its room.

use std::{io, path::Path};

use super::Finding;

const CHECK: &str = "data folder";
/// With less, writes will soon fail.
const FREE_BYTES_MIN: u64 = 64 << 20;
/// With less, a busy server runs out within days.
const FREE_BYTES_GOOD: u64 = 1 << 30;

/// Blocks.
pub(super) fn look(dir: &Path) -> Vec<Finding> {
    let shown = dir.display();
    if !dir.exists() {
        return vec![match writable_parent(dir) {
            true => Finding::ok(CHECK, format!("{shown} will be made at the first start")),
            false => Finding::failure(
                CHECK,
                format!("{shown} is not there and cannot be made"),
                "choose another one with --data-dir, or make it and give it to the server's user",
            ),
        }];
    }
    let mut findings = Vec::new();
    findings.push(
        match tempfile::Builder::new().prefix(".doctor").tempfile_in(dir) {
            Ok(_) => Finding::ok(CHECK, format!("{shown} can be written")),
            Err(error) => Finding::failure(
                CHECK,
                format!("{shown} cannot be written: {error}"),
                format!("give it to the server's user: chown USER {shown} && chmod 700 {shown}"),
            ),
        },
    );
    findings.extend(permissions(dir));
    findings.extend(room(dir));
    findings
}

/// Whether the nearest folder that is there can be written.
fn writable_parent(dir: &Path) -> bool {
    let mut there = dir.ancestors().skip(1).map(|parent| match parent {
        // The parent of a relative path of one name.
        parent if parent.as_os_str().is_empty() => Path::new("."),
        parent => parent,
    });
    let Some(parent) = there.find(|parent| parent.exists()) else {
        return false;
    };
    tempfile::tempfile_in(parent).is_ok()
}

#[cfg(unix)]
fn permissions(dir: &Path) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt;

    let mode = std::fs::metadata(dir).ok()?.permissions().mode() & 0o777;
    let shown = dir.display();
    let finding = match mode & 0o077 {
        0 => Finding::ok(
            "permissions",
            format!("only its user reads {shown} ({mode:o})"),
        ),
        _ => Finding::warning(
            "permissions",
            format!("others of this machine may enter {shown} ({mode:o})"),
            format!("chmod 700 {shown}"),
        ),
    };
    Some(finding)
}

#[cfg(not(unix))]
fn permissions(_dir: &Path) -> Option<Finding> {
    None
}

#[cfg(unix)]
fn free_bytes(dir: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(dir)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_dir: &Path) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

fn room(dir: &Path) -> Option<Finding> {
    let free = free_bytes(dir).ok()?;
    let says = format!("{} MiB are free", free >> 20);
    let mend = "make room on that disk, or move the data: stop the server, move the folder, and \
                name it with --data-dir";
    Some(match free {
        free if free < FREE_BYTES_MIN => Finding::failure("disk space", says, mend),
        free if free < FREE_BYTES_GOOD => Finding::warning("disk space", says, mend),
        _ => Finding::ok("disk space", says),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Verdict, worst};

    #[test]
    fn a_folder_that_is_not_there_is_no_fault_where_it_can_be_made() {
        let dir = tempfile::tempdir().unwrap();
        let findings = look(&dir.path().join("a/b/c"));
        assert_eq!(worst(&findings), Verdict::Ok, "{findings:?}");
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let findings = look(&file);
        assert_eq!(worst(&findings), Verdict::Failure, "{findings:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_others_may_enter_is_told_how_to_close() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).unwrap();
        let finding = permissions(dir.path()).unwrap();
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(finding.mend.unwrap().starts_with("chmod 700"));
    }
}
