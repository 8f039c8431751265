#!/bin/sh
# Speaks a sentence: POST /v1/tts, then fetches the WAV through /audio/. Needs curl.
#
#   wa.sh SENTENCE [FILE]     FILE: where the sound goes (wa.wav)
#
# $MGPU_URL: the broker's address (http://127.0.0.1:8770). Exit: 0 good, 1 the broker said no, 2 wrong usage,
# 3 the broker cannot be reached.
set -eu

url=${MGPU_URL:-http://127.0.0.1:8770}
url=${url%/}
if [ $# -lt 1 ] || [ $# -gt 2 ] || [ -z "$1" ]; then
  sed -n '4,7s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
file=${2:-wa.wav}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# json_text TEXT: TEXT as a JSON string.
json_text() {
  printf '%s' "$1" | tr '\n\r\t' '   ' | tr -d '\000-\037' | sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$/"/'
}

# json_field NAME FILE: the text of that name, as good as that can be had without a JSON parser.
json_field() {
  tr -d '\n' < "$2" | sed -nE 's/.*"'"$1"'"[[:space:]]*:[[:space:]]*"(([^"\\]|\\.)*)".*/\1/p' | sed -E 's/\\(["\\/])/\1/g'
}

# ask OUTPUT CURL-ARGUMENTS...: ends this script, with the reason, unless the answer is 200.
ask() {
  output=$1
  shift
  if ! status=$(curl --silent --show-error --output "$output" --write-out '%{http_code}' "$@" 2> "$work/complaint"); then
    sed 's/^curl: //' "$work/complaint" >&2
    echo "wa.sh: no whole answer from $url; is mGPUmanager running there? (mgpu status, or set MGPU_URL)" >&2
    exit 3
  fi
  [ "$status" = 200 ] && return
  message=$(json_field message "$output")
  code=$(json_field code "$output")
  echo "wa.sh: ${message:-$(head -c 500 "$output")} (HTTP $status${code:+, $code})" >&2
  exit 1
}

ask "$work/answer" --header 'Content-Type: application/json' --data-binary "{\"text\": $(json_text "$1")}" "$url/v1/tts"

# The answer names the sound as a path below /audio/, or as a whole URL of the service: either way it is fetched here.
path=$(tr -d '\n' < "$work/answer" | sed 's|\\/|/|g' | sed -n 's|.*"[^"]*\(/audio/[^"]*\)".*|\1|p')
if [ -z "$path" ]; then
  echo "wa.sh: the answer names no sound below /audio/: $(head -c 500 "$work/answer")" >&2
  exit 1
fi
ask "$work/sound" "$url$path"
if [ "$(head -c 4 "$work/sound")" != RIFF ]; then
  echo "wa.sh: $url$path is no WAV file" >&2
  exit 1
fi
mv "$work/sound" "$file"
echo "$file: $(wc -c < "$file" | tr -d ' ') bytes, from $url$path"
