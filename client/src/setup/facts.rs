//! What a server is and has, before anything is planned. Looking changes nothing.

use super::{Remote, SetupError, script};

/// As who we came in, told without being root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    pub uid: u32,
    pub user: String,
    pub home: String,
    /// `Linux`
    pub system: String,
    /// `x86_64`
    pub arch: String,
    /// `Debian GNU/Linux 13 (trixie)`
    pub os: String,
    pub sudo: Sudo,
    /// The lines of this user's `authorized_keys`.
    pub keys: Vec<String>,
}

/// Whether sudo makes this user root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sudo {
    #[default]
    Missing,
    Free,
    /// It asks for a password, or refuses.
    Asks,
}

/// What root sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub systemd: bool,
    /// The engine's version.
    pub docker: Option<String>,
    pub docker_said: String,
    /// The API that it speaks, where it tells.
    pub docker_api: Option<String>,
    pub compose: Option<String>,
    /// Where the agent and its state go, the smaller of both.
    pub free_mb: u64,
    pub lacks: Vec<String>,
    /// SHA-256 of the agent that is installed.
    pub binary: Option<String>,
    /// What it says of itself.
    pub version: Option<String>,
    pub unit: Option<String>,
    pub config: Option<String>,
    /// Whether an agent runs that setup started.
    pub runs: bool,
    /// What the agent that answers calls itself.
    pub answers: Option<String>,
    pub jobs: Vec<String>,
    /// Whether Docker asks the guard for the whole host, or its unit is there.
    pub guard: bool,
}

const LOGIN: &str = r#"
echo "wharf: uid $(id -u)"
echo "wharf: user $(id -un)"
echo "wharf: home $HOME"
echo "wharf: system $(uname -s)"
echo "wharf: arch $(uname -m)"
if [ -r /etc/os-release ]; then echo "wharf: os $(. /etc/os-release && echo "${PRETTY_NAME:-}")"; fi
if command -v sudo >/dev/null; then
    if sudo -k -n -H sh -c true 2>/dev/null; then echo "wharf: sudo free"; else echo "wharf: sudo asks"; fi
fi
if [ -r "$HOME/.ssh/authorized_keys" ]; then sed 's/^/wharf: key /' "$HOME/.ssh/authorized_keys"; fi
"#;

const ROOT: &str = r#"
if systemd; then say systemd; fi
for tool in sha256sum timeout sed tail readlink; do command -v "$tool" >/dev/null || say "lacks $tool"; done
systemd || command -v setsid >/dev/null || say "lacks setsid"
if version=$(timeout 30 docker version --format '{{.Server.Version}}' 2>&1); then say "docker $version"
else say "docker_said $(echo "$version" | tail -n 1)"; fi
if version=$(timeout 30 docker version --format '{{.Server.APIVersion}}' 2>/dev/null); then say "docker_api $version"; fi
if version=$(timeout 30 docker compose version --short 2>/dev/null); then say "compose $version"; fi
for folder in /usr/local /var/lib; do df -Pk "$folder" | { read -r head; read -r disk size used free rest; say free "$free"; }; done
if [ -e "$bin" ]; then
    say "binary $(sha256sum "$bin" | cut -d ' ' -f 1)"
    say "version $("$bin" --version 2>/dev/null | head -n 1)"
    timeout 10 "$bin" hello 2>/dev/null | sed 's/^/wharf: hello /'
fi
if main_pid >/dev/null; then say runs; fi
if host_guard; then say guard; fi
for file in unit:/etc/systemd/system/wharfd.service config:/etc/wharf/wharfd.toml; do
    if [ -e "${file#*:}" ]; then say "${file%%:*}_there"; sed "s/^/wharf: ${file%%:*} /" "${file#*:}"; fi
done
"#;

impl Login {
    /// # Errors
    /// No shell answers.
    pub async fn look(remote: &Remote) -> Result<Self, SetupError> {
        let login = Self::parse(&remote.run("looking at the server", &script::whole(LOGIN)).await?);
        match login.system.as_str() {
            "Linux" => Ok(login),
            other => Err(SetupError::System { found: other.to_owned() }),
        }
    }

    pub(super) fn parse(output: &str) -> Self {
        let mut login = Self { uid: u32::MAX, ..Self::default() };
        for (what, rest) in script::answers(output) {
            match what {
                "uid" => login.uid = rest.parse().unwrap_or(u32::MAX),
                "user" => login.user = rest.to_owned(),
                "home" => login.home = rest.to_owned(),
                "system" => login.system = rest.to_owned(),
                "arch" => {
                    login.arch = match rest {
                        "amd64" => "x86_64".into(),
                        "arm64" => "aarch64".into(),
                        other => other.to_owned(),
                    };
                }
                "os" => login.os = rest.to_owned(),
                "sudo" => login.sudo = if rest == "free" { Sudo::Free } else { Sudo::Asks },
                "key" => login.keys.push(rest.to_owned()),
                _ => {}
            }
        }
        login
    }
}

impl Facts {
    /// # Errors
    /// The script fails there.
    pub async fn look(remote: &Remote) -> Result<Self, SetupError> {
        Ok(Self::parse(&remote.run_as_root("looking at the server", &script::with_common(ROOT)).await?))
    }

    pub(super) fn parse(output: &str) -> Self {
        let mut facts = Self { free_mb: u64::MAX, ..Self::default() };
        let mut hello = Vec::new();
        for (what, rest) in script::answers(output) {
            let text = || Some(rest.to_owned());
            match what {
                "systemd" => facts.systemd = true,
                "docker" => facts.docker = text(),
                "docker_api" => facts.docker_api = text(),
                "docker_said" => facts.docker_said = rest.to_owned(),
                "compose" => facts.compose = text(),
                "free" => {
                    let free_mb = rest.parse().map_or(u64::MAX, |kilobytes: u64| kilobytes / 1024);
                    facts.free_mb = facts.free_mb.min(free_mb);
                }
                "lacks" => facts.lacks.push(rest.to_owned()),
                "binary" => facts.binary = text(),
                "version" => facts.version = text().filter(|version| !version.is_empty()),
                "hello" => hello.push(rest.to_owned()),
                "runs" => facts.runs = true,
                "guard" => facts.guard = true,
                "unit_there" => facts.unit = Some(String::new()),
                "config_there" => facts.config = Some(String::new()),
                "unit" => add_line(&mut facts.unit, rest),
                "config" => add_line(&mut facts.config, rest),
                _ => {}
            }
        }
        let mut hello = hello.into_iter();
        facts.answers = hello.next();
        facts.jobs = hello.collect();
        facts
    }

    /// One line for people.
    pub fn shown(&self, login: &Login) -> String {
        let mut parts = vec![login.os.clone(), login.arch.clone()];
        parts.extend(self.docker.as_ref().map(|version| format!("Docker {version}")));
        parts.extend(self.compose.as_ref().map(|version| format!("Compose {version}")));
        if self.free_mb < u64::MAX {
            parts.push(format!("{} free", crate::render::bytes(self.free_mb << 20)));
        }
        parts.push(if self.systemd { "systemd".into() } else { "no systemd".into() });
        parts.extend(self.answers.clone());
        parts.retain(|part| !part.is_empty());
        parts.iter().map(|part| crate::render::clean(part)).collect::<Vec<_>>().join(", ")
    }
}

fn add_line(text: &mut Option<String>, line: &str) {
    let text = text.get_or_insert_default();
    text.push_str(line);
    text.push('\n');
}
