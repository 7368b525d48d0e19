//! This computer: the configuration, and the programs that it asks for.

use super::Finding;
use crate::config::Config;
use wharf_proto::Failure;

/// Whether `wharf.toml` can be deployed by.
pub fn configuration(config: Result<&Config, &Failure>) -> Finding {
    const CHECK: &str = "wharf.toml";
    match config {
        Ok(config) => Finding::ok(CHECK, format!("{} goes to {}", config.spec.app, config.server)),
        Err(failure) => Finding::of_failure(CHECK, failure),
    }
}

/// Whether git is there, where the project is in it. `version` is what git says of itself; `None`: it does not run.
/// `ruled`: `[git]` has rules.
pub fn git(in_git: bool, ruled: bool, version: Option<&str>) -> Option<Finding> {
    const CHECK: &str = "git";
    if !in_git && !ruled {
        return None;
    }
    let install = "install git, and see that `git --version` runs";
    Some(match version {
        Some(version) if in_git => Finding::ok(CHECK, version),
        Some(_) => Finding::failed(
            CHECK,
            "[git] of wharf.toml has rules, and this folder is in no git repository",
            "commit the project to git, or take [git] out of wharf.toml",
        ),
        None if ruled => {
            Finding::failed(CHECK, "[git] of wharf.toml has rules, and git does not run", install)
        }
        None => Finding::warning(
            CHECK,
            "the project is in git, and git does not run: releases will not say which commit they are, and on Windows \
             no file is shipped as executable",
            install,
        ),
    })
}
