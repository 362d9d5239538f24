"""Compares the built programs with implementations that others wrote (docs/parity.md)."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import model_parity
import resize_parity
import tokenizer_parity
from programs import Programs
from results import Results


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/dev.sh parity", description=__doc__)
    parser.add_argument("--bin-dir", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=1, help="of geometries, weights and inputs")
    parser.add_argument("--strings", type=int, default=120_000, help="for the tokenizer")
    parser.add_argument("--pictures", type=int, default=600, help="for the resampling")
    parser.add_argument("--geometries", type=int, default=6, help="for the model")
    parser.add_argument("--json", type=Path, help="write the comparisons here")
    parser.add_argument("parts", nargs="*", help="tokenizer, resize, model; all by default")
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    programs, results = Programs(arguments.bin_dir), Results()
    parts = {
        "tokenizer": lambda: tokenizer_parity.compare(
            programs, results, arguments.strings, arguments.seed
        ),
        "resize": lambda: resize_parity.compare(
            programs, results, arguments.pictures, arguments.seed
        ),
        "model": lambda: model_parity.compare(
            programs, results, arguments.geometries, arguments.seed
        ),
    }
    for name in arguments.parts or parts:
        if name not in parts:
            sys.exit(f"tools/dev.sh parity: no part {name!r}; there are {', '.join(parts)}")
    began = time.monotonic()
    for name in arguments.parts or parts:
        print(f"[{time.monotonic() - began:4.0f}s] {name}", flush=True)
        parts[name]()
    print(f"[{time.monotonic() - began:4.0f}s] seed {arguments.seed}\n{results.table()}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results.as_json(), indent=1) + "\n")
    print("PARITY FAILED" if results.failed else "parity: all comparisons within their tolerance")
    return int(results.failed)


if __name__ == "__main__":
    sys.exit(main())
