# The host's side of deploy.sh: sent there through ssh as one text, in the order of the names, and run as the account
# that the daemon belongs to. This part: words for all, Node.js, the user manager.
#
# A release lies in a folder of its own; `current` points at the one in use; the unit and its drop-in always come from
# that one, so going back is the same as going forth. Never touches: the configuration (it is copied only if there is
# none), the state, other units.
# shellcheck shell=sh
set -eu

unit=mgpumanager.service
root=$HOME/.local/share/mgpumanager
releases=$root/releases

say() { printf '%s\n' "$*"; }

fail() {
  printf 'deploy: %s\n' "$*" >&2
  exit 1
}

# node_of OPTIONS: Node's path as the login shell knows it; a plain ssh command does not see what nvm and its like put
# into a profile. Asking Node itself sees through shims and aliases. A profile that waits for somebody is left.
node_of() {
  timeout 20 "${SHELL:-/bin/sh}" "$1" 'node -p "\"node=\" + process.execPath"' 2> /dev/null < /dev/null | sed -n 's/^node=//p'
}

# new_enough MINIMUM NODE
new_enough() {
  # shellcheck disable=SC2016
  "$2" -e '
    const [, wanted] = process.argv.map((text) => text.split(".").map(Number));
    const have = process.versions.node.split(".").map(Number);
    const at = wanted.findIndex((number, index) => number !== have[index]);
    process.exit(at === -1 || have[at] > wanted[at] ? 0 : 1);
  ' "$1" < /dev/null
}

# choose_node MINIMUM [NODE]: prints the path. Some profiles speak to interactive shells only: those are asked second.
choose_node() {
  seen=
  for way in ${2:--lc -lic}; do
    case $way in /*) candidate=$way ;; *) candidate=$(node_of "$way") ;; esac
    [ -n "$candidate" ] || continue
    [ -x "$candidate" ] || fail "$candidate is no program on this host"
    if new_enough "$1" "$candidate"; then
      say "$candidate"
      return
    fi
    seen="$seen $("$candidate" --version < /dev/null) ($candidate)"
  done
  fail "Node.js $1 or newer is needed on this host; found:${seen:- none in the PATH of ${SHELL:-the login shell}}.
  Remedy: install one there, for instance with nvm (nvm install 24 && nvm alias default 24), or name one:
  make deploy HOST=... REMOTE_NODE=/absolute/path/to/node"
}

reach_manager() {
  : "${XDG_RUNTIME_DIR:=/run/user/$(id -u)}"
  export XDG_RUNTIME_DIR
  systemctl --user show-environment > /dev/null 2>&1 ||
    fail "the systemd user manager of $(id -un) cannot be reached (XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR).
  Remedy: loginctl enable-linger $(id -un), then try again"
}

property() { systemctl --user show "$unit" --property="$1" --value; }

is_active() { [ "$(property ActiveState)" = active ]; }

# environment NAME: what the daemon will see under that name; the unit's own word comes before the manager's.
environment() {
  value=$(property Environment | tr ' ' '\n' | sed -n "s/^$1=//p" | tail -n 1)
  [ -n "$value" ] || value=$(systemctl --user show-environment | sed -n "s/^$1=//p")
  say "$value"
}

config_home() {
  folder=$(environment XDG_CONFIG_HOME)
  say "${folder:-$HOME/.config}"
}

config_file() {
  file=$(environment MGPU_CONFIG)
  say "${file:-$(config_home)/mgpumanager/consumers.yaml}"
}

unit_folder() { say "$(config_home)/systemd/user"; }

recent_logs() {
  journalctl --user-unit "$unit" --no-pager --quiet --output cat --lines "$1" < /dev/null ||
    say '(this account may not read the journal)'
}
