# shellcheck shell=bash
# What the scripts print, and how they become root. Sourced, never run.
#
# Progress goes to stderr, so that a script's stdout stays its result.

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
note() { printf '    %s\n' "$*" >&2; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# No colour codes in files and pipes.
if [ ! -t 2 ] || [ -n "${NO_COLOR:-}" ]; then
    say() { printf '==> %s\n' "$*" >&2; }
fi

# Runs a command as root: as it is when we are root already, else with sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root, and sudo is not installed: $*"
    fi
}
