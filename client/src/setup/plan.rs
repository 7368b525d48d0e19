//! What is to be done to a server so that it can be deployed to: pure, from the facts.

use super::{
    AgentFile, Facts, KeyLine, Login, SetupError,
    config_file::ConfigFile,
    script::{BINARY, CONFIG, LOG, UNIT},
    unit,
};
use crate::doctor::{OLDEST_API, OLDEST_COMPOSE, version};
use crate::render;
use std::path::PathBuf;
use wharf_proto::Role;

/// The agent, a copy of it in an upgrade, and its state at the beginning.
const ROOM_MB: u64 = 512;

/// What this laptop has and wants.
#[derive(Debug, Clone)]
pub struct Laptop {
    pub key_file: PathBuf,
    /// The public half of the key that is there already.
    pub public: Option<String>,
    pub key_name: String,
    /// The most that the key may do.
    pub role: Role,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// What a person should know besides.
    pub notes: Vec<String>,
    /// Where the agent listens.
    pub socket: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    MakeKey {
        file: PathBuf,
    },
    Install(AgentFile),
    WriteConfig {
        text: String,
        is_new: bool,
    },
    WriteUnit,
    /// The one that runs leaves first, where there is one.
    Start {
        restart: bool,
        systemd: bool,
    },
    AllowKey {
        home: String,
        role: Role,
    },
}

impl Step {
    /// What will be done.
    pub fn text(&self) -> String {
        match self {
            Self::MakeKey { file } => {
                format!("make a deploy key on this laptop: {}", file.display())
            }
            Self::Install(agent) => format!(
                "install {BINARY} ({}, SHA-256 {}…)",
                render::bytes(agent.size_bytes),
                agent.sha256.get(..12).unwrap_or_default()
            ),
            Self::WriteConfig { is_new: true, .. } => {
                format!("write {CONFIG}: the agent opens no port, this user's keys reach it through sshd")
            }
            Self::WriteConfig { is_new: false, .. } => format!("add to {CONFIG} what this user's keys need"),
            Self::WriteUnit => format!("write {UNIT}"),
            Self::Start { restart: false, systemd: true } => "start the agent, now and at each boot".into(),
            Self::Start { restart: true, .. } => "start the agent again, as soon as no job runs".into(),
            Self::Start { restart: false, systemd: false } => format!("start the agent; it logs to {LOG}"),
            Self::AllowKey { home, role } => format!(
                "add the deploy key to {home}/.ssh/authorized_keys, for `wharfd connect` alone, as {role}"
            ),
        }
    }
}

/// What is to be done.
///
/// # Errors
/// The server cannot have an agent, or has one that setup did not start.
pub fn plan(
    login: &Login,
    facts: &Facts,
    laptop: &Laptop,
    agent: impl FnOnce() -> Result<AgentFile, SetupError>,
) -> Result<Plan, SetupError> {
    check(facts)?;
    let mut notes = Vec::new();
    let mut steps = Vec::new();
    if laptop.public.is_none() {
        steps.push(Step::MakeKey { file: laptop.key_file.clone() });
    }
    match (&facts.binary, agent()) {
        (None, agent) => {
            let agent = agent?;
            if !agent.is_static {
                notes.push(format!(
                    "{} is not static: it runs only where the C library is as new as where it was built",
                    agent.path.display()
                ));
            }
            steps.push(Step::Install(agent));
        }
        (Some(installed), Ok(agent)) if *installed != agent.sha256 => notes.push(format!(
            "another build of wharfd is installed there ({}); `wharf setup --upgrade` replaces it",
            facts.version.as_deref().unwrap_or("it does not say which")
        )),
        (Some(_), _) => {}
    }
    let config = ConfigFile::of(facts.config.as_deref(), &login.user, login.uid, laptop.role)?;
    if config.changes {
        steps.push(Step::WriteConfig { text: config.text, is_new: facts.config.is_none() });
    }
    // A unit that somebody changed is theirs.
    if facts.systemd && facts.unit.is_none() {
        steps.push(Step::WriteUnit);
    }
    if facts.unit.as_deref().is_some_and(|text| text != unit::TEXT) {
        notes.push(format!("{UNIT} is not as this wharf would write it; it was left as it is"));
    }
    if !facts.runs || config.changes {
        steps.push(Step::Start { restart: facts.runs, systemd: facts.systemd });
    }
    allow_key(login, laptop, &config.socket, &mut steps, &mut notes);
    if !facts.systemd && !facts.runs {
        notes.push(format!(
            "no systemd runs there: after a reboot, start the agent again with this command, or let your init run `{BINARY} serve` as root"
        ));
    }
    Ok(Plan { steps, notes, socket: config.socket })
}

fn allow_key(login: &Login, laptop: &Laptop, socket: &str, steps: &mut Vec<Step>, notes: &mut Vec<String>) {
    let line = laptop.public.as_ref().map(|public| KeyLine {
        public: public.clone(),
        name: laptop.key_name.clone(),
        role: laptop.role,
        socket: socket.to_owned(),
    });
    let there = line.as_ref().and_then(|line| login.keys.iter().find(|key| line.is_for_same_key(key)));
    match (line, there) {
        (Some(line), Some(there)) if line.text() != *there => notes.push(format!(
            "{}/.ssh/authorized_keys has this key with other limits; that line was left as it is",
            login.home
        )),
        (Some(_), Some(_)) => {}
        _ => steps.push(Step::AllowKey { home: login.home.clone(), role: laptop.role }),
    }
}

fn check(facts: &Facts) -> Result<(), SetupError> {
    if let Some(tool) = facts.lacks.first() {
        return Err(SetupError::Tool { tool: tool.clone() });
    }
    if facts.docker.is_none() {
        return Err(SetupError::Docker { said: render::clean(&facts.docker_said) });
    }
    if let Some(api) = &facts.docker_api
        && version(api).is_some_and(|api| api < OLDEST_API)
    {
        let found = render::clean(facts.docker.as_deref().unwrap_or_default());
        return Err(SetupError::OldDocker { found, api: render::clean(api) });
    }
    match &facts.compose {
        None => return Err(SetupError::Compose { found: "no `docker compose`".into() }),
        Some(told) if version(told).is_none_or(|found| found < OLDEST_COMPOSE) => {
            return Err(SetupError::Compose { found: format!("Compose {}", render::clean(told)) });
        }
        Some(_) => {}
    }
    if facts.binary.is_none() && facts.free_mb < ROOM_MB {
        return Err(SetupError::Disk { free_mb: facts.free_mb, needed_mb: ROOM_MB });
    }
    if facts.answers.is_some() && !facts.runs {
        return Err(SetupError::Foreign);
    }
    Ok(())
}
