//! The plugin's own systemd unit: there before Docker, and as little as it needs: two sockets and a folder.

use std::path::{Path, PathBuf};

/// Where it is written.
pub const PATH: &str = "/etc/systemd/system/wharf-guard.service";
/// What it is called.
pub const NAME: &str = "wharf-guard.service";

/// What Docker is started by, where the unit can be tied to it.
pub const DOCKER: &str = "docker.service";

/// Before the path of the configuration that names the plugin: a `dockerd` that is down tells nobody of its flags.
const CONFIGURATION: &str = "# daemon.json: ";

/// The text, for the program at `program`, Docker's socket at `docker`, and its configuration at `json`.
pub fn text(program: &Path, docker: &Path, json: &Path) -> String {
    TEXT.replace("CONFIGURATION", &format!("{CONFIGURATION}{}", json.display()))
        .replace("PROGRAM", &program.display().to_string())
        .replace("DOCKER", &docker.display().to_string())
}

/// Whether `install` wrote it.
pub fn is_ours(text: &str) -> bool {
    text.contains("`wharfd guard plugin install`")
}

/// Which configuration it says that names the plugin.
pub fn json_path(text: &str) -> Option<PathBuf> {
    text.lines()
        .filter(|_| is_ours(text))
        .find_map(|line| line.strip_prefix(CONFIGURATION))
        .map(PathBuf::from)
}

/// Root without a single capability: it owns what it opens. `RuntimeDirectoryPreserve`: Docker's folder holds other plugins' sockets.
const TEXT: &str = "\
# Written by `wharfd guard plugin install`, removed by `wharfd guard plugin remove`. Docker asks this before every request, and
# refuses all of them while it does not answer: do not disable it while daemon.json names it.
CONFIGURATION
[Unit]
Description=Wharf's volume guard, which Docker asks before every request
Documentation=man:wharfd(1)
Before=docker.service
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=PROGRAM guard plugin serve --upstream DOCKER
Restart=always
RestartSec=1
RuntimeDirectory=wharf-guard docker/plugins
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
LimitNOFILE=8192
OOMScoreAdjust=-900
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateNetwork=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077

[Install]
WantedBy=docker.service
";

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Where systemd's own checker is installed. A test of the whole starts it for real.
    #[test]
    fn systemd_understands_every_line() {
        let folder = tempfile::tempdir().unwrap();
        let unit = folder.path().join(NAME);
        let json = Path::new("/etc/docker/daemon.json");
        let text = text(Path::new("/bin/true"), Path::new("/run/docker.sock"), json);
        assert_eq!(json_path(&text).as_deref(), Some(json));
        std::fs::write(&unit, text.replace("Documentation=man:wharfd(1)\n", "")).unwrap();
        match std::process::Command::new("systemd-analyze").arg("verify").arg(&unit).output() {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let ours: Vec<&str> = said.lines().filter(|line| line.contains(NAME)).collect();
                assert!(output.status.success() && ours.is_empty(), "{said}");
            }
            Err(error) => eprintln!("not checked: systemd-analyze: {error}"),
        }
    }
}
