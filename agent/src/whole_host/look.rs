//! Looking at a server: Docker's process, its configuration, the plugin. Changes nothing.

use super::error::PluginError;
use super::plan::{Engine, Found};
use super::unit;
use crate::context::{files, probe};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use wharf_guard::plugin::{NAME, SOCKET};

/// Where Docker is.
#[derive(Debug, Clone, clap::Args)]
pub struct Docker {
    /// Docker's own socket
    #[arg(long, value_name = "SOCKET", default_value = wharf_engine::connection::DEFAULT_SOCKET)]
    pub docker: PathBuf,
    /// dockerd's pid file
    #[arg(long, value_name = "FILE", default_value = "/var/run/docker.pid")]
    pub pidfile: PathBuf,
    /// dockerd's configuration [default: what dockerd was started with, else /etc/docker/daemon.json]
    #[arg(long, value_name = "FILE")]
    pub daemon_json: Option<PathBuf>,
}

/// Everything that a plan depends on. Without `ask`, Docker itself is not asked: it may not answer anybody.
pub fn look(docker: &Docker, ask: bool) -> Result<Found, PluginError> {
    let mut engine = process(&docker.pidfile);
    if let Some(engine) = engine.as_mut().filter(|_| ask) {
        let info = get(&docker.docker, "/info").map_err(|source| PluginError::Run {
            what: format!("GET /info at {}", docker.docker.display()),
            source,
        })?;
        let said = |pointer: &str| info.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        said("/ServerVersion").clone_into(&mut engine.version);
        engine.swarm = !matches!(said("/Swarm/LocalNodeState"), "" | "inactive");
        let options = info.get("SecurityOptions").and_then(Value::as_array).into_iter().flatten();
        engine.rootless = options.filter_map(Value::as_str).any(|option| option.contains("rootless"));
    }
    let by_flag = engine.as_ref().and_then(|engine| value_of(&engine.arguments, "--config-file"));
    let unit = files::read(Path::new(unit::PATH))?;
    let by_unit = || unit.as_deref().filter(|_| engine.is_none()).and_then(unit::json_path);
    let by_person = docker.daemon_json.as_ref().map(|path| std::path::absolute(path).unwrap_or(path.clone()));
    let json_path =
        by_person.or(by_flag).or_else(by_unit).unwrap_or_else(|| "/etc/docker/daemon.json".into());
    let json = files::read(&json_path)?;
    // Only where nothing else tells that Docker must hear of it: an answer may take its time.
    let named = unit.is_some() || json.as_ref().is_some_and(|text| text.contains(NAME));
    let asked = engine.as_ref().filter(|_| !named).and_then(|_| is_asked(&docker.docker));
    let systemd = Path::new("/run/systemd/system").is_dir();
    let program = std::env::current_exe()
        .map_err(|source| PluginError::Run { what: "this program once more".into(), source })?;
    Ok(Found {
        program,
        docker: docker.docker.clone(),
        systemd,
        unit,
        engine,
        json,
        json_path,
        answers: answers(),
        asked,
        docker_unit_pid: if systemd { docker_unit_pid() } else { None },
    })
}

/// Which process systemd started for Docker's own unit. `None` where there is none, which is `0` in systemd's words.
fn docker_unit_pid() -> Option<i32> {
    let show = ["show", "-p", "MainPID", "--value", unit::DOCKER];
    let output = Command::new("systemctl").args(show).stdin(Stdio::null()).output().ok()?;
    let pid = String::from_utf8_lossy(&output.stdout).trim().parse().ok()?;
    (pid > 0).then_some(pid)
}

/// A `dockerd` that runs, by its pid file.
fn process(pidfile: &Path) -> Option<Engine> {
    let pid: i32 = std::fs::read_to_string(pidfile).ok()?.trim().parse().ok()?;
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let arguments: Vec<String> = words
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .filter(|word| !word.is_empty())
        .collect();
    let is_dockerd = arguments.first().is_some_and(|program| program.rsplit('/').next() == Some("dockerd"));
    is_dockerd.then(|| Engine { pid, arguments, ..Engine::default() })
}

/// `--name value` or `--name=value`.
fn value_of(arguments: &[String], name: &str) -> Option<PathBuf> {
    let at = arguments.iter().position(|word| word == name || word.starts_with(&format!("{name}=")))?;
    let word = arguments.get(at)?;
    match word.split_once('=') {
        Some((_, value)) => Some(value.into()),
        None => arguments.get(at + 1).map(PathBuf::from),
    }
}

/// Whether the plugin says at its socket what it is for.
pub fn answers() -> bool {
    let asked = b"POST /Plugin.Activate HTTP/1.0\r\nHost: plugin\r\nContent-Length: 0\r\n\r\n";
    exchange(Path::new(SOCKET), asked, Duration::from_secs(5)).is_ok_and(|said| said.contains("\"authz\""))
}

/// Whether Docker asks the plugin: it refuses an address that Docker itself would answer. `None` where Docker does not answer.
pub fn is_asked(docker: &Path) -> Option<bool> {
    let said = probe::ask(docker).ok()?;
    let refused = said.contains(&format!("authorization denied by plugin {NAME}"));
    (refused || said.starts_with("HTTP/1.1 200")).then_some(refused)
}

fn get(socket: &Path, path: &str) -> io::Result<Value> {
    let asked = format!("GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n");
    let said = exchange(socket, asked.as_bytes(), Duration::from_secs(40))?;
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or((&said, ""));
    if !head.lines().next().is_some_and(|status| status.contains(" 200 ")) {
        return Err(io::Error::other(body.trim().to_owned()));
    }
    serde_json::from_str(body).map_err(io::Error::other)
}

fn exchange(socket: &Path, asked: &[u8], within: Duration) -> io::Result<String> {
    const ANSWER_BYTES: u64 = 4 << 20;
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(within))?;
    stream.set_write_timeout(Some(within))?;
    stream.write_all(asked)?;
    let mut said = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut said)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flags_value_stands_beside_it_or_behind_it() {
        let words = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
        for (line, expected) in [
            ("dockerd --config-file /a.json -H x", Some("/a.json")),
            ("dockerd --config-file=/b.json", Some("/b.json")),
            ("dockerd --config-files=/b.json", None),
            ("dockerd --config-file", None),
            ("dockerd", None),
        ] {
            assert_eq!(value_of(&words(line), "--config-file"), expected.map(PathBuf::from), "{line}");
        }
    }
}
