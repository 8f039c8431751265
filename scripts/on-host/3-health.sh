# This part: is the release that runs a healthy one?
# shellcheck shell=sh disable=SC2154

health_tries=10

# check_with RELEASE: the host's configuration as that release reads it; prints the effective one.
check_with() { "$(cat "$releases/$1/.node")" "$releases/$1/dist/src/cli/main.js" check "$(config_file)" --explain < /dev/null; }

# health_url RELEASE: on the first address that the configuration binds.
health_url() {
  address=$(check_with "$1" 2> /dev/null | sed -n 's/^bind: *//p' | sed 's/^\[\{0,1\}"//; s/[" ].*//')
  say "http://$(say "${address:-127.0.0.1:8770}" | sed 's/^0\.0\.0\.0:/127.0.0.1:/; s/^\[::\]:/[::1]:/')/healthz"
}

# answers URL NODE: prints what came.
answers() {
  # shellcheck disable=SC2016
  "$2" -e '
    fetch(process.argv[1], { signal: AbortSignal.timeout(5000) }).then(
      async (answer) => { console.log(`${answer.status} ${(await answer.text()).trim()}`); process.exit(answer.ok ? 0 : 1); },
      (error) => { console.log(String(error.cause?.message ?? error.message)); process.exit(1); },
    );
  ' "$1" < /dev/null
}

# healthy RELEASE: it is up, answers, and is still the same process a moment later.
healthy() {
  node=$(cat "$releases/$1/.node")
  url=$(health_url "$1")
  said='the unit is not active'
  tried=0
  while [ $tried -lt $health_tries ]; do
    tried=$((tried + 1))
    process=$(property MainPID)
    if is_active && said=$(answers "$url" "$node"); then
      sleep 1
      if is_active && [ "$(property MainPID)" = "$process" ]; then
        say "$url: $said"
        return
      fi
      said='it answered, then it was gone'
    fi
    sleep 0.5
  done
  say "$url: $said"
  return 1
}

# start_and_ask RELEASE: `restart` returns when the daemon says READY, fails when it does not.
start_and_ask() {
  systemctl --user reset-failed "$unit" 2> /dev/null || true
  systemctl --user restart "$unit" < /dev/null && healthy "$1"
}
