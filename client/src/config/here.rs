//! The agent on this machine: `host = "local"`, and what `--env local` means where `wharf.toml` says nothing of it.
//!
//! **Invariant**: the app directory there is never the project's folder, in it or around it: a deploy writes over files, and
//! a person's work must not be among them.

use std::{
    env,
    path::{Path, PathBuf},
};
use wharf_proto::AppName;

/// The environment that needs no server.
pub const ENVIRONMENT: &str = "local";
/// As `host` under `[server]`.
pub const HOST: &str = "local";

/// Where an agent that a person runs for himself keeps its state; `None` where nobody has a home folder.
pub fn agent_state() -> Option<PathBuf> {
    folder("XDG_STATE_HOME", ".local/state")
}

/// The app directory that nobody has chosen.
pub(super) fn app_folder(app: &AppName) -> Option<PathBuf> {
    Some(folder("XDG_DATA_HOME", ".local/share")?.join(app.as_str()))
}

fn folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    let named = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    Some(named.or_else(|| Some(env::home_dir()?.join(below_home)))?.join("wharf"))
}

/// Whether one of the two folders is the other, or lies in it, also where links lead.
pub(super) fn overlap(app: &Path, project: &Path) -> bool {
    let (app, project) = (resolved(app), resolved(project));
    app.starts_with(&project) || project.starts_with(&app)
}

/// The path with the links in the part of it that exists followed.
fn resolved(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            return real.join(rest);
        }
    }
    path.to_owned()
}
