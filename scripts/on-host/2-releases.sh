# This part: releases, the link to the one in use, and what comes from it: unit, drop-in, `mgpu`.
# shellcheck shell=sh disable=SC2154

kept_releases=3
wrapper_marker='# Written by the deployment of mGPUmanager.'

in_use() { if [ -L "$root/current" ]; then basename "$(readlink "$root/current")"; fi; }

# write_if_new FILE: stdin becomes its content. Fails if that is there already, so that nothing is touched in vain.
write_if_new() {
  cat > "$1.new"
  if cmp -s "$1.new" "$1"; then
    rm "$1.new"
    return 1
  fi
  mv "$1.new" "$1"
}

# use RELEASE: sets `changed` to yes or no. Switching the link is one rename, never a moment without a `current`.
use() {
  changed=no
  node=$(cat "$releases/$1/.node")
  folder=$(unit_folder)
  mkdir -p "$folder/$unit.d" "$HOME/.local/bin"
  if [ "$(in_use)" != "$1" ]; then
    touch "$releases/$1/.used"
    ln -sfn "releases/$1" "$root/current.new"
    mv -T "$root/current.new" "$root/current"
    changed=yes
  fi
  if write_if_new "$folder/$unit" < "$releases/$1/systemd/$unit"; then changed=yes; fi
  if write_if_new "$folder/$unit.d/10-node.conf" << END
# Written by the deployment: the Node.js that the host's login shell named.
[Service]
ExecStart=
ExecStart="$node" %h/.local/share/mgpumanager/current/dist/src/cli/main.js serve
END
  then changed=yes; fi
  offer_command "$node"
  [ "$changed" = no ] || systemctl --user daemon-reload
}

# `mgpu` for whoever logs in here, unless there is another one.
offer_command() {
  wrapper=$HOME/.local/bin/mgpu
  if [ -e "$wrapper" ] && ! grep -qF "$wrapper_marker" "$wrapper"; then return; fi
  if write_if_new "$wrapper" << END
#!/bin/sh
$wrapper_marker
exec "$1" "$root/current/dist/src/cli/main.js" "\$@"
END
  then chmod 755 "$wrapper"; fi
}

# install_dependencies RELEASE NODE: those of the release in use are taken over where they are the same.
install_dependencies() {
  folder=$releases/$1
  wanted="$("$2" -p process.versions.modules < /dev/null) $(cksum < "$folder/package-lock.json")"
  if has_installed "$folder" "$wanted"; then return; fi
  rm -rf "$folder/.installed" "$folder/node_modules"
  if has_installed "$root/current" "$wanted"; then
    cp -al "$root/current/node_modules" "$folder/node_modules"
  else
    install_by_npm "$folder" "$2"
  fi
  say "$wanted" > "$folder/.installed"
}

has_installed() { [ "$(cat "$1/.installed" 2> /dev/null)" = "$2" ]; }

# install_by_npm FOLDER NODE: without scripts, because `prepare` would want the compiler.
install_by_npm() {
  say 'Installing the dependencies'
  PATH=$(dirname "$2"):$PATH
  export PATH
  command -v npm > /dev/null || fail "npm is missing beside $2; install it (Debian: apt install npm)"
  (cd "$1" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error < /dev/null) ||
    fail 'npm could not install the dependencies (see above); the daemon was not touched'
}

# used_releases: those that were in use, the latest first.
used_releases() {
  # shellcheck disable=SC2012 # Names of releases hold no odd characters.
  (cd "$releases" && ls -1t -- */.used 2> /dev/null) | sed 's|/.used$||'
}

# used_before RELEASE: the one to go back to; nothing if there is none.
used_before() { used_releases | grep -vxF "$1" | head -n 1; }

prune() {
  kept=" $(in_use) $(used_releases | head -n "$kept_releases" | tr '\n' ' ') "
  for folder in "$releases"/*/; do
    case $kept in *" $(basename "$folder") "*) ;; *) rm -rf "$folder" ;; esac
  done
}
