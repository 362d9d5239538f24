"""automot-infer, stage by stage, against the references, on random geometries."""

# Text in other scripts looks ambiguous to the linter.
# ruff: noqa: RUF001
from __future__ import annotations

import io
import random
import tempfile
from pathlib import Path

import checkpoint
import numpy as np
import torch
from action_reference import TOTAL, ActionReference, Observation, own_mask
from bev_reference import BevReference
from geometries import CASES, Geometry, random_geometry
from PIL import Image
from programs import Programs
from qwen_reference import QwenReference
from resize_parity import random_picture
from results import Results

PART = "model"
# Largest difference in units of max(1, rms of the reference).
TOLERANCES = {
    "pixel_values": 1e-6,
    "image_embeds": 2e-5,
    "deepstack": 2e-5,
    "k_cache": 1e-4,
    "v_cache": 1e-4,
    "bev_feature": 1e-4,
    "hidden": 5e-5,
    "logits": 1e-4,
    "route_raw": 1e-4,
    "route": 1e-4,
    "wp_offsets": 1e-4,
    "waypoints": 1e-4,
}
QUESTIONS = (
    "What should the driver watch?",
    "Your current and next target point is (12.345678, -3.217654), (48.112233, 5.554433), and your "
    "current velocity is 7.31 m/s. Predict the driving actions ( now, +1s, +2s) and plan the "
    "trajectory for the next 3 seconds.",
    "Ist die Straße frei? 前方有行人吗？",
)
ANSWER_TOKENS = 24
# Below this lead of the best logit over the second, float32 does not decide which is the best.
TIE = 2e-4


class ModelParity:
    """One geometry: its checkpoint, the references that hold its weights, its inputs."""

    def __init__(
        self,
        programs: Programs,
        results: Results,
        geometry: Geometry,
        folder: Path,
        seed: int,
        make=checkpoint.make,
    ) -> None:
        self.programs, self.results, self.geometry, self.folder = (
            programs,
            results,
            geometry,
            folder,
        )
        self.checkpoint = folder / "checkpoint"
        tensors = make(programs, geometry, self.checkpoint, seed)
        self.qwen = QwenReference(self.checkpoint, tensors)
        self.bev = BevReference(geometry, tensors)
        self.action = ActionReference(geometry, tensors)
        self.rng = random.Random(seed)
        self.numbers = np.random.default_rng(seed)

    def close(self, name: str, where: str, ours, reference) -> None:
        reference = np.asarray(reference)
        scale = max(1.0, float(np.sqrt(np.mean(np.square(reference.astype(np.float64))))))
        what = "deepstack" if name.startswith("deepstack") else name
        where = f"{self.geometry.name}, {where}"
        if what in TOLERANCES:
            ours, reference = np.asarray(ours) / scale, reference / scale
        self.results.close(PART, what, where, ours, reference, TOLERANCES.get(what, 0.0))

    def infer(self, inputs: dict[str, np.ndarray], *options: object) -> dict[str, np.ndarray]:
        return self.programs.infer(self.checkpoint, inputs, self.folder, *options)

    # --- understanding expert

    def frames(self) -> np.ndarray:
        width, height = self.geometry.raw_size
        return np.stack(
            [random_picture(self.rng, width, height) for _ in range(self.geometry.images)]
        )

    def compare_context(self, frames: np.ndarray, question: str, mask: str):
        """Pictures and text to keys and values; the reference's, for the action expert."""
        where = f"{len(frames)} frames, {mask}"
        ours = self.infer({"raw_frames": frames}, "--prompt", question, "--instruction-mask", mask)
        resized = self.qwen.resize(frames)
        pixels, grid = self.qwen.pixels(list(resized))
        self.close("resized_frames", where, ours["resized_frames"], self.qwen.by_rule(resized))
        self.close("pixel_values", where, ours["pixel_values"], pixels)
        self.close("grid_thw", where, ours["grid_thw"], grid)
        return self._compare_prefill(where, ours, pixels, grid, question, mask)

    def _compare_prefill(self, where, ours, pixels, grid, question, mask):
        features = self.qwen.features(pixels, grid)
        self.close("image_embeds", where, ours["image_embeds"], features[0])
        for i, tap in enumerate(features[1]):
            self.close(f"deepstack_{i}", where, ours[f"deepstack_{i}"], tap)
        prompt = self.qwen.prompt(question, grid)
        positions = self.qwen.positions(prompt)
        allowed = self.qwen.allowed(prompt, bidirectional=mask == "bidirectional")
        self.close("input_ids", where, ours["input_ids"], prompt.ids)
        self.close("position_ids", where, ours["position_ids"], positions)
        self.close("position_start", where, ours["position_start"], positions.max().reshape(1) + 1)
        self.close("mask_allowed", where, ours["mask_allowed"], allowed)
        keys, values = self.qwen.context(prompt, features, allowed)
        self.close("k_cache", where, ours["k_cache"], keys)
        self.close("v_cache", where, ours["v_cache"], values)
        return keys, values, int(positions.max()) + 1

    def compare_picture_sizes(self) -> None:
        """Pictures of other sizes, each its own, cut by the reference's processor."""
        pictures = [
            random_picture(self.rng, self.rng.randint(17, 250), self.rng.randint(17, 250))
            for _ in range(self.geometry.images)
        ]
        pixels, grid = self.qwen.pixels(pictures)
        inputs = {"pixel_values": pixels.numpy(), "grid_thw": grid.numpy()}
        question = QUESTIONS[0]
        ours = self.infer(inputs, "--prompt", question)
        where = f"sizes {[p.shape[:2] for p in pictures]}"
        self._compare_prefill(where, ours, pixels, grid, question, "causal")

    def compare_answers(self, frames: np.ndarray) -> None:
        pixels, grid = self.qwen.pixels(list(self.qwen.resize(frames)))
        for question in QUESTIONS:
            prompt = self.qwen.prompt(question, grid, answer=True)
            tokens, lead = self.qwen.answer(prompt, pixels, ANSWER_TOKENS)
            ours = self.infer(
                {"raw_frames": frames}, "--prompt", question, "--answer",
                "--max-tokens", ANSWER_TOKENS,
            )  # fmt: skip
            where = f"{self.geometry.name}, {question!r}"
            self.results.equal(
                PART, "answer_input_ids", where, ours["answer_input_ids"].tolist(), prompt.ids
            )
            if lead < TIE:
                print(f"  {where}: two tokens within {lead:.1g}, not compared", flush=True)
                continue
            ids = ours["answer_ids"].tolist()
            self.results.equal(PART, "answer_ids", where, ids, tokens, len(tokens))

    # --- action expert

    def observations(self, count: int) -> dict[str, np.ndarray]:
        rows, cols = self.geometry["preprocess.crop_rows"], self.geometry["preprocess.crop_cols"]
        rgb = np.stack([random_picture(self.rng, cols, rows) for _ in range(count)])
        points = self.numbers.normal(0, 20, (count, 2, 2)).astype(np.float32)
        counts = self.numbers.integers(0, 6, (count, 1, 256, 256), dtype=np.uint8)
        counts[self.numbers.random(counts.shape) < 0.9] = 0
        speed = self.numbers.uniform(0, 30, count).astype(np.float32)
        return {"rgb": rgb, "lidar_hist_counts": counts, "target_points": points, "speed": speed}

    def compare_action(self, frames: np.ndarray, context, mask: str, reuse: int) -> None:
        keys, values, first = context
        inputs = {"raw_frames": frames, **self.observations(count=2)}
        policy = "reference_drift" if reuse else "anchored"
        ours = self.infer(
            inputs, "--prompt", QUESTIONS[1], "--instruction-mask", mask,
            "--position-policy", policy, "--reuse", reuse,
        )  # fmt: skip
        where = f"{mask}, reuse {reuse}"
        first += TOTAL * reuse
        positions = np.broadcast_to(np.arange(first, first + TOTAL), (2, 3, TOTAL))
        self.close("action_position_ids", where, ours["action_position_ids"], positions)
        self.close("action_mask_allowed", where, ours["action_mask_allowed"], own_mask())
        tensors = {name: torch.from_numpy(value) for name, value in inputs.items()}
        feature = self.bev.feature(tensors["rgb"], tensors["lidar_hist_counts"])
        self.close("bev_feature", where, ours["bev_feature"], feature)
        for i in range(2):
            observation = Observation(feature[i], tensors["target_points"][i], tensors["speed"][i])
            hidden = self.action.hidden(observation, keys, values, first)
            self.close("hidden", where, ours["hidden"][i], hidden)
            for name, expected in self.action.heads_of(hidden).items():
                if name == "pred_ids" and _tied(ours["logits"][i]):
                    continue
                self.close(name, where, ours[name][i], expected)
        self._compare_forms(inputs, ours, mask, policy, reuse)

    def _compare_forms(self, inputs, ours, mask: str, policy: str, reuse: int) -> None:
        """Compact context and lexicon logits are parts of the full ones, and change nothing."""
        compact = self.infer(
            inputs, "--prompt", QUESTIONS[1], "--instruction-mask", mask, "--kv-layout", "compact",
            "--position-policy", policy, "--reuse", reuse, "--decision-logits", "lexicon",
        )  # fmt: skip
        heads, width = self.geometry["action.kv_heads"], self.geometry["action.head_dim"]
        self.close("k_cache", "compact", compact["k_cache"], ours["k_cache"][:, :, :heads])
        values = ours["v_cache"][:, :, :heads, :width]
        self.close("v_cache", "compact", compact["v_cache"], values)
        self.close("hidden", "compact", compact["hidden"], ours["hidden"])
        if "lexicon_ids" in compact:
            expected = ours["logits"][..., compact["lexicon_ids"]]
            self.close("logits", "lexicon", compact["lexicon_logits"], expected)

    def compare_jpeg(self) -> None:
        """The camera's round trip through JPEG and its crop, against Pillow's."""
        size = self.geometry["preprocess.camera_width"], self.geometry["preprocess.camera_height"]
        observation = self.observations(count=1)
        camera = random_picture(self.rng, *size)
        stream = io.BytesIO()
        Image.fromarray(camera).save(stream, "jpeg", quality=95)
        decoded = np.asarray(Image.open(stream))[: self.geometry["preprocess.crop_rows"]]
        lidar = {"lidar_hist_counts": observation["lidar_hist_counts"]}
        ours = self.infer({"camera_rgb": camera[None], **lidar})
        expected = self.infer({"rgb": decoded[None], **lidar})
        self.results.close(
            PART, "JPEG round trip", self.geometry.name, ours["bev_feature"],
            expected["bev_feature"], 0.0,
        )  # fmt: skip


def _tied(logits: np.ndarray) -> bool:
    top = np.sort(logits, axis=-1)[:, -2:]
    return bool((top[:, 1] - top[:, 0]).min() < TIE)


def compare_geometry(
    programs: Programs, results: Results, geometry: Geometry, folder: Path, seed: int
) -> None:
    model = ModelParity(programs, results, geometry, folder, seed)
    frames = model.frames()
    for mask, reuse in (("causal", 0), ("bidirectional", 3)):
        context = model.compare_context(frames, QUESTIONS[1], mask)
        model.compare_action(frames, context, mask, reuse)
    model.compare_picture_sizes()
    model.compare_answers(frames)
    model.compare_jpeg()


def compare(programs: Programs, results: Results, count: int, seed: int) -> None:
    torch.manual_seed(seed)
    for index in range(count):
        geometry = random_geometry(index, seed)
        print(f"  {geometry.name} ({CASES[index % len(CASES)]}): {geometry.sizes}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            compare_geometry(programs, results, geometry, Path(folder), seed * 1000 + index)
