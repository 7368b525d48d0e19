//! The keys that `wharf setup` makes on this laptop, one for each way into a server.
//!
//! **Invariant**: such a key is for `wharfd connect` alone, so it is shown alone: sshd would take any other key of the
//! person's first, and give it a shell.

use std::{env, path::PathBuf};

/// The file of the key for `place`, where there is one.
pub fn of(place: &str) -> Option<PathBuf> {
    path(place).filter(|file| file.is_file())
}

/// Where the key for `place` (`user@host:port`) is kept; `None` where nobody has a home folder.
pub fn path(place: &str) -> Option<PathBuf> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.@".contains(c) { c } else { '_' };
    Some(folder()?.join(place.chars().map(plain).collect::<String>()))
}

fn folder() -> Option<PathBuf> {
    let variable = if cfg!(windows) { "APPDATA" } else { "XDG_CONFIG_HOME" };
    let named = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    Some(named.or_else(|| Some(env::home_dir()?.join(".config")))?.join("wharf").join("keys"))
}
