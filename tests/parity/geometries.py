"""Random model sizes. Each index fixes what it is there for; the rest is drawn."""

from __future__ import annotations

import random
from dataclasses import dataclass

# What each index is there for: images, query heads per key head, taps, tensor files.
CASES = (
    {"images": 1, "group": 4, "layout": "single"},
    {"images": 7, "group": 1, "layout": "shards"},
    {"images": 4, "group": 7, "layout": "lm_head"},
    {"images": 3, "group": 2, "layout": "mixed_types"},
    {"images": 2, "group": 3, "layout": "infix", "regnety_032": True},
)


@dataclass(frozen=True)
class Geometry:
    name: str
    sizes: dict[str, list[int]]  # as automot-make-checkpoint takes them
    images: int
    raw_size: tuple[int, int]  # width and height of a frame as the camera gives it
    layout: str
    whole_regnet: bool  # trunks as timm registers them: regnety_032

    def __getitem__(self, name: str) -> int:
        return self.sizes[name][0]


def _mrope_section(rng: random.Random, head_dim: int) -> list[int]:
    """Frequencies of the axes t, h, w: h takes 1, 4, 7..., w takes 2, 5, 8..., t the rest."""
    half = head_dim // 2
    rows = rng.randint(1, max(1, (half + 1) // 3))
    cols = rng.randint(1, max(1, half // 3))
    return [half - rows - cols, rows, cols]


def _text(rng: random.Random, case: dict) -> dict[str, list[int]]:
    head_dim = rng.choice((16, 24, 40, 64))
    kv_heads = rng.randint(2, 3) if case["group"] == 1 else rng.randint(1, 3)
    action_kv_heads = rng.randint(min(2, kv_heads), kv_heads)
    return {
        "text.hidden": [rng.randrange(48, 161, 8)],
        "text.layers": [rng.randint(3, 5)],
        "text.head_dim": [head_dim],
        "text.kv_heads": [kv_heads],
        "text.heads": [kv_heads * case["group"]],
        "text.intermediate": [rng.randint(40, 200)],
        "text.vocab": [0],
        "text.mrope_section": _mrope_section(rng, head_dim),
        "action.kv_heads": [action_kv_heads],
        "action.heads": [action_kv_heads * case["group"]],
        # Above half of head_dim the padded rotary pairs overlap (spec 3.4); all widths must work.
        "action.head_dim": [rng.randint(head_dim // 4, head_dim)],
        "action.intermediate": [rng.randint(40, 200)],
        "action.query_dim": [rng.randint(8, 60)],
    }


def _vision(rng: random.Random, layers: int) -> dict[str, list[int]]:
    depth, heads = rng.randint(3, 6), rng.randint(1, 3)
    taps = sorted(rng.sample(range(depth), rng.randint(1, min(3, layers, depth))))
    patch, merge = rng.choice((8, 14, 16)), rng.choice((2, 2, 3))
    cell = patch * merge
    return {
        "vision.depth": [depth],
        "vision.heads": [heads],
        "vision.hidden": [heads * rng.choice((8, 16, 20, 32))],
        "vision.intermediate": [rng.randint(24, 120)],
        "vision.patch": [patch],
        "vision.merge": [merge],
        "vision.temporal_patch": [rng.choice((1, 2))],
        "vision.position_table_side": [rng.randint(3, 24)],
        "vision.deepstack_layers": taps,
        # A size that is no multiple of the cell is resized once more, by Qwen's rule.
        "preprocess.resize_width": [
            cell * rng.randint(1, 5) + rng.choice((0, rng.randrange(cell)))
        ],
        "preprocess.resize_height": [
            cell * rng.randint(1, 5) + rng.choice((0, rng.randrange(cell)))
        ],
    }


def _bev(rng: random.Random, whole: bool) -> dict[str, list[int]]:
    group = 24 if whole else rng.choice((4, 8))
    widths = (
        (72, 216, 576, 1512) if whole else [group * rng.randint(k, 2 * k) for k in (1, 2, 3, 4)]
    )
    rows, cols = (32 * rng.randint(1, 3), 32 * rng.randint(2, 5))
    return {
        "bev.stem_width": [32 if whole else rng.choice((8, 12, 16))],
        "bev.widths": list(widths),
        "bev.depths": [2, 5, 13, 1] if whole else [rng.randint(1, 3) for _ in range(4)],
        "bev.group_width": [group],
        "bev.fusion_heads": [rng.choice((1, 2, 4))],
        "bev.fusion_blocks": [1 if whole else rng.randint(1, 2)],
        "bev.fusion_mlp_ratio": [1 if whole else rng.randint(1, 4)],
        "bev.fpn_channels": [8],
        "preprocess.camera_width": [cols],
        "preprocess.camera_height": [rows + rng.randint(0, 40)],
        "preprocess.crop_rows": [rows],
        "preprocess.crop_cols": [cols],
    }


def random_geometry(index: int, seed: int) -> Geometry:
    rng = random.Random(seed * 1000 + index)
    case = CASES[index % len(CASES)]
    whole = case.get("regnety_032", False)
    text = _text(rng, case)
    sizes = {**text, **_vision(rng, text["text.layers"][0]), **_bev(rng, whole)}
    return Geometry(
        name=f"geometry {index}",
        sizes=sizes,
        images=case["images"],
        raw_size=(2 * rng.randint(20, 150) + 1, 2 * rng.randint(20, 150) + 1),
        layout=case["layout"],
        whole_regnet=whole,
    )
