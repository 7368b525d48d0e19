//! How much room there is on a disk.

use std::path::Path;
use wharf_proto::release::DiskSpace;

/// The file system that `path` is on; `None` where it is not there.
pub fn on(path: &Path) -> Option<DiskSpace> {
    let stat = nix::sys::statvfs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.fragment_size());
    Some(DiskSpace { free_bytes: bytes(stat.blocks_available()), size_bytes: bytes(stat.blocks()) })
}
