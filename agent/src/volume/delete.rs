//! The command itself: look, decide, have the name typed, look again under the app's lock, then delete.

use super::decide::{Facts, Holding, decide, may_ask};
use super::facts::Sight;
use crate::clock::Clock;
use crate::config::Config;
use crate::failures;
use crate::layout::Layout;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use wharf_engine::{AppLock, Engine};
use wharf_guard::plugin::{PERMITS, Permit};
use wharf_proto::release::AuditEntry;
use wharf_proto::{AppName, Failure, FailureKind};
use wharf_state::State;

/// What `wharfd volume delete` is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Chosen {
    /// The volume's full name, as `docker volume ls` shows it
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The server's own configuration; defaults apply where there is none
    #[arg(long, value_name = "FILE", default_value = "/etc/wharf/wharfd.toml")]
    pub config: PathBuf,
    /// Where the agent keeps its state
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Docker's socket
    #[arg(long, value_name = "SOCKET")]
    pub docker: Option<PathBuf>,
}

/// Deletes the volume, where that may be; what was done, in a line. `type_name` is told what is about to be deleted, and
/// answers with what a person typed.
///
/// # Errors
/// Why it was not deleted.
pub async fn delete(
    config: Config,
    name: &str,
    type_name: impl FnOnce(&str) -> std::io::Result<String>,
) -> Result<String, Failure> {
    check_name(name)?;
    let at_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    may_ask(name, nix::unistd::geteuid().is_root(), at_terminal)?;
    let engine = Engine::connect(Some(&config.docker)).await.map_err(|e| failures::of_engine(&e))?;
    let state = State::open_beside(&config.state).map_err(|e| failures::of_state(&e))?;
    let sight = Sight { config: &config, engine: &engine, state: &state };
    let clock = Clock::from_environment();
    let facts = sight.look(name).await?;
    let asked = question(&facts, decide(&facts, clock.now())?);
    let typed = type_name(&asked).map_err(|e| Failure::from_error(FailureKind::Environment, &e))?;
    if typed != name {
        let text = format!("{typed:?} is not the volume's name, which is {name}");
        return Err(Failure::new(FailureKind::Refused, text).cause("nothing was deleted"));
    }
    // People take their time: what was true may not be any more, and no job may begin now.
    let _locks = lock(&config, &facts.backups)?;
    let facts = sight.look(name).await?;
    let backup = decide(&facts, clock.now())?;
    state.pin_backup(&backup.app, &backup.id, true).await.map_err(|e| failures::of_state(&e))?;
    audit(&state, name, backup, format!("about to be deleted; backup {} holds it", backup.id.short()))
        .await?;
    // Where Docker asks the guard, this one deletion must be known to it.
    let permit = Permit::give(Path::new(PERMITS), name);
    let permit =
        permit.map_err(|e| Failure::from_error(FailureKind::Environment, &e).cause("nothing was deleted"))?;
    let removed = remove(&config.docker, name);
    drop(permit);
    let outcome = match &removed {
        Ok(()) => "deleted".to_owned(),
        Err(failure) => format!("not deleted: {failure}"),
    };
    // It is too late to refuse.
    if let Err(failure) = audit(&state, name, backup, outcome).await {
        eprintln!("wharfd: warning: the audit lacks how it ended: {failure}");
    }
    removed?;
    Ok(format!(
        "the volume {name} is deleted; backup {} of {} holds what it held, and stays until: wharf backup pin {} --off",
        backup.id.short(),
        backup.app,
        backup.id.short()
    ))
}

/// Names are those of Docker's: never an option, never a path.
fn check_name(name: &str) -> Result<(), Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain) {
        return Ok(());
    }
    Err(Failure::new(FailureKind::Config, format!("{name:?} is no name of a volume"))
        .hint("see what there is: docker volume ls"))
}

fn question(facts: &Facts, backup: &Holding) -> String {
    format!(
        "The volume {name} is to be deleted for good: {files} files, {size} bytes.\n\
         Backup {id} of {app}, made at {made} and proven since, holds it.\n\
         Type the volume's name to delete it: ",
        name = facts.name,
        files = backup.files,
        size = backup.size_bytes,
        id = backup.id.short(),
        app = backup.app,
        made = backup.made
    )
}

/// No job of an app whose backups hold the volume runs until these are dropped.
fn lock(config: &Config, backups: &[Holding]) -> Result<Vec<AppLock>, Failure> {
    let layout = Layout::new(&config.state);
    let apps: BTreeSet<&AppName> = backups.iter().map(|backup| &backup.app).collect();
    let take = |app: &AppName| {
        AppLock::try_acquire(&layout.app_lock(app))
            .map_err(|error| Failure::from_error(FailureKind::Busy, &error).cause("nothing was deleted"))
    };
    apps.into_iter().map(take).collect()
}

async fn audit(state: &State, name: &str, backup: &Holding, outcome: String) -> Result<(), Failure> {
    let by =
        std::env::var("SUDO_USER").map_or_else(|_| "root".to_owned(), |user| format!("root, by sudo {user}"));
    let entry = AuditEntry {
        at: Timestamp::now(),
        app: Some(backup.app.clone()),
        by,
        from: "the server itself".to_owned(),
        action: format!("volume delete {name}"),
        outcome,
    };
    state.audit(entry).await.map_err(|e| failures::of_state(&e))
}

/// Without force: the engine itself refuses what a container has.
fn remove(docker: &Path, name: &str) -> Result<(), Failure> {
    let output = Command::new("docker")
        .arg("--host")
        .arg(format!("unix://{}", docker.display()))
        .args(["volume", "rm", "--", name])
        .env_remove("DOCKER_HOST")
        .env_remove("DOCKER_CONTEXT")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| {
            Failure::from_error(FailureKind::Environment, &e)
                .cause("while running: docker volume rm")
                .cause("nothing was deleted")
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::new(FailureKind::Environment, format!("Docker did not delete the volume {name}"))
        .cause(said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_name() {
        for good in ["shop_media", "0a.b-c", &"f".repeat(64)] {
            check_name(good).unwrap();
        }
        for bad in ["", "-f", "--force", "a b", "../x", "a/b", "a\n", ".a"] {
            assert_eq!(check_name(bad).unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }
}
