#!/bin/sh
# Starts Redis the way the official image does: as its own user, reachable for
# the containers of its networks, with its data in /data.
set -eu

# Options alone, or a configuration file, mean the server's.
case ${1:-} in
    -* | *.conf) set -- redis-server "$@" ;;
esac
[ "${1:-}" = redis-server ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
    find . ! -user redis -exec chown redis {} +
    exec setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"
fi
exec "$@" --protected-mode no
