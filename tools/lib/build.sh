# shellcheck shell=bash
# Configure, build and test by preset. Sourced by tools/dev.sh.

# configure PRESET [CMAKE_OPTION...]
configure() {
  local preset=$1
  shift
  step "Configuring $preset"
  (cd "$ROOT" && cmake --preset "$preset" "$@" >"$ROOT/build/$preset.configure.log" 2>&1) || {
    cat "$ROOT/build/$preset.configure.log" >&2
    fail "configuring $preset failed"
  }
}

# build PRESET [TARGET...]
build() {
  local preset=$1
  shift
  step "Building $preset with $(build_jobs) jobs"
  cmake --build "$ROOT/build/$preset" -j "$(build_jobs)" ${1:+--target "$@"}
}

configure_release() {
  mkdir -p "$ROOT/build"
  configure release -DLIBTORCH_ROOT="$(libtorch_root)" "$@"
}
