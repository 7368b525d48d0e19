//! Taking the agent away. Apps run on; what holds people's data stays.

use super::{
    Facts, Login, Remote, SetupError,
    config_file::ConfigFile,
    script::{self, BINARY, CONFIG, UNIT, answers},
};
use std::time::Duration;

/// The agent may be leaving for eleven minutes.
const REMOVE_WITHIN: Duration = Duration::from_secs(800);

/// What goes.
#[derive(Debug, Clone)]
pub struct Removal {
    pub state: String,
    pub socket: String,
    /// Whether the configuration is as setup wrote it; else it is somebody's, and stays.
    pub config_goes: bool,
    pub home: String,
}

impl Removal {
    /// # Errors
    /// An agent that setup did not start.
    pub fn of(login: &Login, facts: &Facts, config: &ConfigFile) -> Result<Self, SetupError> {
        if facts.answers.is_some() && !facts.runs {
            return Err(SetupError::Foreign);
        }
        Ok(Self {
            state: config.state.clone(),
            socket: config.socket.clone(),
            config_goes: facts.config.is_some() && config.is_setups_own,
            home: login.home.clone(),
        })
    }

    /// What will be done.
    pub fn texts(&self, facts: &Facts) -> Vec<String> {
        let mut texts = vec!["let the agent leave as soon as no job runs".to_owned()];
        if facts.guard {
            texts.push(
                "take the guard for the whole host out of Docker's daemon.json and have Docker read it again (SIGHUP; no container restarts)"
                    .to_owned(),
            );
        }
        if facts.systemd {
            texts.push(format!("remove {UNIT}"));
        }
        texts.push(format!("remove {BINARY}"));
        if self.config_goes {
            texts.push(format!("remove {CONFIG}"));
        }
        texts.push(format!("take the keys for `wharfd connect` out of {}/.ssh/authorized_keys", self.home));
        texts.push(format!(
            "empty {} of releases, jobs and the audit; backups, their keys and files that were saved aside stay",
            self.state
        ));
        texts
    }
}

/// As root. Of each app's folder what holds data stays: backups, keys, copies' keys, files that were saved aside.
const REMOVE: &str = r#"
leave || { say busy; exit 0; }
# Docker would start no more without what it asks before every request.
if [ -x "$bin" ] && host_guard; then
    "$bin" guard plugin remove
    say removed /etc/systemd/system/wharf-guard.service
fi
if [ -e /etc/systemd/system/wharfd.service ]; then
    if systemd; then systemctl disable -q wharfd; fi
    rm -f /etc/systemd/system/wharfd.service
    if systemd; then systemctl daemon-reload; fi
    say removed /etc/systemd/system/wharfd.service
fi
if [ -e "$bin" ]; then rm -f "$bin"; say removed "$bin"; fi
rm -f /usr/local/bin/.wharfd.new "$bin.back" "$socket" "$pidfile" "$log"
rmdir /run/wharf 2>/dev/null || true
if [ -n "$config_goes" ]; then rm -f /etc/wharf/wharfd.toml; say removed /etc/wharf/wharfd.toml; fi
rmdir /etc/wharf 2>/dev/null || true
if [ -d "$state" ]; then
    rm -f "$state"/*.sqlite "$state"/*.sqlite-wal "$state"/*.sqlite-shm "$state"/*.sock \
        "$state/host_key" "$state/address" "$state/agent.lock" "$state/upgrade.sh" "$state/upgrade.log"
    rm -rf "$state/jobs" "$state/blobs" "$state/programs" "$state/docker" "$state/before-upgrade" "$state/before-upgrade.new"
    for app in "$state"/apps/*/; do
        [ -d "$app" ] || continue
        rm -f "$app/lock" "$app/recovery.json" "$app/recovering.json" "$app/before-first-deploy.json"
        rmdir "$app" 2>/dev/null || true
    done
    rmdir "$state/apps" 2>/dev/null || true
    if rmdir "$state" 2>/dev/null; then say removed "$state"; fi
fi
for kept in "$state"/apps/*/backups "$state"/apps/*/backups.key* "$state"/apps/*/offsite \
    "$state"/apps/*/saved-aside /etc/wharf/*; do
    if [ -e "$kept" ]; then say kept "$kept"; fi
done
"#;

/// As who logged in. A link is followed, and the file keeps its mode.
const TAKE_OUT: &str = r#"
file=$HOME/.ssh/authorized_keys
[ -e "$file" ] || exit 0
mark='command="/usr/local/bin/wharfd connect'
grep -qF -e "$mark" "$file" || exit 0
file=$(readlink -f "$file")
cp -p "$file" "$file.new"
grep -vF -e "$mark" "$file" >"$file.new" || true
mv -f "$file.new" "$file"
echo "wharf: removed the deploy keys in $file"
"#;

/// Does it; the paths that were kept.
///
/// # Errors
/// A job runs on, or a command fails; running it again goes on.
pub async fn remove(
    removal: &Removal,
    remote: &Remote,
    mut tell: impl FnMut(&str),
) -> Result<Vec<String>, SetupError> {
    let body = format!(
        "state={}\nsocket={}\nconfig_goes={}\n{REMOVE}",
        script::quoted(&removal.state),
        script::quoted(&removal.socket),
        if removal.config_goes { "yes" } else { "" },
    );
    let said =
        remote.run_as_root_within("removing the agent", &script::with_common(&body), REMOVE_WITHIN).await?;
    if answers(&said).any(|(what, _)| what == "busy") {
        return Err(SetupError::Busy);
    }
    let taken_out = remote.run("taking the keys out", &script::whole(TAKE_OUT)).await;
    let mut kept = Vec::new();
    for (what, rest) in answers(&said) {
        match what {
            "removed" => tell(&format!("removed {}", crate::render::clean(rest))),
            "kept" => kept.push(crate::render::clean(rest)),
            _ => {}
        }
    }
    for (_, rest) in answers(&taken_out?) {
        tell(&format!("removed {}", crate::render::clean(rest)));
    }
    Ok(kept)
}
