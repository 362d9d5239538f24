#!/usr/bin/env bash
# The one entry point. Each verb installs what it needs, is safe to repeat, and shows its progress.
set -euo pipefail
shopt -s inherit_errexit
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tools/lib/environment.sh
source "$ROOT/tools/lib/environment.sh"
# shellcheck source=tools/lib/build.sh
source "$ROOT/tools/lib/build.sh"
# oneDNN's AMX kernels kill the process on some virtual CPUs that announce them (docs/operations.md).
if [ -z "${ONEDNN_MAX_CPU_ISA:-}" ]; then
  ONEDNN_MAX_CPU_ISA=AVX512_CORE
  grep -qw avx512_bf16 /proc/cpuinfo && ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16
fi
export ONEDNN_MAX_CPU_ISA
export CCACHE_BASEDIR="$ROOT" CCACHE_NOHASHDIR=1

usage() {
  cat <<'TEXT'
usage: tools/dev.sh VERB [OPTION...]

  setup   install what a build needs (Debian packages, the LibTorch wheel); --cuda for the cuda preset
  build   build everything, optimised; --cuda builds the cuda preset
  test    build and run all tests; --long adds the long stress and fuzz runs
  lint    format, proto, shell, container and manifest checks
  demo    drive a car through both services and write a report
          [--two-processes] [--lane in_process|shared_memory|grpc] [--seconds S] [--seed N] [--out DIR] [--pace realtime|max] [--fault freeze|kill|restart@S] [--chaos SEED]
  train   collect driving, train a model in two stages, score it on held-out routes (hours); --small: under an hour
          [--out DIR] [--seed N] [--processes P] [--threads T] [--device cpu|cuda]
  bench   benchmarks; prints the commands of the parts
  parity  compare with transformers, timm, tokenizers and Pillow on random models (docs/parity.md)
  fuzz    search for files that break their readers, with libFuzzer [SECONDS of each target, 60]

Everything is installed below ~/.cache/automot-serve (AUTOMOT_CACHE_DIR) and built below build/.
TEXT
}

# setup and build take --cpu (as without) or --cuda.
verb_setup() {
  install_debian debian-build.txt
  case "${1:-}" in
    --cuda) libtorch_root cuda >/dev/null ;;
    "" | --cpu) libtorch_root >/dev/null ;;
    *) fail "setup and build take --cpu or --cuda, not '$1'" ;;
  esac
  step "Ready to build"
}

verb_build() {
  verb_setup "$@"
  if [ "${1:-}" = --cuda ]; then build_cuda; else configure_release && build release; fi
}

# ctest's summary comes last: it says what passed, and names what did not.
verb_test() {
  local long=0 lint_env python_env egodriver_env
  [ "${1:-}" = --long ] && long=1
  verb_setup
  install_debian debian-test.txt
  lint_env=$(python_environment lint "$ROOT/tools/requirements/lint.txt")
  python_env=$(python_environment test "$ROOT/tools/requirements/test.txt")
  egodriver_env=$(python_environment egodriver "$ROOT/tools/requirements/egodriver.txt" --no-deps)
  export PATH="$PATH:$lint_env/bin"
  export AUTOMOT_LONG_TESTS=$long
  sanitized_tests tsan
  sanitized_tests asan
  configure_release -DAUTOMOT_TEST_PYTHON="$python_env/bin/python" -DAUTOMOT_LINT_PYTHON="$lint_env/bin/python" \
    -DAUTOMOT_EGODRIVER_PYTHON="$egodriver_env/bin/python"
  build release
  if [ "$long" = 1 ]; then verb_fuzz 60; fi
  step "Running all tests"
  (cd "$ROOT" && ctest --preset release | grep --line-buffered -Ev '^ *Start +[0-9]+: ')
}

verb_fuzz() {
  install_debian debian-build.txt
  install_debian debian-fuzz.txt
  configure fuzz
  build fuzz fuzzers
  run_fuzzers "${1:-60}"
}

verb_lint() {
  install_debian debian-lint.txt
  local lint_env
  lint_env=$(python_environment lint "$ROOT/tools/requirements/lint.txt")
  PATH="$lint_env/bin:$PATH" "$ROOT/tools/lint.sh" "$@"
}

verb_demo() {
  verb_setup
  install_debian debian-demo.txt
  local demo_env
  demo_env=$(python_environment metadrive "$ROOT/client/python/requirements-demo.txt")
  configure_release
  build release automot-serve automot-reasoning automot-planning automot-make-checkpoint automot-health-probe
  install_client "$demo_env"
  step "Driving"
  "$demo_env/bin/python" "$ROOT/tools/demo.py" --bin-dir "$ROOT/build/release/bin" "$@"
}

verb_train() {
  verb_setup
  install_debian debian-demo.txt
  local demo_env
  demo_env=$(python_environment metadrive "$ROOT/client/python/requirements-demo.txt")
  configure_release
  build release automot-train automot-serve automot-make-checkpoint
  install_client "$demo_env"
  step "Training"
  "$demo_env/bin/python" "$ROOT/tools/train.py" --bin-dir "$ROOT/build/release/bin" "$@"
}

verb_bench() {
  verb_setup
  configure_release
  build release
  exec "$ROOT/tools/bench.sh" "$@"
}

verb_parity() {
  verb_setup
  local parity_env
  parity_env=$(python_environment parity "$ROOT/tools/requirements/parity.txt" --no-deps)
  configure_release
  build release automot-infer automot-make-checkpoint automot-tokenize automot-parity-resize
  step "Comparing"
  # The libraries that importing torch wants, of the CUDA stack that is not there.
  LD_LIBRARY_PATH=$(printf '%s:' "$parity_env"/lib/python3*/site-packages/nvidia/*/lib) PYTHONDONTWRITEBYTECODE=1 \
    "$parity_env/bin/python" "$ROOT/tests/parity/parity.py" --bin-dir "$ROOT/build/release/bin" "$@"
}

main() {
  local verb=${1:-}
  case "$verb" in
    setup | build | test | lint | demo | train | bench | parity | fuzz) shift && "verb_$verb" "$@" ;;
    "" | -h | --help | help) usage ;;
    *) usage >&2 && fail "unknown verb '$verb'" ;;
  esac
}

main "$@"
