//! Checks before a ship: git's state where asked, the project's own commands, secrets in what is shipped; on this laptop.
//!
//! **Invariant**: nothing was packed, raised or sent when one of them fails.

use crate::config::{Check, GitRules};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::Command;
use wharf_pack::Exposed;
use wharf_proto::{Failure, FailureKind, message::Source};

/// Places that are listed at most.
const EXPOSED_TOLD: usize = 10;

/// Whether the source may be shipped by what git says.
///
/// # Errors
/// Refused: another branch, or something is not committed.
pub fn git(rules: &GitRules, source: &Source) -> Result<(), Failure> {
    if source.git_commit.is_none() && (rules.clean || rules.branch.is_some()) {
        return Err(refused("[git] of wharf.toml has rules, and git says nothing of this folder".into())
            .hint("commit the project to git, or take [git] out of wharf.toml"));
    }
    if let Some(branch) = &rules.branch
        && source.git_branch.as_ref() != Some(branch)
    {
        let here = source.git_branch.as_deref().unwrap_or("no branch");
        return Err(refused(format!("only the branch {branch} may be shipped, and this is {here}"))
            .hint(format!("go to it: git switch {branch}")));
    }
    if rules.clean && source.git_dirty {
        return Err(refused("the project has changes that are not committed".into())
            .hint("see them: git status; commit or stash them"));
    }
    Ok(())
}

/// Runs one check to its end. What it prints goes to standard error.
///
/// # Errors
/// Refused: it ended with another code than 0, cannot be started, or took too long.
pub async fn run(check: &Check) -> Result<(), Failure> {
    let name = check.command.join(" ");
    let Some((program, arguments)) = check.command.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(&check.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::from(std::io::stderr()))
        .kill_on_drop(true);
    let limit = Duration::from_secs(check.timeout_seconds.into());
    match tokio::time::timeout(limit, command.status()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(refused(format!("the check `{name}` {}", ended(status)))),
        Ok(Err(error)) => {
            Err(refused(format!("the check `{name}` cannot be started")).cause(error.to_string()))
        }
        Err(_) => Err(refused(format!(
            "the check `{name}` took longer than {} seconds and was ended",
            check.timeout_seconds
        ))
        .hint("give it more time with timeout_seconds under [[check]]")),
    }
}

/// Whether what would be shipped holds secrets in its texts.
///
/// # Errors
/// Refused: it does; each is named by file and line.
pub fn exposed(found: &[Exposed]) -> Result<(), Failure> {
    let Some(first) = found.first() else { return Ok(()) };
    let message = match found.len() {
        1 => format!("{first}, and would be shipped"),
        count => format!("{count} places of what would be shipped hold secrets"),
    };
    let failure = found.iter().take(EXPOSED_TOLD).filter(|_| found.len() > 1);
    let failure = failure.fold(refused(message), |failure, exposed| failure.cause(exposed.to_string()));
    Err(failure
        .hint("take it out and put it into the env file on the server: `wharf secrets set KEY`; it is no secret any more if git has it")
        .hint("to ship the file as it is, name it under [pack] include in wharf.toml"))
}

fn ended(status: ExitStatus) -> String {
    status
        .code()
        .map_or_else(|| "was ended by a signal".to_owned(), |code| format!("ended with exit code {code}"))
}

fn refused(message: String) -> Failure {
    Failure::new(FailureKind::Refused, message)
        .cause("nothing was packed or sent")
        .hint("`wharf deploy --force` skips the checks; the audit on the server says so")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(branch: Option<&str>, dirty: bool) -> Source {
        Source {
            git_commit: Some("c".into()),
            git_branch: branch.map(str::to_owned),
            git_dirty: dirty,
            checks_skipped: false,
            promoted: None,
        }
    }

    #[test]
    fn git_must_say_what_is_asked_and_nothing_more() {
        let rules = |clean, branch: Option<&str>| GitRules { clean, branch: branch.map(str::to_owned) };
        let cases = [
            (rules(false, None), Source::default(), true),
            (rules(false, None), source(None, true), true),
            (rules(true, None), Source::default(), false),
            (rules(true, None), source(None, true), false),
            (rules(true, None), source(None, false), true),
            (rules(false, Some("main")), source(Some("main"), true), true),
            (rules(false, Some("main")), source(Some("mains"), false), false),
            (rules(false, Some("main")), source(None, false), false),
        ];
        for (rules, source, passes) in cases {
            assert_eq!(git(&rules, &source).is_ok(), passes, "{rules:?} {source:?}");
        }
    }
}
