#!/usr/bin/env bash
# stage.sh cpu|cuda FOLDER: gathers what an image needs of a build: FOLDER/bin has the programs, FOLDER/libraries
# the libraries that come from no Debian package, at the absolute paths where the programs look for them.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
accelerator=$1 staging=$2
preset=release
[ "$accelerator" = cuda ] && preset=cuda
programs=("$ROOT/build/$preset/bin"/automot-*)
mkdir -p "$staging/bin" "$staging/libraries"
cp "${programs[@]}" "$staging/bin/"
strip --strip-unneeded "$staging/bin"/automot-*

# needed FILE...: the resolved libraries that FILEs load.
needed() { ldd "$@" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u; }

if ldd "${programs[@]}" | grep 'not found'; then
  echo "stage.sh: libraries are missing" >&2
  exit 1
fi
from_package() { dpkg -S "$1" >/dev/null 2>&1 || dpkg -S "$(readlink -f "$1")" >/dev/null 2>&1; }

needed "${programs[@]}" | while read -r library; do
  # The loader's search path names the unresolved file: keep the name, copy what it links to.
  from_package "$library" || cp --parents -L "$(realpath -s "$library")" "$staging/libraries/"
done
if [ "$accelerator" = cuda ]; then
  # CUDA's libraries load each other by name at run time, which ldd does not see.
  site=$(needed "${programs[@]}" | sed -n 's|/torch/lib/libtorch_cuda\.so$||p')
  find "$site/torch/lib" "$site/nvidia" -name '*.so*' -exec cp --parents -L {} "$staging/libraries/" \;
fi
