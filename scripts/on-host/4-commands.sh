# This part: what deploy.sh asks for.
#
#   prepare RELEASE MINIMUM [NODE]   finds Node.js, makes the folder; prints node=PATH and folder=PATH
#   activate RELEASE NODE            installs, switches, starts, asks for health, else goes back
#   rollback, undeploy, status, logs
# shellcheck shell=sh disable=SC2154

prepare() {
  command -v systemctl > /dev/null || fail 'this host has no systemd'
  command -v rsync > /dev/null || fail 'rsync is missing on this host; install it (Debian: apt install rsync)'
  node=$(choose_node "$2" "${3:-}") || exit 1
  reach_manager
  mkdir -p "$releases/$1"
  say "node=$node"
  say "folder=$releases/$1"
}

# back_to RELEASE FAILED: after a release without health.
back_to() {
  if [ -z "$1" ]; then
    systemctl --user disable --now "$unit" 2> /dev/null || true
    rm -f "$root/current" "$releases/$2/.used"
    fail "release $2 is not healthy, and there is no earlier one to go back to: the unit is stopped and disabled.
  The log lines above say why; the configuration is $(config_file)"
  fi
  say "Release $2 is not healthy: back to $1"
  use "$1"
  rm -rf "${releases:?}/$2"
  if start_and_ask "$1"; then fail "rolled back to $1, which is healthy; $2 was taken away again"; fi
  recent_logs 15
  fail "rolled back to $1, but that is not healthy either; see the log lines above"
}

activate() {
  release=$1
  reach_manager
  before=$(in_use)
  install_dependencies "$release" "$2"
  say "$2" > "$releases/$release/.node"

  file=$(config_file)
  if [ ! -e "$file" ]; then
    mkdir -p "$(dirname "$file")"
    cp "$releases/$release/config/consumers.yaml" "$file"
    say "Copied the shipped configuration to $file: look at it"
  fi
  check_with "$release" > /dev/null || fail "release $release refuses the configuration $file (see above); nothing was changed"

  use "$release"
  systemctl --user is-enabled --quiet "$unit" 2> /dev/null || systemctl --user enable --quiet "$unit"
  if [ "$changed" = no ] && is_active; then
    say "Release $release is in use already; nothing to change"
    healthy "$release" || fail "but it is not healthy. A new \`bind\` needs a restart (systemctl --user restart $unit); else see make logs"
  else
    say "Starting release $release (running jobs may finish first, for 30 s at most)"
    if ! start_and_ask "$release"; then
      recent_logs 15
      [ "$before" != "$release" ] || fail "release $release was in use before and is not healthy now; see the log lines above"
      back_to "$before" "$release"
    fi
  fi
  prune
  recent_logs 5
  [ -e "/var/lib/systemd/linger/$(id -un)" ] ||
    say "Once, so that it runs without a login and after a restart of the machine: loginctl enable-linger $(id -un)"
  say "Active: $release with Node.js $("$2" --version < /dev/null) ($2)"
}

rollback() {
  reach_manager
  now=$(in_use)
  [ -n "$now" ] || fail 'nothing is deployed here'
  earlier=$(used_before "$now")
  [ -n "$earlier" ] || fail "there is no release but $now"
  use "$earlier"
  start_and_ask "$earlier" || { recent_logs 15; fail "$earlier is not healthy; forward again: make rollback or make deploy"; }
  say "Active: $earlier (before: $now)"
}

undeploy() {
  reach_manager
  folder=$(unit_folder)
  systemctl --user disable --now --quiet "$unit" 2> /dev/null || true
  rm -rf "${folder:?}/$unit" "${folder:?}/$unit.d/10-node.conf" "$root"
  rmdir "$folder/$unit.d" 2> /dev/null || true
  if grep -qsF "$wrapper_marker" "$HOME/.local/bin/mgpu"; then rm "$HOME/.local/bin/mgpu"; fi
  systemctl --user daemon-reload
  say "Removed. Left where it is: the configuration $(config_file) and the state in ~/.local/state/mgpumanager"
}

status() {
  reach_manager
  systemctl --user status "$unit" --no-pager --lines 0 < /dev/null || true
  now=$(in_use)
  [ -n "$now" ] || fail 'nothing is deployed here'
  say "Releases, the latest first: $(used_releases | tr '\n' ' ')"
  healthy "$now"
}

logs() {
  reach_manager
  recent_logs 100
}

main() {
  verb=${1:-}
  [ $# -eq 0 ] || shift
  case $verb in
    prepare | activate | rollback | undeploy | status | logs) "$verb" "$@" ;;
    *) fail "unknown command '$verb'" ;;
  esac
}

# The last line: this text may come through stdin, and is whole only then.
main "$@"
