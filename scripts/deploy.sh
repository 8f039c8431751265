#!/bin/sh
# Puts this checkout's build onto a host, by ssh and rsync, into the account's own folders; no sudo anywhere. What
# happens on the host is in on-host/, which this sends there. Never touches a configuration that exists.
#
#   deploy.sh deploy|rollback|undeploy|status|logs USER@HOST
#
# SSH_OPTIONS: options of ssh, `-p 2222 -i KEY` for instance.
# REMOTE_NODE: the host's Node.js, an absolute path; without it the host's login shell is asked.
set -eu

fail() {
  printf 'deploy: %s\n' "$*" >&2
  exit 1
}

usage() {
  sed -n '5,8s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

verb=${1:-}
host=${2:-}
case $verb in deploy | rollback | undeploy | status | logs) ;; *) usage ;; esac
case $host in '' | -*) usage ;; esac

cd "$(dirname "$0")/.."
ssh="ssh ${SSH_OPTIONS:-}"

# The host's shell takes these words apart, so none of them may hold a blank: checked where they come from outside.
on_host() {
  # shellcheck disable=SC2086 # $ssh is a command and its options.
  cat scripts/on-host/*.sh | $ssh "$host" sh -s -- "$@"
}

# digest: of stdin.
digest() { if command -v sha256sum > /dev/null; then sha256sum; else shasum -a 256; fi; }

# What a release is made of: what the package is made of, and this. Declarations are for programmers, not for running.
release_files() {
  # shellcheck disable=SC2046 # A name a line, none with blanks.
  find $(sed -n '/^  "files"/,/\]/s/^ *"\([^"]*\)",\{0,1\}$/\1/p' package.json) scripts package.json package-lock.json \
    -type f ! -name '*.d.ts' |
    LC_ALL=C sort
}

deploy() {
  [ -f dist/src/cli/main.js ] || fail 'there is no build here (dist/src/cli/main.js); run: npm ci'
  node=${REMOTE_NODE:-}
  case $node in *[!A-Za-z0-9_./+@-]*) fail "REMOTE_NODE=$node: only letters, digits and _ . / + @ - can be passed on" ;; esac
  engines=$(sed -n '/"engines"/,/}/s/.*"node": *">=\([0-9.]*\)".*/\1/p' package.json)
  version=$(sed -n 's/^  "version": *"\([^"]*\)".*/\1/p' package.json)
  if [ -z "$engines" ] || [ -z "$version" ]; then
    fail 'package.json: "version" or "engines" cannot be read (want "node": ">=MAJOR.MINOR")'
  fi

  # Named by its content, so that the same build is the same release, however often it is sent.
  release=$version-$(release_files | tr '\n' '\0' | xargs -0 sh -c 'cat "$@"; printf "%s\n" "$@"' sh | digest | cut -c1-12)

  echo "Looking for Node.js $engines or newer on $host"
  answer=$(on_host prepare "$release" "$engines" "$node") || exit 1
  node=$(printf '%s\n' "$answer" | sed -n 's/^node=//p')
  folder=$(printf '%s\n' "$answer" | sed -n 's/^folder=//p')
  if [ -z "$node" ] || [ -z "$folder" ]; then fail "$host did not answer as expected: $answer"; fi

  echo "Sending release $release"
  release_files | rsync -lp --checksum --files-from=- -e "$ssh" ./ "$host:$folder/" || fail 'rsync failed; nothing on the host was changed'
  on_host activate "$release" "$node"
}

case $verb in
  deploy) deploy ;;
  *) on_host "$verb" ;;
esac
