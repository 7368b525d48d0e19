//! What differs between Unix and Windows: names as bytes, permission bits, what tells that a file changed.

#[cfg(any(windows, test))]
mod git_index;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{Modes, Stamp, keep_owner, kind_name, link_bytes, name_bytes, path_of, sync_folder};
#[cfg(windows)]
pub(crate) use windows::{Modes, Stamp, keep_owner, kind_name, link_bytes, name_bytes, path_of, sync_folder};
