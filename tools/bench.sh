#!/usr/bin/env bash
# Runs the benchmarks named, or says which there are. Called by tools/dev.sh bench, which builds them.
#
#   tools/dev.sh bench                 list
#   tools/dev.sh bench all [DIR]       run each, JSON into DIR (default out/bench)
#   tools/dev.sh bench NAME [ARG...]   run build/release/bin/automot-bench-NAME
#   tools/dev.sh bench peers [ARG...]  policy servers of others beside ours
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tools/lib/environment.sh
source "$ROOT/tools/lib/environment.sh"
BIN="$ROOT/build/release/bin"

names() { find "$BIN" -maxdepth 1 -name 'automot-bench-*' ! -name '*-unhashed' -printf '%f\n' | sed 's/^automot-bench-//' | sort; }

# Every figure is of one machine, one commit and one command.
provenance() {
  printf 'machine: %s, %s cores\n' "$(awk -F': ' '/model name/ {print $2; exit}' /proc/cpuinfo)" "$(nproc)"
  printf 'commit:  %s\n' "$(git -C "$ROOT" describe --always --dirty)"
  printf 'command: %s\n' "$*"
}

# Some benchmarks compare with an eager Python implementation of the same part.
eager_of() {
  case $1 in
    action) echo eager_action_expert.py ;;
    prefill) echo eager_understanding.py ;;
  esac
}

# run_comparison NAME SCRIPT [ARG...]. The Python is that of the parity tests; AUTOMOT_BENCH_PYTHON names another.
run_comparison() {
  local name=$1 script="$ROOT/tests/benchmark/$2" environment python
  shift 2
  if [ -n "${AUTOMOT_BENCH_PYTHON:-}" ]; then
    python=("$AUTOMOT_BENCH_PYTHON")
  else
    environment=$(python_environment parity "$ROOT/tools/requirements/parity.txt" --no-deps)
    # The libraries that importing torch wants, of the CUDA stack that is not there.
    python=(env "LD_LIBRARY_PATH=$(printf '%s:' "$environment"/lib/python3*/site-packages/nvidia/*/lib)" "$environment/bin/python")
  fi
  if [ "$name" = action ]; then
    step "Checking the eager implementation against the golden cases"
    quietly "the golden check" "${python[@]}" "$script" check "$ROOT/tests/golden/data"
  fi
  "$BIN/automot-bench-$name" "$@" --eager "${python[@]}" "$script"
}

# run_context [ARG...]: with Arrow Flight where it can be installed.
run_context() {
  local environment
  if environment=$(python_environment bench "$ROOT/tools/requirements/bench.txt"); then
    "$BIN/automot-bench-context" "$@" --flight "$environment/bin/python" "$ROOT/tests/benchmark/context/flight_peer.py"
  else
    step "Arrow Flight is skipped: tools/requirements/bench.txt cannot be installed here"
    "$BIN/automot-bench-context" "$@"
  fi
}

# run_peers [ARG...]: policy servers of others beside ours (tests/benchmark/peers/README.md).
run_peers() {
  local environment
  provenance "bench peers $*"
  environment=$(python_environment bench-peers "$ROOT/tools/requirements/bench-peers.txt")
  install_client "$environment"
  PYTHONDONTWRITEBYTECODE=1 "$environment/bin/python" "$ROOT/tests/benchmark/peers/peers.py" --bin-dir "$BIN" \
    --commit "$(git -C "$ROOT" describe --always --dirty)" \
    --machine "$(awk -F': ' '/model name/ {print $2; exit}' /proc/cpuinfo), $(nproc) cores" "$@"
}

run_one() {
  local name=$1 eager
  shift
  [ -x "$BIN/automot-bench-$name" ] || {
    printf 'no benchmark "%s"; there are:\n%s\n' "$name" "$(names)" >&2
    return 2
  }
  AUTOMOT_COMMIT=$(git -C "$ROOT" describe --always --dirty)
  export AUTOMOT_COMMIT
  provenance "automot-bench-$name $*"
  eager=$(eager_of "$name")
  if [ "$name" = context ]; then
    run_context "$@"
  elif [ -n "$eager" ]; then
    run_comparison "$name" "$eager" "$@"
  else
    "$BIN/automot-bench-$name" "$@"
  fi
}

case "${1:-}" in
  "")
    echo "tools/dev.sh bench all | NAME [ARG...], where NAME is one of:"
    { names && echo peers; } | sed 's/^/  /'
    ;;
  all)
    out=${2:-$ROOT/out/bench}
    mkdir -p "$out"
    for name in $(names); do run_one "$name" --json "$out/$name.json"; done
    ;;
  peers) run_peers "${@:2}" ;;
  *) run_one "$@" ;;
esac
