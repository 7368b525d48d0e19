//! The commands: look, plan, tell, ask, do.

use super::error::PluginError;
use super::look::{self, Docker};
use super::plan::{self, Found, Step};
use super::unit;
use crate::context::files;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// systemd gives up a start after 90 seconds.
const PLUGIN_WITHIN: Duration = Duration::from_secs(30);
const RELOAD_WITHIN: Duration = Duration::from_secs(60);
const BETWEEN: Duration = Duration::from_millis(100);

/// What `wharfd guard plugin install` is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Install {
    #[command(flatten)]
    pub docker: Docker,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// What `wharfd guard plugin remove` is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Remove {
    #[command(flatten)]
    pub docker: Docker,
}

/// Has Docker ask the guard before every request; what came of it, line by line.
///
/// # Errors
/// Docker is as it was before, unless the error says otherwise.
pub fn install(install: &Install) -> Result<Vec<String>, PluginError> {
    refuse_others()?;
    let mut found = look::look(&install.docker, true)?;
    let mut steps = plan::install(&found)?;
    eprintln!("{}\n\nWhat will be done:", plan::risk(&found.json_path, found.by_units()));
    steps.iter().for_each(|step| eprintln!("  {}", step.text(&found)));
    let warnings = found.engine.as_ref().map(plan::warnings).unwrap_or_default();
    warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    if !install.yes {
        confirm()?;
        // Somebody may have thought about it for long.
        let now = look::look(&install.docker, true)?;
        if !found.is_still(&now) {
            return Err(PluginError::Changed(found.json_path));
        }
        steps = plan::install(&now)?;
        found = now;
    }
    steps.iter().try_for_each(|step| take(step, &found))?;
    Ok(vec![
        "Docker asks the guard before every request now; volumes go by `wharfd volume delete` alone".into(),
    ])
}

/// Has Docker ask no more, and takes the guard away then.
///
/// # Errors
/// What was not done yet is done by doing it again.
pub fn remove(remove: &Remove) -> Result<Vec<String>, PluginError> {
    refuse_others()?;
    let found = look::look(&remove.docker, false)?;
    let steps = plan::remove(&found)?;
    if steps.is_empty() {
        return Ok(vec!["Docker's configuration names no guard: nothing to remove".into()]);
    }
    let mut told = Vec::new();
    for step in &steps {
        take(step, &found)?;
        told.push(format!("done: {}", step.text(&found)));
    }
    if found.engine.is_none() {
        told.push("dockerd does not run; it may be started now".into());
    }
    if !(found.systemd && found.unit.is_some()) && found.answers {
        told.push("nobody asks `wharfd guard plugin serve` any more: end it".into());
    }
    Ok(told)
}

fn refuse_others() -> Result<(), PluginError> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err(PluginError::NotRoot) }
}

fn confirm() -> Result<(), PluginError> {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Err(PluginError::NotConfirmed);
    }
    eprint!("Type yes to go on: ");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line) {
        Ok(_) if line.trim() == "yes" => Ok(()),
        _ => Err(PluginError::NotConfirmed),
    }
}

fn take(step: &Step, found: &Found) -> Result<(), PluginError> {
    match step {
        Step::WriteUnit(text) => {
            files::write(Path::new(unit::PATH), text)?;
            systemctl(&["daemon-reload"])
        }
        Step::StartUnit => {
            systemctl(&["enable", unit::NAME])?;
            systemctl(&["restart", unit::NAME])
        }
        Step::AwaitPlugin => {
            if until(PLUGIN_WITHIN, look::answers) {
                Ok(())
            } else {
                Err(PluginError::Mute)
            }
        }
        Step::WriteJson(text) => {
            validate(text, found)?;
            refuse_changed(found)?;
            if let Some(folder) = found.json_path.parent() {
                files::make_folder(folder)?;
            }
            files::write(&found.json_path, text)?;
            Ok(())
        }
        Step::DeleteJson => {
            refuse_changed(found)?;
            files::remove(&found.json_path)?;
            Ok(())
        }
        Step::Reload { asks } => reload(found, *asks),
        Step::StopUnit => systemctl(&["disable", "--now", unit::NAME]),
        Step::RemoveUnit => {
            files::remove(Path::new(unit::PATH))?;
            systemctl(&["daemon-reload"])
        }
    }
}

/// What somebody else wrote since is not written over.
fn refuse_changed(found: &Found) -> Result<(), PluginError> {
    if files::read(&found.json_path)? == found.json {
        Ok(())
    } else {
        Err(PluginError::Changed(found.json_path.clone()))
    }
}

/// A dockerd that is told to ask a plugin which does not answer ends at once, so this is looked at once more.
fn reload(found: &Found, asks: bool) -> Result<(), PluginError> {
    let Some(engine) = &found.engine else { return Ok(()) };
    if asks && !look::answers() {
        put_back(found)?;
        return Err(PluginError::Mute);
    }
    let signal = || {
        kill(Pid::from_raw(engine.pid), Signal::SIGHUP).map_err(|error| PluginError::Failed {
            what: "telling dockerd to read its configuration again".into(),
            said: error.to_string(),
        })
    };
    signal()?;
    if until(RELOAD_WITHIN, || look::is_asked(&found.docker) == Some(asks)) {
        return Ok(());
    }
    if !asks {
        let answers = look::is_asked(&found.docker).is_some();
        let json = found.json_path.clone();
        return Err(if answers { PluginError::StillAsked } else { PluginError::StillWaits(json) });
    }
    put_back(found)?;
    signal()?;
    Err(PluginError::NotAsked)
}

fn put_back(found: &Found) -> Result<(), PluginError> {
    match &found.json {
        Some(text) => files::write(&found.json_path, text)?,
        None => files::remove(&found.json_path)?,
    }
    Ok(())
}

/// Has dockerd itself look at the new configuration, where it can (from version 23 on).
fn validate(text: &str, found: &Found) -> Result<(), PluginError> {
    let Some(engine) = &found.engine else { return Ok(()) };
    let broken = |source| PluginError::Run { what: "dockerd --validate".into(), source };
    let mut file = tempfile::NamedTempFile::new().map_err(broken)?;
    file.write_all(text.as_bytes()).map_err(broken)?;
    let program = std::fs::read_link(format!("/proc/{}/exe", engine.pid)).map_err(broken)?;
    let output = Command::new(program)
        .args(["--validate", "--config-file"])
        .arg(file.path())
        .stdin(Stdio::null())
        .output();
    match output {
        // Replaced by an upgrade while it runs: the reload shows whether it takes it.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(broken(error)),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            match output.status.success() || said.contains("unknown flag: --validate") {
                true => Ok(()),
                false => Err(PluginError::Invalid(said.trim().to_owned())),
            }
        }
    }
}

fn systemctl(arguments: &[&str]) -> Result<(), PluginError> {
    let what = format!("systemctl {}", arguments.join(" "));
    let output = Command::new("systemctl").args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|source| PluginError::Run { what: what.clone(), source })?;
    if output.status.success() {
        return Ok(());
    }
    Err(PluginError::Failed { what, said: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}

fn until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if done() {
            return true;
        }
        if start.elapsed() > limit {
            return false;
        }
        std::thread::sleep(BETWEEN);
    }
}
