//! Shell that runs on the server: for `sh` as POSIX has it, read from standard input, so that nothing stands in an argument
//! list and no login shell has to understand it.
//!
//! **Invariant**: what is answered are lines that begin with [`MARK`]; whatever a login shell prints besides is passed over.

/// In front of every line that is an answer.
const MARK: &str = "wharf: ";

pub const BINARY: &str = "/usr/local/bin/wharfd";
/// Beside its place, on the same file system, and where security labels are inherited from.
pub const NEW_BINARY: &str = "/usr/local/bin/.wharfd.new";
pub const UNIT: &str = "/etc/systemd/system/wharfd.service";
pub const CONFIG: &str = "/etc/wharf/wharfd.toml";
/// Where there is no systemd.
pub const PID_FILE: &str = "/run/wharf/wharfd.pid";
pub const LOG: &str = "/var/log/wharfd.log";

/// What the scripts that run as root have in common. The agent is told to leave by SIGHUP: it ends when no job runs.
const COMMON: &str = r#"
bin=/usr/local/bin/wharfd
pidfile=/run/wharf/wharfd.pid
log=/var/log/wharfd.log
say() { echo "wharf: $*"; }
systemd() { [ -d /run/systemd/system ]; }
# Whether Docker asks the guard for the whole host, or its unit is there.
host_guard() {
    [ -e /etc/systemd/system/wharf-guard.service ] || grep -qs wharf-guard /etc/docker/daemon.json
}
# The agent's process; fails where none runs that setup started.
main_pid() {
    if systemd; then p=$(systemctl show -p MainPID --value wharfd 2>/dev/null) || return 1
    else p=$(cat "$pidfile" 2>/dev/null) || return 1; fi
    case $p in '' | 0 | *[!0-9]*) return 1 ;; esac
    case $(readlink "/proc/$p/exe" 2>/dev/null) in "$bin" | "$bin (deleted)") echo "$p" ;; *) return 1 ;; esac
}
gone_within() {
    left=$2
    while [ "$(main_pid)" = "$1" ]; do
        [ "$left" -gt 0 ] || return 1
        left=$((left - 1))
        sleep 1
    done
}
# Ends the agent once no job runs; fails where one still runs after eleven minutes.
leave() {
    running=$(main_pid) || return 0
    kill -HUP "$running" 2>/dev/null || true
    gone_within "$running" 660 || return 1
    if systemd; then systemctl stop wharfd; fi
}
stop_now() {
    if systemd; then systemctl stop wharfd; return 0; fi
    running=$(main_pid) || return 0
    kill -TERM "$running" 2>/dev/null || true
    gone_within "$running" 20 || kill -KILL "$running" 2>/dev/null || true
}
start() {
    if systemd; then
        systemctl daemon-reload
        systemctl enable -q wharfd
        systemctl restart wharfd
    else
        mkdir -p /run/wharf
        HOME=/root setsid sh -c 'echo $$ >/run/wharf/wharfd.pid; exec /usr/local/bin/wharfd serve' \
            >>"$log" 2>&1 </dev/null 9>&- &
    fi
}
# Whether the agent answers within so many seconds. One that has ended is not waited for.
answers() {
    left=$1
    gone=0
    while :; do
        if timeout 10 "$bin" hello >/dev/null 2>&1; then return 0; fi
        if main_pid >/dev/null; then gone=0; else gone=$((gone + 1)); fi
        [ "$gone" -lt 4 ] && [ "$left" -gt 0 ] || return 1
        left=$((left - 1))
        sleep 1
    done
}
show_log() {
    if systemd; then journalctl -u wharfd -n 12 --no-pager -o cat 2>/dev/null
    else tail -n 12 "$log" 2>/dev/null; fi | sed 's/^/wharf: log /'
}
"#;

/// A whole script: read to its end before any of it runs, so that no command in it eats the rest.
pub fn whole(body: &str) -> String {
    format!("{{\nset -eu\n{body}\nexit 0\n}} </dev/null\n")
}

/// A whole script with what those that run as root have in common.
pub fn with_common(body: &str) -> String {
    whole(&format!("{COMMON}\n{body}"))
}

/// `text` as one word of the shell's.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The answers among the lines: each word with what follows it.
pub fn answers(output: &str) -> impl Iterator<Item = (&str, &str)> {
    output.lines().filter_map(|line| {
        let answer = line.strip_prefix(MARK)?;
        Some(answer.split_once(' ').unwrap_or((answer, "")))
    })
}

/// Writes `text` to `path`: beside it, then renamed. `mode` is octal.
pub fn write_file(path: &str, mode: &str, text: &str) -> String {
    let (path, text) = (quoted(path), quoted(text));
    format!(
        "target={path}\nrm -f \"$target.new\"\n(umask 077 && printf %s {text} >\"$target.new\")\nchmod {mode} \"$target.new\"\n\
         mv -f \"$target.new\" \"$target\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_whatever_else_is_printed() {
        let found: Vec<_> =
            answers("Welcome!\nwharf: uid 0\nwharf:no\nwharf: config \nwharf: free\n").collect();
        assert_eq!(found, [("uid", "0"), ("config", ""), ("free", "")]);
    }

    #[cfg(unix)]
    #[test]
    fn scripts_are_understood_by_the_shell_and_write_every_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it's a file");
        let text = "a 'b' \\n $HOME `x` \"y\"\n\tend\n";
        let body = write_file(path.to_str().unwrap(), "640", text);
        let mut child = std::process::Command::new("sh").stdin(std::process::Stdio::piped()).spawn().unwrap();
        // What follows a whole script is not run.
        let script = with_common(&body) + "touch late\n";
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), script.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
        assert_eq!(mode & 0o777, 0o640);
    }
}
