"""Writes the small stored set that every test run checks (tests/golden/data/parity/README.md).

Only the references' results are stored, never those of the programs under test.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import checkpoint
import numpy as np
import torch
from action_reference import TOTAL, Observation
from corpus import all_characters, id_lists, strings
from geometries import random_geometry
from model_parity import ANSWER_TOKENS, QUESTIONS, TIE, TOLERANCES, ModelParity
from PIL import Image
from programs import Programs
from resize_parity import FILTERS, random_picture
from results import Results
from safetensors.numpy import save_file
from tokenizer_parity import qwen3_tokenizer
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

SEED = 20
STRINGS, CHARACTER_GROUPS, ID_LISTS, PICTURES = 600, 50, 200, 24
VOCABULARY = 2000
# Overrides that keep the files small: a row of 8x8 patches has 192 values, not 1536.
SMALL = {
    "text.hidden": [64], "text.layers": [3], "text.intermediate": [72], "vision.patch": [8],
    "vision.merge": [2], "vision.temporal_patch": [1], "preprocess.resize_width": [48],
    "preprocess.resize_height": [32],
}  # fmt: skip


def _trained_tokenizer() -> Tokenizer:
    """Qwen3's normaliser, splits, decoder and added tokens around a vocabulary of our own."""
    document = json.loads(qwen3_tokenizer().read_text())
    base = Tokenizer.from_str(json.dumps({**document, "added_tokens": []}))
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer, tokenizer.pre_tokenizer = base.normalizer, base.pre_tokenizer
    tokenizer.decoder = base.decoder
    special = [t["content"] for t in document["added_tokens"] if t["special"]]
    plain = [t["content"] for t in document["added_tokens"] if not t["special"]]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(
        vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator(strings(4000, SEED + 1), trainer)
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens(plain)
    return tokenizer


def _store_text(folder: Path) -> None:
    trained = _trained_tokenizer()
    trained.save(str(folder / "tokenizer.json"), pretty=False)
    whole = Tokenizer.from_file(str(folder / "tokenizer.json"))
    split, _ = json.loads((folder / "tokenizer.json").read_text())["pre_tokenizer"]["pretokenizers"]
    splitter = pre_tokenizers.Split(_regex(split["pattern"]["Regex"]), "isolated")
    groups = list(all_characters())
    rng = random.Random(SEED)
    texts = [*strings(STRINGS, SEED), *(rng.choice(groups) for _ in range(CHARACTER_GROUPS))]
    encoded = []
    for text in texts:
        normal = whole.normalizer.normalize_str(text)
        encoded.append(
            {
                "text": text,
                "normal": normal if normal != text else None,
                "words": [word for word, _ in splitter.pre_tokenize_str(normal)],
                "ids": whole.encode(text, add_special_tokens=False).ids,
            }
        )
    lists = list(id_lists(ID_LISTS, whole.get_vocab_size(), SEED))
    decoded = [
        {"ids": ids, "text": whole.decode(ids, skip_special_tokens=False),
         "without_special": whole.decode(ids)}
        for ids in lists
    ]  # fmt: skip
    _write_json(folder / "text.json", {"encode": encoded, "decode": decoded})


def _regex(pattern: str):
    from tokenizers import Regex

    return Regex(pattern)


def _write_json(path: Path, document: dict) -> None:
    """One entry a line, so that a change shows as one."""
    parts = []
    for name, entries in document.items():
        lines = ",\n".join(json.dumps(entry, ensure_ascii=True) for entry in entries)
        parts.append(f'"{name}": [\n{lines}\n]')
    path.write_text("{" + ",\n".join(parts) + "}\n")


def _store_resize(folder: Path) -> None:
    rng = random.Random(SEED)
    tensors, cases = {}, []
    for i in range(PICTURES):
        width, height, new_width, new_height = (rng.randint(1, 48) for _ in range(4))
        name = sorted(FILTERS)[i % 2]
        picture = random_picture(rng, width, height)
        resized = Image.fromarray(picture).resize((new_width, new_height), FILTERS[name])
        tensors[f"source_{i}"] = picture
        tensors[f"target_{i}"] = np.ascontiguousarray(resized)
        cases.append({"filter": name, "source": f"source_{i}", "target": f"target_{i}"})
    save_file(tensors, folder / "resize.safetensors")
    _write_json(folder / "resize.json", {"cases": cases})


class StoredModel:
    """One geometry's inputs and the references' results, under `in.` and RUN`.` and a name."""

    def __init__(self, programs: Programs, index: int, folder: Path) -> None:
        geometry = random_geometry(index, SEED)
        sizes = {**geometry.sizes, **SMALL}
        if index == 1:  # frames that Qwen's size rule resizes once more
            sizes |= {"preprocess.resize_width": [50], "preprocess.resize_height": [37]}
        geometry = replace(geometry, sizes=sizes, images=(1, 3)[index], raw_size=(75, 53))
        self.make = checkpoint.options(geometry, SEED + index)
        self.model = ModelParity(
            programs, Results(), geometry, folder, SEED + index, make=checkpoint.make_plain
        )
        self.tensors: dict[str, np.ndarray] = {}
        self.runs: list[dict] = []

    def put(self, prefix: str, values: dict) -> None:
        for name, value in values.items():
            self.tensors[f"{prefix}.{name}"] = np.ascontiguousarray(np.asarray(value))

    def add_run(self, name: str, inputs: list[str], options: list[str], expected: dict) -> None:
        self.put(name, expected)
        self.runs.append(
            {"name": name, "inputs": inputs, "options": options, "expected": list(expected)}
        )

    def _prefill(self, pixels, grid, question: str, mask: str):
        qwen = self.model.qwen
        features = qwen.features(pixels, grid)
        prompt = qwen.prompt(question, grid)
        allowed = qwen.allowed(prompt, bidirectional=mask == "bidirectional")
        keys, values = qwen.context(prompt, features, allowed)
        expected = {"image_embeds": features[0], "input_ids": np.array(prompt.ids)}
        expected |= {f"deepstack_{i}": tap for i, tap in enumerate(features[1])}
        positions = qwen.positions(prompt)
        expected |= {"position_ids": positions, "k_cache": keys, "v_cache": values}
        return expected, (keys, values, int(positions.max()) + 1)

    def store_whole(self, *masks: tuple[str, int]) -> None:
        """Pictures, text and observations to plans, with each mask and number of reuses."""
        model = self.model
        frames = model.frames()
        observations = model.observations(count=2)
        self.put("in", {"raw_frames": frames, **observations})
        pixels, grid = model.qwen.pixels(list(model.qwen.resize(frames)))
        tensors = {name: torch.from_numpy(value) for name, value in observations.items()}
        feature = model.bev.feature(tensors["rgb"], tensors["lidar_hist_counts"])
        for mask, reuse in masks:
            expected, (keys, values, first) = self._prefill(pixels, grid, QUESTIONS[1], mask)
            expected["bev_feature"] = feature
            plans = []
            for i in range(2):
                observation = Observation(
                    feature[i], tensors["target_points"][i], tensors["speed"][i]
                )
                hidden = model.action.hidden(observation, keys, values, first + TOTAL * reuse)
                plans.append({"hidden": hidden, **model.action.heads_of(hidden)})
            expected |= {name: torch.stack([p[name] for p in plans]) for name in plans[0]}
            policy = "reference_drift" if reuse else "anchored"
            options = ["--prompt", QUESTIONS[1], "--instruction-mask", mask,
                       "--position-policy", policy, "--reuse", str(reuse)]  # fmt: skip
            self.add_run(mask, ["raw_frames", *observations], options, expected)
        self._store_answer(pixels, grid)

    def _store_answer(self, pixels, grid) -> None:
        prompt = self.model.qwen.prompt(QUESTIONS[2], grid, answer=True)
        tokens, lead = self.model.qwen.answer(prompt, pixels, ANSWER_TOKENS)
        if lead < TIE:
            sys.exit(f"two tokens of the answer are within {lead}: choose another seed")
        options = ["--prompt", QUESTIONS[2], "--answer", "--max-tokens", str(ANSWER_TOKENS)]
        expected = {"answer_ids": np.array(tokens), "answer_input_ids": np.array(prompt.ids)}
        self.add_run("answer", ["raw_frames"], options, expected)

    def store_sizes(self) -> None:
        """Pictures of different sizes in one prompt."""
        rng = random.Random(SEED)
        pictures = [random_picture(rng, w, h) for w, h in ((61, 33), (20, 90), (45, 45))]
        pixels, grid = self.model.qwen.pixels(pictures)
        self.put("in", {"pixel_values": pixels, "grid_thw": grid})
        expected, _ = self._prefill(pixels, grid, QUESTIONS[0], "causal")
        options = ["--prompt", QUESTIONS[0]]
        self.add_run("sizes", ["pixel_values", "grid_thw"], options, expected)

    def write(self, stem: Path) -> None:
        save_file(self.tensors, stem.with_suffix(".safetensors"))
        document = {"make": self.make, "tolerances": TOLERANCES, "runs": self.runs}
        stem.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    programs = Programs(arguments.bin_dir)
    _store_text(arguments.out)
    _store_resize(arguments.out)
    for index in range(2):
        with tempfile.TemporaryDirectory() as folder:
            stored = StoredModel(programs, index, Path(folder))
            if index == 0:
                stored.store_whole(("causal", 0))
                stored.store_sizes()
            else:
                stored.store_whole(("causal", 0), ("bidirectional", 2))
            stored.write(arguments.out / f"model_{index}")


if __name__ == "__main__":
    main()
