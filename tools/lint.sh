#!/usr/bin/env bash
# Checks the files that git knows or would add, one line per check; prints what a check found below its line.
# `tools/dev.sh lint` puts the pinned linters first on PATH and calls this.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
# shellcheck source=tools/lib/checks.sh
source tools/lib/checks.sh

CHECKS=(pins format proto shell python types docker compose compose_config kubernetes overlays yaml json sizes)

usage() {
  cat <<TEXT
usage: tools/dev.sh lint [--tidy] [--list] [CHECK...]

Runs the named checks, or all: ${CHECKS[*]}
  --tidy   also clang-tidy over build/release's compile commands (slow)
  --list   names the checks and ends
TEXT
}

# run_check NAME: one line with the outcome and the seconds; a check's exit status 77 means skipped.
run_check() {
  local name=$1 began=$SECONDS status=0 output
  output=$("check_$name" 2>&1) || status=$?
  case $status in
    0) printf 'ok    %-14s %3ds\n' "$name" $((SECONDS - began)) ;;
    77) printf 'skip  %-14s %s\n' "$name" "$output" ;;
    *)
      printf 'FAIL  %-14s %3ds\n%s\n' "$name" $((SECONDS - began)) "$output"
      return 1
      ;;
  esac
}

main() {
  local wanted=() tidy=0 failed=()
  while [ $# -gt 0 ]; do
    case $1 in
      --tidy) tidy=1 ;;
      --list) printf '%s\n' "${CHECKS[@]}" && return ;;
      -h | --help) usage && return ;;
      *)
        declare -F "check_$1" >/dev/null || { usage >&2 && return 2; }
        wanted+=("$1")
        ;;
    esac
    shift
  done
  [ ${#wanted[@]} -gt 0 ] || [ $tidy = 1 ] || wanted=("${CHECKS[@]}")
  [ $tidy = 0 ] || wanted+=(tidy)
  local name
  for name in "${wanted[@]}"; do run_check "$name" || failed+=("$name"); done
  [ ${#failed[@]} = 0 ] || { printf 'lint failed: %s\n' "${failed[*]}" && return 1; }
}

main "$@"
