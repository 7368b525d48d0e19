#!/bin/bash
# Starts PostgreSQL the way the official image does: a data directory that has
# none yet gets a cluster with POSTGRES_USER, POSTGRES_PASSWORD (or _FILE) and
# POSTGRES_DB; one that has is left as it is. Passwords are asked for over TCP
# (SCRAM), not on the local socket.
set -euo pipefail

# Options alone mean the server's, and any other command is run as it is.
[ "${1:0:1}" = - ] && set -- postgres "$@"
[ "${1:-}" = postgres ] || exec "$@"

# A shell that is process 1 ignores signals that it has no trap for, and a stop
# this early would have to wait for its time-out.
trap 'exit 130' INT TERM

# The server refuses to run as root.
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    find "$PGDATA" ! -user postgres -exec chown postgres {} +
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

make_cluster() {
    local user=${POSTGRES_USER:-postgres} password=${POSTGRES_PASSWORD:-}
    local database=${POSTGRES_DB:-$user} fresh=$PGDATA/.initializing
    local host_auth=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    [ -n "${POSTGRES_PASSWORD_FILE:-}" ] && password=$(<"$POSTGRES_PASSWORD_FILE")
    if [ -z "$password" ] && [ "$host_auth" != trust ]; then
        echo "error: POSTGRES_PASSWORD is empty, and a new database needs one" >&2
        exit 1
    fi
    # Made in a folder beside, and moved when it is whole: a start that was
    # killed half-way leaves no cluster that looks finished.
    if [ -e "$fresh" ]; then
        find "$PGDATA" -mindepth 1 -delete
    elif [ -n "$(find "$PGDATA" -mindepth 1 ! -name lost+found -print -quit)" ]; then
        echo "error: $PGDATA is not empty, and is no PostgreSQL data directory" >&2
        exit 1
    fi
    # shellcheck disable=SC2086  # several options in one variable, as documented
    initdb -D "$fresh" --username="$user" --pwfile=<(printf '%s\n' "$password") --encoding=UTF8 --locale=C.UTF-8 \
        --auth-local=trust --auth-host="$host_auth" ${POSTGRES_INITDB_ARGS:-}
    printf '\nhost all all all %s\n' "$host_auth" >>"$fresh/pg_hba.conf"

    # Nobody may connect from outside before the database is complete.
    pg_ctl -D "$fresh" -o "-c listen_addresses=''" -w start
    local sql=(psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$user")
    [ "$database" = postgres ] ||
        "${sql[@]}" --dbname postgres -v name="$database" <<<'CREATE DATABASE :"name";'
    local script
    for script in /docker-entrypoint-initdb.d/*; do
        case $script in
            *.sql) "${sql[@]}" --dbname "$database" -f "$script" ;;
            *.sh) bash "$script" ;;
        esac
    done
    pg_ctl -D "$fresh" -m fast -w stop
    find "$fresh" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv -t "$PGDATA" {} +
    mv "$fresh/PG_VERSION" "$PGDATA"
    rmdir "$fresh"
}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    make_cluster
    echo "PostgreSQL init process complete; ready for start up."
fi
exec "$@"
