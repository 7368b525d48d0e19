//! Carrying a plan out, step by step.

use super::{
    AgentFile, KeyLine, Laptop, Plan, Remote, SetupError, Step,
    script::{self, BINARY, CONFIG, LOG, NEW_BINARY, UNIT, answers},
    unit,
};
use std::time::Duration;
use wharf_ssh::deploy_key;

/// An agent may be leaving for eleven minutes, then the next one starts.
const RESTART_WITHIN: Duration = Duration::from_secs(800);

/// Does what the plan says; `tell` is told of each step that was done.
///
/// # Errors
/// A step failed; those before it stay done.
pub async fn execute(
    plan: &Plan,
    laptop: &Laptop,
    remote: &Remote,
    mut tell: impl FnMut(&str),
) -> Result<(), SetupError> {
    let mut public = laptop.public.clone();
    for step in &plan.steps {
        match step {
            Step::MakeKey { file } => {
                let comment = format!("wharf-{}", laptop.key_name);
                let key = deploy_key::create(file, &comment)
                    .map_err(|source| SetupError::Key { path: file.clone(), source })?;
                public = Some(key.as_str().to_owned());
                tell(&format!("made the key {}", file.display()));
            }
            Step::Install(agent) => {
                let version = bring(agent, remote).await?;
                let body = format!("mv -f {NEW_BINARY} {BINARY}\nsync");
                remote.run_as_root("putting the agent in place", &script::whole(&body)).await?;
                tell(&format!("installed {BINARY}: {version}"));
            }
            Step::WriteConfig { text, .. } => {
                let body = format!("mkdir -p -m 755 /etc/wharf\n{}", script::write_file(CONFIG, "644", text));
                remote.run_as_root("writing the configuration", &script::whole(&body)).await?;
                tell(&format!("wrote {CONFIG}"));
            }
            Step::WriteUnit => {
                let body = script::write_file(UNIT, "644", unit::TEXT);
                remote.run_as_root("writing the unit", &script::whole(&body)).await?;
                tell(&format!("wrote {UNIT}"));
            }
            Step::Start { systemd, .. } => {
                start(remote).await?;
                tell(&match systemd {
                    true => "the agent runs and answers; its log: journalctl -u wharfd".to_owned(),
                    false => format!("the agent runs and answers; its log: {LOG}"),
                });
            }
            Step::AllowKey { home, .. } => {
                let line = KeyLine {
                    public: public.clone().unwrap_or_default(),
                    name: laptop.key_name.clone(),
                    role: laptop.role,
                    socket: plan.socket.clone(),
                };
                remote.run("letting the key in", &script::whole(&allow(&line.text()))).await?;
                tell(&format!("added the key to {home}/.ssh/authorized_keys"));
            }
        }
    }
    Ok(())
}

/// Brings an agent there, beside its place, and has it say its version.
pub(super) async fn bring(agent: &AgentFile, remote: &Remote) -> Result<String, SetupError> {
    remote.run_as_root("making /usr/local/bin", &script::whole("mkdir -p /usr/local/bin")).await?;
    remote.upload(&agent.path, NEW_BINARY).await?;
    let body = format!(
        r#"new={NEW_BINARY}
sum=$(sha256sum "$new" | cut -d ' ' -f 1)
if [ "$sum" != {sha256} ]; then rm -f "$new"; echo "what arrived has the SHA-256 $sum" >&2; exit 1; fi
chmod 755 "$new"
version=$("$new" --version 2>&1 | head -n 1)
case $version in
    "wharfd "*) echo "wharf: version $version" ;;
    *) rm -f "$new"; echo "it does not run there: $version" >&2; exit 1 ;;
esac"#,
        sha256 = agent.sha256
    );
    let said = remote.run_as_root("checking the uploaded agent", &script::whole(&body)).await?;
    let version =
        answers(&said).find(|(what, _)| *what == "version").map(|(_, rest)| crate::render::clean(rest));
    Ok(version.unwrap_or_default())
}

async fn start(remote: &Remote) -> Result<(), SetupError> {
    let body =
        "leave || { say busy; exit 0; }\nstart\nif answers 60; then say up; else show_log; say silent; fi";
    let said =
        remote.run_as_root_within("starting the agent", &script::with_common(body), RESTART_WITHIN).await?;
    match answers(&said).last() {
        Some(("up", _)) => Ok(()),
        Some(("busy", _)) => Err(SetupError::Busy),
        _ => Err(SetupError::Silent { log: log(&said) }),
    }
}

/// The lines of the agent's log among the answers.
pub(super) fn log(said: &str) -> Vec<String> {
    answers(said).filter(|(what, _)| *what == "log").map(|(_, rest)| crate::render::clean(rest)).collect()
}

/// Adds a line to the `authorized_keys` of who runs it, once.
fn allow(line: &str) -> String {
    format!(
        r#"line={line}
mkdir -p -m 700 "$HOME/.ssh"
file=$HOME/.ssh/authorized_keys
if [ ! -e "$file" ]; then (umask 077 && : >"$file"); fi
if grep -qxF -e "$line" "$file"; then exit 0; fi
if [ -n "$(tail -c 1 "$file")" ]; then echo >>"$file"; fi
printf '%s\n' "$line" >>"$file""#,
        line = script::quoted(line)
    )
}
