# shellcheck shell=bash
# Configure, build and test by preset. Sourced by tools/dev.sh.

# configure PRESET [CMAKE_OPTION...]
configure() {
  local preset=$1
  shift
  mkdir -p "$ROOT/build"
  step "Configuring $preset"
  (cd "$ROOT" && cmake --preset "$preset" "$@" >"$ROOT/build/$preset.configure.log" 2>&1) || {
    cat "$ROOT/build/$preset.configure.log" >&2
    fail "configuring $preset failed"
  }
}

# build PRESET [TARGET...]: Ninja rewrites its line on a terminal; elsewhere every tenth step is shown, and failures whole.
build() {
  local preset=$1
  shift
  step "Building $preset with $(build_jobs) jobs"
  if [ -t 1 ]; then
    cmake --build "$ROOT/build/$preset" -j "$(build_jobs)" ${1:+--target "$@"}
  else
    NINJA_STATUS='[%f/%t, %e s] ' cmake --build "$ROOT/build/$preset" -j "$(build_jobs)" ${1:+--target "$@"} |
      awk '/^\[[0-9]+\/[0-9]+, / { split(substr($1, 2), n, "/"); if (n[1] % 10 && n[1] + 0 != n[2] + 0) next }
           { print; fflush() }'
  fi || fail "building $preset failed"
}

# Sanitizers run on what is free of LibTorch and gRPC: the system's libraries are not instrumented.
sanitized_tests() {
  local preset=$1 log="$ROOT/build/$1.test.log"
  configure "$preset"
  build "$preset"
  step "Running tests under $preset"
  (cd "$ROOT" && ctest --preset "$preset" -LE "bench|deploy|lint|python" --quiet --output-log "$log") || {
    cat "$log" >&2
    fail "tests under $preset failed"
  }
  grep -E 'tests passed|Total Test time' "$log"
}

# run_fuzzers SECONDS: each libFuzzer program for that long, one after the other. What it learns stays in build/fuzz/corpus, so a
# later run goes on from there; an input that fails is named and kept beside it.
run_fuzzers() {
  local seconds=$1 program name folder
  for program in "$ROOT"/build/fuzz/bin/fuzz_*; do
    name=${program##*/fuzz_}
    folder="$ROOT/build/fuzz/corpus/$name"
    mkdir -p "$folder"
    step "Fuzzing $name for $seconds s"
    "$program" -max_total_time="$seconds" -rss_limit_mb=4096 -malloc_limit_mb=512 -timeout=30 -print_final_stats=1 \
      -artifact_prefix="$ROOT/build/fuzz/$name-" "$folder" "$ROOT/tests/fuzz/corpus/$name" \
      >"$ROOT/build/fuzz/$name.log" 2>&1 || {
      tail -n 60 "$ROOT/build/fuzz/$name.log" >&2
      fail "fuzzing $name found a failure; the input is build/fuzz/$name-*"
    }
    grep -E '^(stat::number_of_executed_units|Done)' "$ROOT/build/fuzz/$name.log"
  done
}

configure_release() {
  local libtorch
  libtorch=$(libtorch_root)
  configure release -DLIBTORCH_ROOT="$libtorch" "$@"
}

# cuda_home: where the CUDA toolkit is.
cuda_home() {
  local nvcc
  if [ -n "${CUDA_HOME:-}" ]; then
    echo "$CUDA_HOME"
  elif nvcc=$(command -v nvcc); then
    dirname "$(dirname "$(readlink -f "$nvcc")")"
  elif [ -x /usr/local/cuda/bin/nvcc ]; then
    echo /usr/local/cuda
  else
    fail "no CUDA toolkit: nvcc is neither on PATH nor in /usr/local/cuda; set CUDA_HOME"
  fi
}

build_cuda() {
  local toolkit libtorch
  toolkit=$(cuda_home)
  libtorch=$(libtorch_root cuda)
  configure cuda -DLIBTORCH_ROOT="$libtorch" -DCUDAToolkit_ROOT="$toolkit"
  build cuda
}
