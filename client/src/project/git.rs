//! Where the source stands in git, for the release's record. A project without git, or a laptop without it, has none.

use std::{path::Path, process::Stdio, time::Duration};
use tokio::process::Command;
use wharf_proto::message::Source;

/// The record is not worth more waiting.
const GIT_WITHIN: Duration = Duration::from_secs(10);
/// A commit or branch name above this length is not shown to anybody.
const NAME_BYTES: usize = 255;

/// Commit, branch, and whether something is not committed.
pub async fn source(root: &Path) -> Source {
    let Some(commit) = git(root, &["rev-parse", "HEAD"]).await.filter(|text| text.len() <= NAME_BYTES) else {
        return Source::default();
    };
    let branch = git(root, &["symbolic-ref", "--short", "-q", "HEAD"]).await;
    // Optional locks would get in the way of a git that the person runs meanwhile.
    let dirty = git(root, &["--no-optional-locks", "status", "--porcelain", "--", "."]).await;
    Source {
        git_commit: Some(commit),
        git_branch: branch.filter(|name| !name.is_empty() && name.len() <= NAME_BYTES),
        git_dirty: dirty.is_some_and(|lines| !lines.is_empty()),
        checks_skipped: false,
        promoted: None,
    }
}

/// What git calls itself; `None`: it does not run.
pub async fn version(root: &Path) -> Option<String> {
    git(root, &["--version"]).await.filter(|text| text.len() <= NAME_BYTES)
}

async fn git(root: &Path, args: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(root).args(args).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(GIT_WITHIN, command.output()).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
