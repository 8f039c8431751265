#!/bin/bash
# A real systemd user manager for a scratch account, where PID 1 is no systemd.
#
#   user-manager.sh start USER [BYTES]   start it (BYTES: one memory limit for the whole tree)
#   user-manager.sh run USER CMD...      run CMD as USER, able to reach the manager and its journal
#   user-manager.sh enter USER CMD...    run CMD as root beside it (an sshd, say); it ends with it
#   user-manager.sh kill USER            end manager and units at once (a crash of the whole session)
#   user-manager.sh stop USER            let it stop its units, then clear everything away
#
# Root only. Needs the Debian packages systemd, dbus-user-session and util-linux. The account must exist.
set -euo pipefail
verb=${1:?verb} user=${2:?user}; shift 2
uid=$(id -u "$user") gid=$(id -g "$user") home=$(getent passwd "$user" | cut -d: -f6)
state=/run/test-user-manager.$uid
runtime=/run/user/$uid
unified=/sys/fs/cgroup; [ -d /sys/fs/cgroup/unified ] && unified=/sys/fs/cgroup/unified
cg=$unified/test-user-manager-$uid
oldmem=/sys/fs/cgroup/memory/test-user-manager-$uid           # where the memory controller is a version 1 one

pid_of() { [ -s "$state/$1" ] && cat "$state/$1"; }
alive() { local p; p=$(pid_of "$1") && [ -d "/proc/$p" ]; }
as_user() {
  alive manager || { echo "no user manager for $user" >&2; exit 1; }
  nsenter -t "$(pid_of manager)" -m -- setpriv --reuid "$uid" --regid "$gid" --init-groups \
    env -i HOME="$home" USER="$user" LOGNAME="$user" SHELL=/bin/bash PATH=/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 XDG_RUNTIME_DIR="$runtime" DBUS_SESSION_BUS_ADDRESS="unix:path=$runtime/bus" "$@"
}
sweep() {
  if [ -e "$cg/cgroup.kill" ]; then echo 1 > "$cg/cgroup.kill"; fi
  if alive journal; then kill "$(pid_of journal)"; fi
  for _ in $(seq 50); do grep -q 1 <(sed -n 's/^populated //p' "$cg/cgroup.events" 2>/dev/null) || break; sleep 0.1; done
  find "$cg" "$oldmem" -depth -type d -exec rmdir {} + 2>/dev/null || true
  rm -rf "$runtime" "$state"
}

case $verb in
start)
  alive manager && { echo "already running" >&2; exit 1; }
  rm -rf "$state"; mkdir -p "$state" "$cg"
  install -d -m 700 -o "$uid" -g "$gid" "$runtime"
  usermod -aG systemd-journal "$user"
  if [ -n "${1:-}" ] && [ -d /sys/fs/cgroup/memory ]; then mkdir -p "$oldmem"; echo "$1" > "$oldmem/memory.limit_in_bytes"; fi
  setsid bash -c '
    [ -d "$2" ] && echo $$ > "$2/cgroup.procs"
    echo $$ > "$1/cgroup.procs"
    exec unshare --mount --cgroup --propagation private "$0" __inside "$3"' "$0" "$cg" "$oldmem" "$user" \
    > "$state/log" 2>&1 < /dev/null &
  echo $! > "$state/manager"
  for _ in $(seq 100); do
    [ -S "$runtime/bus" ] && as_user systemctl --user is-system-running > /dev/null 2>&1 && exit 0
    alive manager || { cat "$state/log" >&2; exit 1; }
    sleep 0.1
  done
  echo "not up after 10 s, or degraded:" >&2; as_user systemctl --user --failed --no-pager >&2 || cat "$state/log" >&2
  exit 1 ;;
__inside)
  umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup          # one plain hierarchy, as on a current host
  mount -t tmpfs -o mode=755 none /run/systemd
  mkdir -p /run/systemd/{system,unit-root,journal,users,sessions}         # "booted with systemd"; room for sandboxes
  mkdir -p /run/log; mount -t tmpfs -o mode=755 none /run/log             # the journal stays in here
  install -d -m 2755 -g systemd-journal /run/log/journal "/run/log/journal/$(cat /etc/machine-id)"
  setsid /usr/lib/systemd/systemd-journald & echo $! > "$state/journal"
  for _ in $(seq 50); do [ -S /run/systemd/journal/stdout ] && break; sleep 0.1; done
  # Of a place like this in the tree of groups the journal knows which user unit a line came from.
  leaf=/sys/fs/cgroup/user.slice/user-$uid.slice/user@$uid.service
  mkdir -p "$leaf"; chown "$uid:$gid" "$leaf" "$leaf"/cgroup.{procs,subtree_control,threads}
  echo $$ > "$leaf/cgroup.procs"
  exec setpriv --reuid "$uid" --regid "$gid" --init-groups env -i HOME="$home" USER="$user" LOGNAME="$user" \
    SHELL=/bin/bash PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 XDG_RUNTIME_DIR="$runtime" \
    /usr/lib/systemd/systemd --user --log-target=journal ;;
run) as_user "$@" ;;
enter) alive manager && echo $$ > "$cg/cgroup.procs" && exec nsenter -t "$(pid_of manager)" -m -- "$@" ;;
kill) sweep ;;
stop)
  if alive manager; then
    as_user systemctl --user exit || true
    for _ in $(seq 300); do alive manager || break; sleep 0.1; done
  fi
  sweep ;;
*) sed -n '2,12p' "$0" >&2; exit 2 ;;
esac
