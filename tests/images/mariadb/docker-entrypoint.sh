#!/bin/bash
# Starts MariaDB the way the official image does: a data directory that has none
# yet gets MARIADB_ROOT_PASSWORD (or _FILE), MARIADB_DATABASE and MARIADB_USER;
# one that has is left as it is. The names that begin with MYSQL_ work too.
set -euo pipefail

# Options alone mean the server's, and any other command is run as it is.
[ "${1:0:1}" = - ] && set -- mariadbd "$@"
[ "${1:-}" = mariadbd ] || [ "${1:-}" = mysqld ] || exec "$@"

# A shell that is process 1 ignores signals that it has no trap for, and a stop
# this early would have to wait for its time-out.
trap 'exit 130' INT TERM

# value NAME: what MARIADB_NAME or MYSQL_NAME says, itself or through a file.
value() {
    local name
    for name in "MARIADB_$1" "MYSQL_$1"; do
        [ -n "${!name:-}" ] && printf '%s' "${!name}" && return
        name=${name}_FILE
        [ -n "${!name:-}" ] && printf '%s' "$(<"${!name}")" && return
    done
    return 0
}

data=$(mariadbd --verbose --help "${@:2}" 2>/dev/null | awk '$1 == "datadir" { print $2; exit }')
data=${data%/}

# The server refuses to run as root.
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$data"
    chmod 700 "$data"
    find "$data" ! -user mysql -exec chown mysql {} +
    exec setpriv --reuid=mysql --regid=mysql --init-groups "$0" "$@"
fi

# text VALUE: as SQL has it.
text() {
    local escaped=${1//\\/\\\\}
    printf "'%s'" "${escaped//\'/\\\'}"
}

make_data() {
    local password database user socket=/run/mysqld/first.sock server script
    password=$(value ROOT_PASSWORD)
    database=$(value DATABASE)
    user=$(value USER)
    if [ -z "$password" ] && [ -z "${MARIADB_ALLOW_EMPTY_ROOT_PASSWORD:-}${MYSQL_ALLOW_EMPTY_PASSWORD:-}" ]; then
        echo "error: MARIADB_ROOT_PASSWORD is empty, and a new database needs one" >&2
        exit 1
    fi
    mariadb-install-db --datadir="$data" --skip-test-db --auth-root-authentication-method=normal >/dev/null
    # Nobody may connect from outside before the database is complete.
    mariadbd --datadir="$data" --skip-networking --socket="$socket" &
    server=$!
    until mariadb-admin --socket="$socket" --user=root ping >/dev/null 2>&1; do
        kill -0 "$server"
        sleep 0.1
    done
    {
        [ -z "$database" ] || echo "CREATE DATABASE \`$database\`;"
        if [ -n "$user" ]; then
            echo "CREATE USER $(text "$user")@'%' IDENTIFIED BY $(text "$(value PASSWORD)");"
            [ -z "$database" ] || echo "GRANT ALL ON \`${database//_/\\_}\`.* TO $(text "$user")@'%';"
        fi
        echo "CREATE USER root@'%' IDENTIFIED BY $(text "$password");"
        echo "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;"
        echo "ALTER USER root@localhost IDENTIFIED BY $(text "$password");"
    } | mariadb --socket="$socket" --user=root
    for script in /docker-entrypoint-initdb.d/*; do
        case $script in
            *.sql) MYSQL_PWD=$password mariadb --socket="$socket" --user=root ${database:+"$database"} <"$script" ;;
            *.sh) bash "$script" ;;
        esac
    done
    MYSQL_PWD=$password mariadb-admin --socket="$socket" --user=root shutdown
    wait "$server"
    touch "$data/.complete"
}

# A start that was killed half-way leaves no data that looks finished.
if [ ! -e "$data/.complete" ]; then
    find "$data" -mindepth 1 -delete
    make_data
    echo "MariaDB init process done. Ready for start up."
fi
exec "$@"
