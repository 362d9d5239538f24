#!/usr/bin/env bash
# Runs the benchmarks named, or says which there are. Called by tools/dev.sh bench, which builds them.
#
#   tools/dev.sh bench                 list
#   tools/dev.sh bench all [DIR]       run each, JSON into DIR (default out/bench)
#   tools/dev.sh bench NAME [ARG...]   run build/release/bin/automot-bench-NAME
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BIN="$ROOT/build/release/bin"

names() { find "$BIN" -maxdepth 1 -name 'automot-bench-*' -printf '%f\n' | sed 's/^automot-bench-//' | sort; }

# Every figure is of one machine, one commit and one command.
provenance() {
  printf 'machine: %s, %s cores\n' "$(awk -F': ' '/model name/ {print $2; exit}' /proc/cpuinfo)" "$(nproc)"
  printf 'commit:  %s\n' "$(git -C "$ROOT" describe --always --dirty)"
  printf 'command: %s\n' "$*"
}

run_one() {
  local name=$1
  shift
  [ -x "$BIN/automot-bench-$name" ] || {
    printf 'no benchmark "%s"; there are:\n%s\n' "$name" "$(names)" >&2
    return 2
  }
  provenance "automot-bench-$name $*"
  "$BIN/automot-bench-$name" "$@"
}

case "${1:-}" in
  "")
    echo "tools/dev.sh bench all | NAME [ARG...], where NAME is one of:"
    names | sed 's/^/  /'
    ;;
  all)
    out=${2:-$ROOT/out/bench}
    mkdir -p "$out"
    for name in $(names); do run_one "$name" --json "$out/$name.json"; done
    ;;
  *) run_one "$@" ;;
esac
