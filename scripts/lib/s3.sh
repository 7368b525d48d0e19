# shellcheck shell=bash
# A real S3-compatible server for the tests to copy backups to, from the Rust
# package registry. Sourced after say.sh.

s3_server_version=0.14.1

# ensure_s3_server FOLDER: sets WHARF_S3_SERVER; what it installs, once, is in
# FOLDER. Where it cannot be had, that is said, here and by tell_of_s3: what
# needs it is not tested then.
ensure_s3_server() {
    local root=$1/s3s-fs-$s3_server_version log
    [ -n "${WHARF_S3_SERVER:-}" ] && return 0
    if [ ! -x "$root/bin/s3s-fs" ]; then
        say "installing s3s-fs $s3_server_version, an S3-compatible server to test against"
        log=$(mktemp)
        if ! CARGO_TARGET_DIR=$root/target cargo install s3s-fs --version "$s3_server_version" \
            --features binary --locked --debug --root "$root" >"$log" 2>&1; then
            tail -n 20 "$log" >&2
            rm -f "$log"
            tell_of_s3
            return 0
        fi
        rm -rf "$log" "$root/target"
    fi
    export WHARF_S3_SERVER=$root/bin/s3s-fs
}

# Says so where S3 is not tested.
tell_of_s3() {
    [ -n "${WHARF_S3_SERVER:-}" ] || say "NOT TESTED: copies to S3 and recovery from there; s3s-fs could not be installed"
}
