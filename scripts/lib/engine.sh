# shellcheck shell=bash
# Makes sure that a Docker engine with Compose v2 and buildx runs.
# Sourced after say.sh and apt.sh; `ensure_engine` is the way in.
#
# Where an engine answers already, nothing is touched. Otherwise the
# distribution's own packages are installed, with one exception: Debian 12
# ships Compose 1.29 and an engine without BuildKit by default, so there the
# packages of Debian 13 are taken from the same mirror, pinned so low that
# nothing else of the machine moves to Debian 13.

engine_log=/var/log/dockerd.log
engine_pidfile=/var/run/docker.pid
containerd_pidfile=/var/run/docker/containerd/containerd.pid
engine_wait_seconds=60
trixie_source=/etc/apt/sources.list.d/wharf-trixie.sources

ensure_engine() {
    if use_working_client && engine_answers; then
        note "Docker engine $(docker version --format '{{.Server.Version}}') runs, Compose $(docker compose version --short)"
        return 0
    fi
    if ! use_working_client || ! command -v dockerd >/dev/null; then
        install_engine
        use_working_client ||
            die "Docker's packages are installed, but no 'docker' on the path has Compose v2 and buildx"
    fi
    refuse_without_permission
    engine_answers || start_engine
    say "Docker engine $(docker version --format '{{.Server.Version}}') runs, Compose $(docker compose version --short)"
}

engine_answers() {
    [ -n "$(timeout 20 docker info --format '{{.ServerVersion}}' 2>/dev/null)" ]
}

# Several `docker` programs may stand on the path, and the first need not be
# the one with the plug-ins. Puts a directory whose `docker` has both Compose
# v2 and buildx first in PATH, for us and for all that we start.
use_working_client() {
    local candidate
    for candidate in $(type -ap docker) /usr/bin/docker; do
        [ -x "$candidate" ] || continue
        case $("$candidate" compose version --short 2>/dev/null) in
            2.* | v2.* | [3-9].* | v[3-9].*) ;;
            *) continue ;;
        esac
        "$candidate" buildx version >/dev/null 2>&1 || continue
        if [ "$(command -v docker)" != "$candidate" ]; then
            PATH=$(dirname "$candidate"):$PATH
            export PATH
            hash -r
        fi
        return 0
    done
    return 1
}

install_engine() {
    read_os
    say "installing the Docker engine, Compose and buildx ($os_id $os_codename)"
    case $os_id:$os_codename in
        debian:bookworm)
            add_trixie_source
            apt_install -t trixie docker.io docker-cli docker-compose docker-buildx iptables
            ;;
        debian:*) apt_install docker.io docker-cli docker-compose docker-buildx iptables ;;
        ubuntu:*) apt_install docker.io docker-compose-v2 docker-buildx iptables ;;
        *) die "install Docker with Compose v2 and buildx by hand: $os_id is not known to this script" ;;
    esac
    hash -r
}

# Debian 13 as a second source, from the mirror that this machine uses already.
# Priority 100 is below every package that is installed or of Debian 12's own.
add_trixie_source() {
    local mirror
    apt_update_once
    mirror=$(apt_mirror)
    [ -n "$mirror" ] || die "no Debian mirror in this machine's apt configuration"
    note "taking them from Debian 13 on the configured mirror, pinned at priority 100"
    # An old keyring may not know Debian 13's key yet.
    apt_install debian-archive-keyring
    printf 'Types: deb\nURIs: %s\nSuites: trixie\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' "$mirror" |
        as_root tee "$trixie_source" >/dev/null
    printf 'Package: *\nPin: release n=trixie\nPin-Priority: 100\n' |
        as_root tee /etc/apt/preferences.d/wharf-trixie >/dev/null
    apt_updated=
}

# An engine that answers root and not us is no engine to install or start.
refuse_without_permission() {
    if [ "$(id -u)" -eq 0 ] || engine_answers; then
        return 0
    fi
    if [ -S /var/run/docker.sock ] && [ ! -w /var/run/docker.sock ]; then
        die "the Docker engine runs, but $(id -un) may not use it: sudo usermod -aG docker $(id -un), then log in again"
    fi
}

start_engine() {
    if [ -d /run/systemd/system ]; then
        say "starting the Docker engine (systemd)"
        as_root systemctl enable --now docker.service >&2
    else
        wait_for_ending_engine
        if engine_process >/dev/null; then
            note "a dockerd is starting already"
        else
            remove_stale_pidfiles
            say "starting the Docker engine in the background; its log is $engine_log"
            as_root sh -c "setsid dockerd >>$engine_log 2>&1 </dev/null &"
        fi
    fi
    wait_for_engine
}

# live_process pidfile program: prints the process id in the file, where that
# is a live process of that program; fails otherwise. A zombie (killed, not yet
# reaped) is not one: its command line is empty.
live_process() {
    local pid
    pid=$(as_root cat "$1" 2>/dev/null) || return 1
    [ -n "$pid" ] && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q "$2" || return 1
    echo "$pid"
}

engine_process() { live_process "$engine_pidfile" dockerd; }

# One that was told to stop may still be there; a new one would refuse to start.
wait_for_ending_engine() {
    local waited=0
    while engine_process >/dev/null && ! engine_answers && [ $waited -lt 10 ]; do
        sleep 1
        waited=$((waited + 1))
    done
}

# dockerd refuses to start while *any* process bears the number in its pid
# file, so one that was killed leaves a file that may block the next for ever.
# The containerd that it started leaves one too, and dockerd would wait for it.
remove_stale_pidfiles() {
    remove_stale_pidfile "$engine_pidfile" dockerd
    remove_stale_pidfile "$containerd_pidfile" containerd
}

remove_stale_pidfile() {
    as_root test -e "$1" || return 0
    live_process "$1" "$2" >/dev/null && return 0
    note "removing $1, which an engine left when it was killed"
    as_root rm -f "$1"
}

wait_for_engine() {
    local deadline=$((SECONDS + engine_wait_seconds))
    until engine_answers; do
        refuse_without_permission
        if [ $SECONDS -ge $deadline ]; then
            tail -n 15 "$engine_log" >&2 2>/dev/null || true
            die "the Docker engine did not answer within $engine_wait_seconds seconds (log: $engine_log)"
        fi
        sleep 0.5
    done
}
