# shellcheck shell=bash
# Installs what a verb needs: Debian packages and Python environments. Sourced by tools/dev.sh. Safe to repeat.

HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"
CACHE="${AUTOMOT_CACHE_DIR:-$HOME/.cache/automot-serve}"
SYSTEM_PYTHON="${AUTOMOT_PYTHON:-/usr/bin/python3}"

step() { # step TEXT: names what happens now, with the seconds since the verb began.
  local bold='' plain=''
  [ -t 1 ] && bold=$'\033[1m' plain=$'\033[0m'
  printf '%s[%4ds] %s%s\n' "$bold" "$SECONDS" "$*" "$plain"
}

fail() {
  printf 'tools/dev.sh: %s\n' "$*" >&2
  exit 1
}

# quietly WHAT COMMAND...: runs COMMAND and shows what it printed only if it fails.
quietly() {
  local what=$1 log
  shift
  log=$(mktemp)
  "$@" >"$log" 2>&1 </dev/null || {
    cat "$log" >&2
    rm -f "$log"
    fail "$what failed"
  }
  rm -f "$log"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
    printf 'needs root or sudo to run: %s\n' "$*" >&2
    return 1
  fi
}

# listed FILE...: the lines of tools/requirements/FILE that are not comments.
listed() {
  local file
  for file in "$@"; do grep -v -e '^#' -e '^$' "$ROOT/tools/requirements/$file"; done
}

# missing_debian FILE...: the packages listed in the files that are not installed.
missing_debian() {
  local package
  for package in $(listed "$@"); do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
  done
}

# install_debian FILE...: installs the packages listed in tools/requirements/FILE that are missing.
install_debian() {
  local missing
  command -v apt-get >/dev/null || fail "no apt-get: install what tools/requirements/$1 lists, on Debian 12"
  mapfile -t missing < <(missing_debian "$@")
  [ ${#missing[@]} = 0 ] && return
  step "Installing ${#missing[@]} Debian packages: ${missing[*]}"
  # Another apt may be at work on a fresh machine: wait for its lock.
  quietly "apt-get update" as_root apt-get update -q -o DPkg::Lock::Timeout=300
  quietly "apt-get install" as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 --no-install-recommends "${missing[@]}"
}

# python_environment NAME FILE [PIP_OPTION...]: a virtual environment with FILE's pins; its path goes to stdout.
# It is complete or absent: an interrupted installation starts again, and two at once wait for each other.
python_environment() {
  local name=$1 file=$2 path digest
  shift 2
  digest=$(sha256sum "$file" | cut -c1-12)
  path="$CACHE/$name-$digest"
  mkdir -p "$CACHE"
  (
    flock 9
    [ -f "$path/.complete" ] && exit
    step "Installing Python packages for $name into $path" >&2
    rm -rf "$path"
    quietly "making $path" "$SYSTEM_PYTHON" -m venv "$path"
    quietly "installing $file" "$path/bin/pip" install --disable-pip-version-check --no-input "$@" -r "$file"
    touch "$path/.complete"
  ) 9>"$path.lock" || exit 1
  printf '%s\n' "$path"
}

# install_client ENVIRONMENT: our Python client into it, again only when its source or the protos changed.
install_client() {
  local environment=$1 digest
  digest=$(cd "$ROOT" && find client/python proto -type f -not -path '*/_generated/*' -not -path '*/build/*' \
    -not -path '*.egg-info/*' -not -name '*.pyc' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
  [ "$(cat "$environment/.client" 2>/dev/null)" = "$digest" ] && return
  step "Installing the Python client into $environment"
  # Setuptools would take over files of an earlier build that are no longer in the source.
  rm -rf "$ROOT/client/python/build"
  quietly "installing the Python client" "$environment/bin/pip" install --disable-pip-version-check --no-input \
    --no-deps --force-reinstall "$ROOT/client/python"
  printf '%s\n' "$digest" >"$environment/.client"
}

# libtorch_root [cuda]: the torch folder of the pinned wheel, or AUTOMOT_LIBTORCH_ROOT.
# For CUDA the wheel needs cuDNN, NCCL and the like beside it; a machine's own torch of that version has them.
libtorch_root() {
  local environment system
  if [ -n "${AUTOMOT_LIBTORCH_ROOT:-}" ]; then
    [ -f "$AUTOMOT_LIBTORCH_ROOT/include/ATen/ATen.h" ] || fail "AUTOMOT_LIBTORCH_ROOT=$AUTOMOT_LIBTORCH_ROOT has no include/ATen"
    echo "$AUTOMOT_LIBTORCH_ROOT"
    return
  fi
  if [ "${1:-}" = cuda ]; then
    system=$(system_torch)
    [ -n "$system" ] && echo "$system" && return
    environment=$(python_environment cuda-torch "$ROOT/tools/requirements/torch-cuda.txt")
  else
    environment=$(python_environment torch "$ROOT/tools/requirements/torch.txt" --no-deps)
  fi
  echo "$environment"/lib/python3*/site-packages/torch
}

# system_torch: the folder of the torch that python3 imports, if it is the pinned version built for CUDA.
system_torch() {
  local pinned
  pinned=$(listed torch-cuda.txt | sed -n 's/^torch==//p')
  python3 - "$pinned" 2>/dev/null <<'PYTHON' || true
import os, sys, torch
if torch.__version__.split("+")[0] == sys.argv[1] and torch.version.cuda:
    print(os.path.dirname(torch.__file__))
PYTHON
}

# build_jobs: AUTOMOT_JOBS, or as many compilers as there are cores and 3 GiB each.
build_jobs() {
  local cores memory
  [ -n "${AUTOMOT_JOBS:-}" ] && echo "$AUTOMOT_JOBS" && return
  cores=$(nproc)
  memory=$(awk '/MemAvailable/ {print int($2 / 3145728)}' /proc/meminfo)
  echo $((memory < 1 ? 1 : (memory < cores ? memory : cores)))
}
