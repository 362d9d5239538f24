"""The programs under test."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file


class Programs:
    """Runs what lies in `bin_dir`. LD_LIBRARY_PATH is Python's affair: the programs have their own."""

    def __init__(self, bin_dir: Path) -> None:
        self._bin_dir = bin_dir
        self._environment = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}

    def run(self, name: str, *arguments: object, stdin: bytes = b"") -> bytes:
        done = subprocess.run(
            [self._bin_dir / name, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            env=self._environment,
        )
        if done.returncode:
            command = " ".join(map(str, (name, *arguments)))
            raise RuntimeError(f"{command}: status {done.returncode}: {done.stderr.decode()}")
        return done.stdout

    def tokenize(self, tokenizer: Path, requests: list[dict]) -> list[dict]:
        lines = "".join(json.dumps(request) + "\n" for request in requests)
        answers = self.run("automot-tokenize", "--tokenizer", tokenizer, stdin=lines.encode())
        return [json.loads(line) for line in answers.decode().split("\n")[:-1]]

    def infer(
        self, checkpoint: Path, inputs: dict[str, np.ndarray], folder: Path, *options: object
    ) -> dict[str, np.ndarray]:
        """automot-infer on `inputs`; its outputs."""
        save_file(
            {k: np.ascontiguousarray(v) for k, v in inputs.items()}, folder / "in.safetensors"
        )
        self.run(
            "automot-infer", "--checkpoint", checkpoint, "--inputs", folder / "in.safetensors",
            "--outputs", folder / "out.safetensors", *options,
        )  # fmt: skip
        return load_file(folder / "out.safetensors")
