"""Collects driving, trains a model on it in two stages, and scores it on held-out routes.

Every part goes on where it was cut off: run the same command again.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from automot_client.evaluation.served_model import served


@dataclass(frozen=True)
class Recipe:
    """How much of everything; what is not here is automot-train's default."""

    train_episodes: int
    validation_episodes: int
    understanding_steps: int  # of 16 questions
    action_steps: int  # of 32 plans
    seeds: int  # held-out routes that the model is scored on


SMALL = Recipe(160, 10, 500, 1500, 20)
FULL = Recipe(400, 30, 4000, 30000, 100)


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="tools/dev.sh train", description=__doc__)
    parser.add_argument("--bin-dir", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument(
        "--small", action="store_true", help="a weaker model, in under an hour on two cores"
    )
    parser.add_argument("--out", type=Path, default=Path("out/train"), help="data, runs and scores")
    parser.add_argument("--seed", type=int, default=1, help="of first weights and samples")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="simulators")
    parser.add_argument("--threads", type=int, default=1, help="of training")
    parser.add_argument("--device", default="cpu", help="of training: cpu, cuda or cuda:N")
    return parser.parse_args()


class Part:
    """Announces a part of the work, runs its commands, says how long it took."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options

    @contextlib.contextmanager
    def named(self, name: str) -> Iterator[None]:
        begin = time.monotonic()
        print(f"== {name}", flush=True)
        yield
        print(f"== {name}: {(time.monotonic() - begin) / 60:.1f} minutes", flush=True)

    def module(self, module: str, *arguments: object) -> None:
        """A command of the Python client."""
        self._run([sys.executable, "-m", f"automot_client.{module}", *map(str, arguments)])

    def program(self, name: str, *arguments: object) -> None:
        """A program of the build."""
        self._run([str(self._options.bin_dir / name), *map(str, arguments)])

    def _run(self, command: list[str]) -> None:
        status = subprocess.run(command, check=False).returncode
        if status != 0:
            sys.exit(
                f"{Path(command[0]).name} ended with status {status}; the same command goes on"
            )


def collect(part: Part, options: argparse.Namespace, recipe: Recipe) -> Path:
    """The teacher's driving."""
    data: Path = options.out / "data"
    for split, episodes in (
        ("train", recipe.train_episodes),
        ("validation", recipe.validation_episodes),
    ):
        with part.named(f"collect {episodes} {split} episodes"):
            part.module(
                *("collect", "--out", data, "--split", split, "--episodes", episodes),
                *("--processes", options.processes),
            )
    return data


def train(part: Part, options: argparse.Namespace, recipe: Recipe, data: Path) -> Path:
    """Questions first, then driving with the understanding expert frozen."""
    init, questions, driving = (options.out / name for name in ("init", "understanding", "action"))
    if not (init / "model.safetensors").exists():
        part.program(
            "automot-make-checkpoint", "--preset", "nano", "--seed", options.seed, "--out", init
        )
    common = ["--data", data, "--seed", options.seed, "--threads", options.threads, "--resume"]
    common += ["--device", options.device, "--ema", 0.995, "--warm-up-steps", 100]
    common += ["--save-every", 100, "--validate-every", 250]
    with part.named("train the understanding expert"):
        part.program(
            *("automot-train", "--stage", "understanding", "--init", init, "--out", questions),
            *("--steps", recipe.understanding_steps, "--batch", 16, *common),
        )
    with part.named("train the action expert"):
        part.program(
            *("automot-train", "--stage", "action", "--init", questions / "final"),
            *("--out", driving, "--steps", recipe.action_steps, "--batch", 32),
            *("--braking-share", 0.3, "--feature-cache-mib", 8192, "--final-dtype", "bfloat16"),
            *common,
        )
    return driving / "final"


def score(part: Part, options: argparse.Namespace, recipe: Recipe, model: Path) -> None:
    """The model and straight lines to the target points on the same held-out routes."""
    routes = ["--split", "test", "--seeds", recipe.seeds, "--density", 0.1]
    routes += ["--processes", options.processes]
    lines, own = options.out / "straight_lines", options.out / "model"
    with part.named(f"drive {recipe.seeds} held-out routes"):
        part.module(
            *("evaluate", "closed-loop", "--driver", "straight_lines", *routes),
            *("--no-pages", "--out", lines),
        )
        with served(options.bin_dir, model, options.out) as address:
            part.module(
                *("evaluate", "closed-loop", "--service", address, *routes),
                *("--videos", 3, "--out", own),
            )
        part.module("evaluate", "compare", own, lines)


def main() -> int:
    """Entry point."""
    options = parse_arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    recipe = SMALL if options.small else FULL
    part = Part(options)
    data = collect(part, options, recipe)
    model = train(part, options, recipe, data)
    score(part, options, recipe, model)
    print(f"model: {model}; scores: {options.out / 'model' / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
