"""Questions with their pictures and answers, from recorded episodes and from files of others."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from PIL import Image

from automot_client.dataset.episode_data import read_episode
from automot_client.types import CameraFrame

# The official history of four pictures, 0.25 s apart, in frames of 0.1 s before the question's.
_HISTORY = (8, 5, 2, 0)
_SPACING_US = 250_000


@dataclass(frozen=True)
class Question:
    """A question, its right answer (None: not scored), and its pictures, oldest first."""

    name: str
    family: str
    question: str
    answer: str | None
    frames: Callable[[], tuple[CameraFrame, ...]]


def prompt_catalogue() -> dict[str, dict[str, str]]:
    """Prompts by name; one with a `family` has the answers of that family of scene questions."""
    text = resources.files("automot_client.dataset").joinpath("prompts.json").read_text()
    found: dict[str, dict[str, str]] = json.loads(text)["prompts"]
    return found


def recorded_questions(folder: Path, prompts: list[str]) -> Iterator[Question]:
    """Questions of an episode; with names of prompts, these instead, at the frames with questions."""
    header, tensors = read_episode(folder)
    pictures = functools.partial(_recorded_frames, tensors)
    if not prompts:
        for index, one in enumerate(header["questions"]):
            frames = functools.partial(pictures, one["frame"])
            name = f"{folder.name}/{index}"
            yield Question(name, one["family"], one["question"], one["answer"], frames)
        return
    answers = {(one["frame"], one["family"]): one["answer"] for one in header["questions"]}
    for frame in sorted({one["frame"] for one in header["questions"]}):
        for name in prompts:
            prompt = prompt_catalogue()[name]
            answer = answers.get((frame, prompt.get("family", "")))
            yield Question(
                f"{folder.name}/{frame}/{name}",
                name,
                prompt["prompt"],
                answer,
                functools.partial(pictures, frame),
            )


def file_questions(file: Path, size: tuple[int, int] | None) -> Iterator[Question]:
    """Questions of a JSON-lines file; pictures are beside it, and resized. ValueError names a bad line.

    LingoQA: question, answer, images. TallyQA: question, answer (a number), image, issimple.
    OmniDrive: conversations [{from: human, value}, {from: gpt, value}], image or images.
    """
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        row = json.loads(line)
        pictures = row.get("images") or [row[key] for key in ("image",) if key in row]
        question, answer = _question_and_answer(row)
        if not pictures or question is None:
            raise ValueError(f"{file}:{number}: has no picture, or no question")
        paths = [file.parent / picture for picture in pictures]
        frames = functools.partial(_file_frames, paths, size)
        name = str(row.get("question_id", row.get("id", number)))
        yield Question(f"{number}:{name}", _family(row), question, answer, frames)


def _question_and_answer(row: dict[str, Any]) -> tuple[str | None, str | None]:
    if "conversations" not in row:
        answer = row.get("answer")
        return row.get("question"), None if answer is None else str(answer)
    said = {turn["from"]: str(turn["value"]) for turn in reversed(row["conversations"])}
    question = said.get("human")
    return question.replace("<image>", "").strip() if question else None, said.get("gpt")


def _family(row: dict[str, Any]) -> str:
    if "issimple" in row:
        return "counting_simple" if row["issimple"] else "counting_complex"
    return str(row.get("family", "conversation" if "conversations" in row else "all"))


def _recorded_frames(tensors: dict[str, Any], frame: int) -> tuple[CameraFrame, ...]:
    begins, found = tensors["jpeg_begin"], []
    for index in sorted({max(0, frame - back) for back in _HISTORY}):
        jpeg = tensors["jpeg"][begins[index] : begins[index + 1]].tobytes()
        found.append(CameraFrame(int(tensors["time_us"][index]), jpeg))
    return tuple(found)


def _file_frames(paths: list[Path], size: tuple[int, int] | None) -> tuple[CameraFrame, ...]:
    found = []
    for index, path in enumerate(paths):
        picture, out = Image.open(path).convert("RGB"), io.BytesIO()
        (picture.resize(size) if size else picture).save(out, format="JPEG", quality=95)
        found.append(CameraFrame(index * _SPACING_US, out.getvalue()))
    return tuple(found)
