"""Asks a service about scenes and scores its answers by exact match, per family.

Case, outer spaces and a full stop at the end do not count. Each question brings its own pictures.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from automot_client.client import Deadlines, PlannerClient
from automot_client.evaluation.question_records import (
    Question,
    file_questions,
    prompt_catalogue,
    recorded_questions,
)
from automot_client.evaluation.run_folder import write_whole
from automot_client.evaluation.statistics import rounded, wilson_interval
from automot_client.types import Observation

_EXPECTED_ANSWER_S = 0.3
_ANSWER_LIMIT_S = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `automot-eval understanding` takes."""
    parser.add_argument("--service", required=True, metavar="HOST:PORT", help="reasoning service")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="data set of recorded episodes")
    source.add_argument("--dataset", type=Path, metavar="FILE.jsonl", help="questions of your own")
    parser.add_argument("--split", default="validation", help="of the recorded episodes")
    parser.add_argument("--episodes", type=int, default=0, help="the first so many; 0: all")
    parser.add_argument("--questions", type=int, default=0, help="the first so many; 0: all")
    parser.add_argument(
        "--prompt",
        action="append",
        default=[],
        choices=sorted(prompt_catalogue()),
        help="ask this of the recorded episodes instead; repeatable",
    )
    parser.add_argument("--picture-size", metavar="WxH", help="of --dataset [as they are]")
    parser.add_argument("--max-tokens", type=int, default=32, help="of an answer")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run")


def run(options: argparse.Namespace) -> int:
    """Entry point; 1 when the service fails, 2 on bad arguments."""
    try:
        questions = list(read_questions(options))
        if not questions:
            raise ValueError("there is no question")
    except (OSError, ValueError, KeyError) as error:
        print(f"automot-eval understanding: {error}", file=sys.stderr)
        return 2
    print(
        f"{len(questions)} questions, about {len(questions) * _EXPECTED_ANSWER_S / 60:.1f} minutes"
    )
    options.out.mkdir(parents=True, exist_ok=True)
    limits = Deadlines(ask_s=_ANSWER_LIMIT_S)
    try:
        with PlannerClient(options.service, options.service, deadlines=limits) as client:
            answers = ask_all(client, questions, options.max_tokens)
    except grpc.RpcError as error:
        print(
            f"automot-eval understanding: {error.code().name}: {error.details()}", file=sys.stderr
        )
        return 1
    lines = "".join(json.dumps(one) + "\n" for one in answers)
    write_whole(options.out / "answers.jsonl", lines)
    figures = summarise(answers)
    write_whole(options.out / "results.json", json.dumps(figures, indent=1))
    for name, one in figures["families"].items():
        low, high = one["exact_interval"]
        print(f"  {name:20} {one['exact']:.3f} [{low:.3f}, {high:.3f}] of {one['questions']}")
    return 0


def read_questions(options: argparse.Namespace) -> Iterable[Question]:
    """What is to be asked. ValueError where the arguments do not fit."""
    found: Iterator[Question]
    if options.dataset:
        if options.prompt:
            raise ValueError("--prompt asks about recorded episodes: it needs --data")
        size = options.picture_size
        width_height = tuple(int(v) for v in size.split("x")) if size else None
        if width_height is not None and len(width_height) != 2:
            raise ValueError(f"--picture-size {size!r}: want WxH")
        found = file_questions(options.dataset, width_height)
    else:
        folders = sorted((options.data / options.split).glob("seed-*"))
        folders = folders[: options.episodes] if options.episodes else folders
        found = itertools.chain.from_iterable(
            recorded_questions(folder, options.prompt) for folder in folders
        )
    return itertools.islice(found, options.questions) if options.questions else found


def ask_all(
    client: PlannerClient, questions: Sequence[Question], max_tokens: int
) -> list[dict[str, Any]]:
    """Asks one after the other, with a line of progress now and then."""
    began, answers = time.monotonic(), []
    for count, one in enumerate(questions, start=1):
        frames = one.frames()
        seen = Observation(
            capture_time_us=frames[-1].capture_time_us,
            speed_mps=0.0,
            target_points=np.zeros((2, 2)),
            route_revision=0,
            camera_frames=frames,
        )
        said = "".join(client.ask(one.question, observation=seen, max_tokens=max_tokens))
        right = None if one.answer is None else normalised(said) == normalised(one.answer)
        answers.append(
            {
                "name": one.name,
                "family": one.family,
                "question": one.question,
                "answer": one.answer,
                "said": said,
                "exact": right,
            }
        )
        if count % 50 == 0:
            left = (time.monotonic() - began) / count * (len(questions) - count) / 60
            print(f"  {count}/{len(questions)}, {left:.1f} minutes left", flush=True)
    return answers


def normalised(text: str) -> str:
    """What of an answer is compared."""
    return " ".join(text.lower().split()).rstrip(".").rstrip()


def summarise(answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Exact match per family and over all scored questions, with Wilson's intervals."""
    families: dict[str, list[bool]] = {}
    for one in answers:
        if one["exact"] is not None:
            families.setdefault(one["family"], []).append(one["exact"])
    everything = [right for scored in families.values() for right in scored]
    named = dict(sorted(families.items())) | ({"all together": everything} if everything else {})
    return {
        "format": "automot-understanding-results",
        "version": 1,
        "asked": len(answers),
        "families": {
            name: {
                "questions": len(scored),
                "exact": round(sum(scored) / len(scored), 4),
                "exact_interval": rounded(wilson_interval(sum(scored), len(scored))),
            }
            for name, scored in named.items()
        },
    }
