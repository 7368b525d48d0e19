//! Another agent in the place of the one that runs, and that one back where the new one does not answer.
//!
//! **Invariant**: from the moment that the old agent leaves, all goes on in one script on the server, which the laptop's
//! connection does not carry: it ends with an agent that serves, the new one or the old one with its state.

use super::{
    AgentFile, Facts, Remote, SetupError,
    execute::{bring, log},
    script::{self, NEW_BINARY, answers},
};
use crate::render;
use std::time::Duration;

/// Leaving, starting, and starting the old one again.
const SWAP_WITHIN: Duration = Duration::from_secs(1000);

/// What an upgrade is.
#[derive(Debug, Clone)]
pub struct Upgrade {
    pub agent: AgentFile,
    /// The agent's state folder.
    pub state: String,
}

impl Upgrade {
    /// `None` where that very agent runs already.
    ///
    /// # Errors
    /// There is no agent, or one that setup did not start.
    pub fn of(facts: &Facts, state: String, agent: AgentFile) -> Result<Option<Self>, SetupError> {
        let installed = facts.binary.as_ref().ok_or(SetupError::NoneThere)?;
        if facts.answers.is_some() && !facts.runs {
            return Err(SetupError::Foreign);
        }
        let is_there = *installed == agent.sha256 && facts.answers.is_some();
        Ok((!is_there).then_some(Self { agent, state }))
    }

    /// What will be done.
    pub fn texts(&self, facts: &Facts) -> Vec<String> {
        let mut texts = vec![format!(
            "bring the new agent there ({}, SHA-256 {}…)",
            render::bytes(self.agent.size_bytes),
            self.agent.sha256.get(..12).unwrap_or_default()
        )];
        texts.push(match facts.jobs.as_slice() {
            [] => "let the agent leave as soon as no job runs".to_owned(),
            jobs => format!("wait for what runs ({}), then let the agent leave", jobs.join(", ")),
        });
        texts.push(format!("copy binary and state to {}/before-upgrade", self.state));
        texts.push("start the new agent; if it does not answer, put the old one and its state back".into());
        texts
    }
}

/// What runs by itself on the server. It says how it ended in a file.
const SWAP: &str = r#"
# Every failure is seen to below: ending early could leave the server without an agent.
set +e
say_end() { say "$1"; say end; exit 0; }
old=$state/before-upgrade
leave || say_end busy
rm -rf "$old.new"
if ! { mkdir -m 700 "$old.new" && cp -p "$bin" "$old.new/wharfd" && copy_state "$state" "$old.new" && sync; }; then
    rm -rf "$old.new"
    start
    say_end not_copied
fi
rm -rf "$old"
mv "$old.new" "$old"
mv -f "$new" "$bin" || { start; say_end not_copied; }
start
if answers 60; then say_end upgraded; fi
show_log
stop_now
rm -f "$state"/*.sqlite "$state"/*.sqlite-wal "$state"/*.sqlite-shm
copy_state "$old" "$state"
cp -p "$old/wharfd" "$bin.back"
mv -f "$bin.back" "$bin"
start
if answers 60; then say_end put_back; fi
say_end not_put_back
"#;

const COPY_STATE: &str = r#"
copy_state() {
    for file in "$1"/*.sqlite "$1"/*.sqlite-wal "$1"/*.sqlite-shm; do
        if [ -e "$file" ]; then cp -p "$file" "$2/" || return 1; fi
    done
}
"#;

/// Does it; the new agent's version.
///
/// # Errors
/// A job runs on, the new agent does not answer; the text says which one serves.
pub async fn upgrade(
    upgrade: &Upgrade,
    remote: &Remote,
    mut tell: impl FnMut(&str),
) -> Result<(), SetupError> {
    let version = bring(&upgrade.agent, remote).await?;
    tell(&format!("brought {version} there"));
    let state = script::quoted(&upgrade.state);
    let swap = script::with_common(&format!("state={state}\nnew={NEW_BINARY}\n{COPY_STATE}{SWAP}"));
    let body = format!(
        "state={state}\nmkdir -p -m 700 \"$state\"\n{}rm -f \"$state/upgrade.log\"\n{RUN}",
        script::write_file(&format!("{}/upgrade.sh", upgrade.state), "600", &swap),
    );
    let said =
        remote.run_as_root_within("replacing the agent", &script::with_common(&body), SWAP_WITHIN).await?;
    match answers(&said).map(|(what, _)| what).filter(|what| !matches!(*what, "end" | "log")).last() {
        Some("upgraded") => {
            tell(&format!("the agent is {version} now, and answers"));
            tell(&format!("the one before it, and its state: {}/before-upgrade", upgrade.state));
            Ok(())
        }
        Some("busy") => Err(SetupError::Busy),
        Some("not_copied") => Err(SetupError::NotCopied { log: log(&said) }),
        Some("put_back") => Err(SetupError::PutBack { log: log(&said) }),
        _ => Err(SetupError::NotPutBack { log: log(&said) }),
    }
}

/// Starts what runs by itself, out of reach of this session's end, and waits for its last word.
const RUN: &str = r#"
if systemd; then systemd-run --quiet --collect sh -c 'exec sh "$1" >"$2" 2>&1' sh "$state/upgrade.sh" "$state/upgrade.log"
else setsid sh "$state/upgrade.sh" >"$state/upgrade.log" 2>&1 </dev/null & fi
left=900
until grep -qx 'wharf: end' "$state/upgrade.log" 2>/dev/null; do
    [ "$left" -gt 0 ] || break
    left=$((left - 1))
    sleep 1
done
cat "$state/upgrade.log"
rm -f "$state/upgrade.sh" "$state/upgrade.log"
"#;
