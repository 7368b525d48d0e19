//! What is to be done, from what was found. No I/O.

use super::daemon_json;
use super::error::PluginError;
use super::unit;
use std::path::{Path, PathBuf};
use wharf_guard::plugin::{NAME, SOCKET};

/// What a server is and has.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// This program.
    pub program: PathBuf,
    /// Docker's own socket.
    pub docker: PathBuf,
    pub systemd: bool,
    /// The plugin's unit.
    pub unit: Option<String>,
    /// The engine, where one runs.
    pub engine: Option<Engine>,
    pub json_path: PathBuf,
    pub json: Option<String>,
    /// Whether something answers at the plugin's socket.
    pub answers: bool,
    /// Whether Docker asks it; `None` where that is not known, or does not matter since Docker is told anyway.
    pub asked: Option<bool>,
    /// The process of [`unit::DOCKER`], where it runs.
    pub docker_unit_pid: Option<i32>,
}

impl Found {
    /// Whether the plugin's unit is what brings the plugin: it comes before that unit of Docker's.
    pub fn by_units(&self) -> bool {
        let engine = self.engine.as_ref().map(|engine| engine.pid);
        self.systemd && engine.is_some() && engine == self.docker_unit_pid
    }

    /// Whether Docker's process and its configuration are those of `now`.
    pub fn is_still(&self, now: &Self) -> bool {
        let pid = |found: &Self| found.engine.as_ref().map(|engine| engine.pid);
        pid(self) == pid(now) && self.json_path == now.json_path && self.json == now.json
    }
}

/// A `dockerd` that runs.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    pub pid: i32,
    /// What it was started with.
    pub arguments: Vec<String>,
    pub version: String,
    pub rootless: bool,
    pub swarm: bool,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    WriteUnit(String),
    /// Now, and at every start of Docker.
    StartUnit,
    /// It must answer before Docker is told to ask it.
    AwaitPlugin,
    WriteJson(String),
    DeleteJson,
    /// Reads its configuration again, and must ask then (or not ask any more).
    Reload {
        asks: bool,
    },
    StopUnit,
    RemoveUnit,
}

impl Step {
    /// In words, for who decides.
    pub fn text(&self, found: &Found) -> String {
        let json = found.json_path.display();
        match self {
            Self::WriteUnit(_) => format!("write {}", unit::PATH),
            Self::StartUnit => format!("start {} and have it started before Docker from now on", unit::NAME),
            Self::AwaitPlugin => format!("see that it answers at {SOCKET}"),
            Self::WriteJson(_) => format!("change `authorization-plugins` in {json}, and nothing else there"),
            Self::DeleteJson => format!("remove {json}, in which nothing else stands"),
            Self::Reload { asks: true } => {
                "have dockerd read it again (SIGHUP; no container restarts) and see that it asks".to_owned()
            }
            Self::Reload { asks: false } => {
                "have dockerd read it again (SIGHUP; no container restarts) and see that it asks no more"
                    .to_owned()
            }
            Self::StopUnit => format!("stop {}", unit::NAME),
            Self::RemoveUnit => format!("remove {}", unit::PATH),
        }
    }
}

/// The plugin first, and Docker told of it last.
pub fn install(found: &Found) -> Result<Vec<Step>, PluginError> {
    let engine = found.engine.as_ref().ok_or(PluginError::NoEngine)?;
    if engine.rootless {
        return Err(PluginError::Rootless);
    }
    if engine.arguments.iter().any(|word| word.starts_with("--authorization-plugin")) {
        return Err(PluginError::ByFlag);
    }
    let mut steps = Vec::new();
    if found.by_units() {
        if let Some(hidden) = [&found.program, &found.docker].into_iter().find(|path| is_hidden(path)) {
            return Err(PluginError::Hidden(hidden.clone()));
        }
        refuse_foreign(found)?;
        let text = unit::text(&found.program, &found.docker, &found.json_path);
        if found.unit.as_deref() != Some(text.as_str()) {
            steps.push(Step::WriteUnit(text));
        }
        steps.push(Step::StartUnit);
    } else if found.systemd && (found.unit.is_some() || !found.answers) {
        // The unit is for another Docker than this one.
        return Err(PluginError::OtherUnit { pid: engine.pid });
    } else if !found.answers {
        return Err(PluginError::NobodyServes);
    }
    steps.push(Step::AwaitPlugin);
    let text = found.json.as_deref().unwrap_or(daemon_json::EMPTY);
    let wrong = || PluginError::Config(found.json_path.clone());
    if !daemon_json::asks(text, NAME).map_err(|_| wrong())? {
        steps.push(Step::WriteJson(daemon_json::with(text, NAME).map_err(|_| wrong())?));
    }
    steps.push(Step::Reload { asks: true });
    Ok(steps)
}

/// Docker told first, and the plugin gone last. Without a `dockerd` that runs nobody asks.
pub fn remove(found: &Found) -> Result<Vec<Step>, PluginError> {
    let mut steps = Vec::new();
    if let Some(text) = &found.json {
        let rest =
            daemon_json::without(text, NAME).map_err(|_| PluginError::Config(found.json_path.clone()))?;
        if rest == daemon_json::EMPTY && rest != *text {
            steps.push(Step::DeleteJson);
        } else if rest != *text {
            steps.push(Step::WriteJson(rest));
        }
    }
    let by_flag = |engine: &Engine| engine.arguments.iter().any(|word| word.contains("authorization-plugin"));
    match &found.engine {
        Some(engine) if by_flag(engine) => return Err(PluginError::ByFlag),
        // A Docker that does not answer may be waiting for a plugin that is gone. Being told once more does no harm.
        Some(_) if !steps.is_empty() || found.unit.is_some() || found.asked != Some(false) => {
            steps.push(Step::Reload { asks: false })
        }
        _ => {}
    }
    if found.unit.is_some() && found.systemd {
        refuse_foreign(found)?;
        steps.extend([Step::StopUnit, Step::RemoveUnit]);
    }
    Ok(steps)
}

/// Below what the unit's `ProtectHome` and `PrivateTmp` hide.
fn is_hidden(path: &Path) -> bool {
    ["/home", "/root", "/tmp", "/var/tmp", "/run/user", "/var/run/user"]
        .iter()
        .any(|place| path.starts_with(place))
}

fn refuse_foreign(found: &Found) -> Result<(), PluginError> {
    match &found.unit {
        Some(text) if !unit::is_ours(text) => Err(PluginError::ForeignUnit),
        _ => Ok(()),
    }
}

/// What whoever enables it must know.
pub fn risk(json: &Path, by_units: bool) -> String {
    let json = json.display();
    let (again, read) = match by_units {
        true => ("systemctl restart wharf-guard", "systemctl reload docker"),
        false => ("wharfd guard plugin serve", "kill -HUP $(cat /run/docker.pid)"),
    };
    format!(
        "Docker will ask {NAME} before every request, whoever sends it. The risk: while {NAME} does not answer, Docker refuses\n\
         everything (each command after some 15 seconds), and a dockerd that starts then does not come up. Containers that run go on.\n\
         What to do then:\n\
         \x20 start it again:        {again}\n\
         \x20 or take it out:        wharfd guard plugin remove\n\
         \x20 or do that by hand:    take \"{NAME}\" out of \"authorization-plugins\" in {json}; then {read},\n\
         \x20                        or, where dockerd does not run, start it\n\
         It refuses what deletes volumes, `docker run --rm` where a volume would go with the container, and changes to a Swarm."
    )
}

/// What is worth knowing besides.
pub fn warnings(engine: &Engine) -> Vec<String> {
    let mut warnings = Vec::new();
    if known_bypass(&engine.version) {
        warnings.push(format!(
            "Docker {} can be made to hide a request's body from plugins (CVE-2024-41110). The guard refuses what it is not shown; \
             update Docker all the same",
            engine.version
        ));
    }
    if engine.swarm {
        warnings.push(
            "this engine is part of a Swarm: services, stacks and nodes cannot be changed through Docker any more; and what the \
             Swarm itself removes, the anonymous volumes of its tasks, nobody asks about"
                .to_owned(),
        );
    }
    warnings
}

/// The first release of each line that has the remedy; older lines never got one.
const REMEDIED: [(u32, u32, u32); 8] =
    [(20, 10, 28), (23, 0, 15), (24, 0, 10), (25, 0, 6), (26, 0, 3), (26, 1, 5), (27, 0, 4), (27, 1, 1)];

fn known_bypass(version: &str) -> bool {
    let mut numbers = version.split(['.', '+', '-', '~']).map_while(|part| part.parse::<u32>().ok());
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else {
        return false;
    };
    let patch = numbers.next().unwrap_or(0);
    match REMEDIED.iter().find(|(one, other, _)| (*one, *other) == (major, minor)) {
        Some((_, _, first)) => patch < *first,
        None => (major, minor) < (27, 2),
    }
}

#[cfg(test)]
mod tests;
