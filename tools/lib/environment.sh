# shellcheck shell=bash
# Installs what a verb needs: Debian packages and Python environments. Sourced by tools/dev.sh. Safe to repeat.

CACHE="${AUTOMOT_CACHE_DIR:-$HOME/.cache/automot-serve}"
SYSTEM_PYTHON="${AUTOMOT_PYTHON:-/usr/bin/python3}"

step_started=0
step() { # step TEXT: names what happens now, with the seconds since the verb began.
  printf '\033[1m[%4ds] %s\033[0m\n' "$((SECONDS - step_started))" "$*"
}

fail() {
  printf 'tools/dev.sh: %s\n' "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
    fail "needs root or sudo to run: $*"
  fi
}

# install_debian FILE...: installs the packages listed in tools/requirements/FILE that are missing.
install_debian() {
  local wanted missing=() package
  wanted=$(for file in "$@"; do grep -v '^#' "$ROOT/tools/requirements/$file"; done)
  for package in $wanted; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  step "Installing ${#missing[@]} Debian packages: ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" |
    grep -E '^Setting up' | sed 's/^/    /' || true
}

# python_environment NAME FILE [PIP_OPTION...]: a virtual environment with FILE's pins; its path goes to stdout.
python_environment() {
  local name=$1 file=$2 path digest
  shift 2
  digest=$(sha256sum "$file" | cut -c1-12)
  path="$CACHE/$name-$digest"
  if [ ! -f "$path/.complete" ]; then
    step "Installing Python packages for $name into $path" >&2
    rm -rf "$path"
    mkdir -p "$CACHE"
    "$SYSTEM_PYTHON" -m venv "$path" >&2
    "$path/bin/pip" install --quiet --disable-pip-version-check "$@" -r "$file" >&2 ||
      fail "cannot install $file"
    touch "$path/.complete"
  fi
  printf '%s\n' "$path"
}

# libtorch_root: the torch folder of the pinned wheel.
libtorch_root() {
  local environment
  environment=$(python_environment torch "$ROOT/tools/requirements/torch.txt" --no-deps)
  echo "$environment"/lib/python3*/site-packages/torch
}

# build_jobs: as many compilers as there are cores and 3 GiB each.
build_jobs() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/MemAvailable/ {print int($2 / 3145728)}' /proc/meminfo)
  echo $((memory < 1 ? 1 : (memory < cores ? memory : cores)))
}
