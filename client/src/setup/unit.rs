//! The systemd unit.
//!
//! What it forbids is what an agent never needs. It must be able to write wherever an app may lie, to mount for hooks' own
//! namespaces, and to set modes with set-group-id (shared folders of apps have it), so `ProtectHome`, `PrivateTmp`,
//! `RestrictSUIDSGID` and their like are not here.

/// `/etc/systemd/system/wharfd.service`.
pub const TEXT: &str = "\
# Written by `wharf setup`; `systemctl edit wharfd` is for changes of yours.
[Unit]
Description=Wharf's agent
Documentation=man:wharfd(1)
After=docker.service network-online.target
Wants=docker.service network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=/usr/local/bin/wharfd serve
Environment=HOME=/root
# It waits five minutes for an engine that is still starting, and is then started again.
Restart=on-failure
RestartSec=5
# A job that is cut short is finished or undone at the next start; its children end with the agent.
KillMode=mixed
TimeoutStopSec=30
RuntimeDirectory=wharf
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=restart
LimitNOFILE=65536
NoNewPrivileges=yes
ProtectSystem=full
ReadWritePaths=-/etc/wharf
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
CapabilityBoundingSet=~CAP_SYS_MODULE CAP_SYS_BOOT CAP_SYS_TIME CAP_SYS_RAWIO CAP_SYSLOG CAP_WAKE_ALARM

[Install]
WantedBy=multi-user.target
";

#[cfg(all(test, target_os = "linux"))]
mod tests {
    /// Where systemd's own checker is installed. No unit is started here.
    #[test]
    fn systemd_understands_every_line() {
        let folder = tempfile::tempdir().unwrap();
        let unit = folder.path().join("wharfd.service");
        // The program is not installed here; any other stands in.
        std::fs::write(
            &unit,
            super::TEXT
                .replace("/usr/local/bin/wharfd serve", "/bin/true")
                .replace("Documentation=man:wharfd(1)\n", ""),
        )
        .unwrap();
        match std::process::Command::new("systemd-analyze").arg("verify").arg(&unit).output() {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let ours: Vec<&str> = said.lines().filter(|line| line.contains("wharfd.service")).collect();
                assert!(output.status.success() && ours.is_empty(), "{said}");
            }
            Err(error) => eprintln!("not checked: systemd-analyze: {error}"),
        }
    }
}
