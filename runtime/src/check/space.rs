//! How much room a file system has left.

use super::Findings;
use nix::sys::statvfs::statvfs;
use std::path::Path;

const MIB: u64 = 1 << 20;

/// Judges the file system of `path`, which exists. Below `least` nothing can be written for long.
pub(super) fn judge(found: &mut Findings, path: &Path, what: &str, least: u64, low: u64) {
    // Not told where it cannot be asked: whatever is wrong there shows elsewhere.
    let Ok(room) = statvfs(path) else { return };
    if room.blocks() == 0 {
        return; // none that stores anything
    }
    let block = room.fragment_size();
    let free = room.blocks_available().saturating_mul(block);
    let inodes = room.files_available() > 0 || room.files() == 0;
    if free < least || !inodes {
        found.error(
            path.display(),
            format!(
                "the file system has no room left for {what} ({} free{}): expected {} at least; make room",
                size(free),
                if inodes { "" } else { ", no inodes" },
                size(least)
            ),
        );
    } else if free < low {
        found.warn(
            path.display(),
            format!(
                "the file system has little room left for {what}: {} free",
                size(free)
            ),
        );
    }
}

/// In the largest unit that leaves a number above 1.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        b if b >= MIB << 10 => format!("{} GiB", b / (MIB << 10)),
        b if b >= MIB => format!("{} MiB", b / MIB),
        b => format!("{} KiB", b / 1024),
    }
}
