# shellcheck shell=bash
# The checks of tools/lint.sh. Each prints what is wrong and fails, or exits 77 after printing why it cannot run.
# They run in the repository's root.

# tracked PATTERN...: files that are tracked, or would be by `git add`, and still exist, separated by NUL.
tracked() {
  git ls-files -z --cached --others --exclude-standard --deduplicate -- "$@" | while IFS= read -r -d '' file; do
    if [ -f "$file" ]; then printf '%s\0' "$file"; fi
  done
}

# Another version of a formatter formats otherwise: all must be the pinned ones.
check_pins() {
  python3 tools/lint/pins.py tools/requirements/lint.txt
}

check_format() {
  tracked '*.cc' '*.h' '*.cu' '*.cuh' | xargs -0 -r clang-format --dry-run -Werror
}

check_proto() {
  (cd proto && buf lint)
}

check_shell() {
  tracked 'tools/*.sh' 'deploy/*.sh' .ci/run | xargs -0 -r shellcheck -x
}

check_python() {
  tracked '*.py' | xargs -0 -r ruff check --quiet && tracked '*.py' | xargs -0 -r ruff format --quiet --diff
}

check_types() {
  (cd client/python && mypy automot_client --cache-dir "$ROOT/build/mypy")
}

check_docker() {
  tracked '*Dockerfile' | xargs -0 -r hadolint --config .hadolint.yaml
}

check_compose() {
  python3 tools/lint/compose.py docker-compose.yml
}

check_compose_config() {
  docker compose version >/dev/null 2>&1 || { echo "no docker with the compose plugin" && exit 77; }
  docker compose -f docker-compose.yml config --quiet
}

check_kubernetes() {
  python3 tools/lint/manifests.py deploy/kubernetes
}

check_overlays() {
  python3 tools/lint/manifests.py --rendered deploy/kubernetes
}

check_yaml() {
  tracked '*.yaml' '*.yml' .yamllint | xargs -0 -r yamllint --strict
}

check_json() {
  local file status=0
  while IFS= read -r -d '' file; do
    python3 -m json.tool "$file" /dev/null || { echo "  in $file" && status=1; }
  done < <(tracked '*.json')
  return $status
}

check_sizes() {
  tracked '*.cc' '*.h' '*.cu' '*.cuh' | xargs -0 -r python3 tools/lint/function_sizes.py
}

check_tidy() {
  local database=build/release
  command -v clang-tidy >/dev/null || { echo "no clang-tidy: apt-get install clang-tidy" && exit 77; }
  [ -f $database/compile_commands.json ] || { echo "no $database: run tools/dev.sh build" && exit 77; }
  tracked 'common/*.cc' 'services/*.cc' 'client/*.cc' 'tools/*.cc' |
    xargs -0 -r -n 1 -P "$(nproc)" clang-tidy --quiet -p $database
}
