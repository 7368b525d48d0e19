# shellcheck shell=bash
# What building Wharf needs besides Docker. Sourced after say.sh and apt.sh.

rust_minimum=1.91

# A C compiler (SQLite, zstd and the TLS library are C), a linker, git.
ensure_build_tools() {
    local missing=()
    command -v cc >/dev/null || missing+=(gcc libc6-dev)
    command -v git >/dev/null || missing+=(git)
    [ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
    [ ${#missing[@]} -eq 0 ] && return 0
    # Where the engine brought Debian 13's C library along, its headers must
    # be of the same release.
    [ -e "$trixie_source" ] && missing=(-t trixie "${missing[@]}")
    say "installing ${missing[*]}"
    apt_install "${missing[@]}"
}

# Distributions ship older ones than we need, so a person installs Rust; we say
# how. rustup's usual place counts, though a non-login shell may not have it on
# its path.
ensure_rust() {
    local version
    command -v cargo >/dev/null || PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
    export PATH
    if ! command -v cargo >/dev/null; then
        offer_rust "Wharf is built with Rust $rust_minimum or newer, and there is no cargo on this machine."
    fi
    command -v rustc >/dev/null || offer_rust "There is a cargo on this machine, but no rustc."
    version=$(cargo --version | awk '{ print $2 }')
    if [ "$(printf '%s\n%s\n' "$rust_minimum" "$version" | sort -V | head -n 1)" != "$rust_minimum" ]; then
        offer_rust "Wharf is built with Rust $rust_minimum or newer, and this machine has $version."
    fi
}

offer_rust() {
    cat >&2 <<TEXT
error: $1

Install it for this user with rustup (which needs curl), then run this command again:

    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile default
    . "\$HOME/.cargo/env"

With a rustup that is here already: rustup update stable
TEXT
    exit 1
}
