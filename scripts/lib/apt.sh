# shellcheck shell=bash
# Debian packages: what the machine lacks, and where its packages come from.
# Sourced after say.sh.
#
# No script here names a mirror. The machine's own apt configuration does, so
# that a machine behind a mirror, a proxy or a snapshot goes on using it.

# Sets `os_id` (debian, ubuntu, …) and `os_codename` (bookworm, trixie, …).
read_os() {
    [ -r /etc/os-release ] || die "no /etc/os-release: only Debian and Ubuntu are known to these scripts"
    os_id=$(. /etc/os-release && echo "${ID:-unknown}")
    os_codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-unknown}")
    command -v apt-get >/dev/null || die "no apt-get: only Debian and Ubuntu are known to these scripts"
}

# Runs apt-get without questions; what it prints is shown only if it fails.
apt_quietly() {
    local log
    log=$(mktemp)
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -y \
        -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        die "apt-get $1 failed"
    fi
    rm -f "$log"
}

# Refreshes the package lists, at most once a run.
apt_update_once() {
    [ -n "${apt_updated:-}" ] && return 0
    note "refreshing the package lists"
    apt_quietly update
    apt_updated=yes
}

# apt_install [apt-get options…] package…
apt_install() {
    apt_update_once
    apt_quietly install --no-install-recommends "$@"
}

# apt_install_missing package…: installs those that are not installed.
apt_install_missing() {
    local package missing=()
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' ||
            missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    say "installing ${missing[*]}"
    apt_install "${missing[@]}"
}

# Prints the address that this machine takes its distribution's main archive
# from, whatever file of apt's configuration says so. apt tells only of lists
# that it has, so apt_update_once comes first.
apt_mirror() {
    read_os
    apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk -v suite="$os_codename" '$1 == suite && $2 == "main" { print $3; exit }'
}

# Prints the apt settings that decide whether the mirror can be reached at all
# (proxies) or is believed (date checks), as lines for an apt.conf file.
apt_transport_settings() {
    apt-config dump | grep -E '^Acquire::(https?::Proxy|Check-Valid-Until|Check-Date)[ :]' || true
}
