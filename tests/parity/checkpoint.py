"""Checkpoints in the official layout: sizes from automot-make-checkpoint, values made livelier here,
files in every form that a loader must take."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from geometries import Geometry
from programs import Programs
from safetensors.torch import load_file, save_file

Tensors = dict[str, torch.Tensor]
EMBEDDING = "language_model.model.embed_tokens.weight"
LM_HEAD = "language_model.lm_head.weight"


def options(geometry: Geometry, seed: int) -> list[str]:
    """What automot-make-checkpoint is told, without where to write."""
    told = ["--preset", "tiny", "--seed", str(seed)]
    for name, values in geometry.sizes.items():
        told += ["--set", f"{name}={','.join(map(str, values))}"]
    return told


def make_plain(programs: Programs, geometry: Geometry, folder: Path, seed: int) -> Tensors:
    """Writes the checkpoint as the program makes it."""
    programs.run("automot-make-checkpoint", "--out", folder, *options(geometry, seed))
    return load_file(folder / "model.safetensors")


def make(programs: Programs, geometry: Geometry, folder: Path, seed: int) -> Tensors:
    """Writes the checkpoint; its values as every reader must see them, float32."""
    tensors = make_plain(programs, geometry, folder, seed)
    path = folder / "model.safetensors"
    _enliven(tensors, torch.Generator().manual_seed(seed))
    path.unlink()
    (folder / "automot_manifest.json").unlink(missing_ok=True)  # of the values as they were
    _LAYOUTS[geometry.layout](tensors, folder)
    return {name: value.float() for name, value in tensors.items()}


def _enliven(tensors: Tensors, generator: torch.Generator) -> None:
    """Statistics of batch normalisation that do something, and text logits that differ."""
    for name, value in tensors.items():
        noise = torch.rand(value.shape, generator=generator)
        if name.endswith("running_mean"):
            value.copy_(noise - 0.5)
        elif name.endswith("running_var"):
            value.copy_(0.5 + noise)
        elif name.endswith(("bn.weight", "norm.weight", "norm1.weight", "norm2.weight")):
            value.mul_(0.7 + 0.6 * noise)
    tensors[EMBEDDING].mul_(3.0)


def _single(tensors: Tensors, folder: Path) -> None:
    save_file(tensors, folder / "model.safetensors")


def _shards(tensors: Tensors, folder: Path) -> None:
    names = sorted(tensors)
    files = [f"model-{part:05d}-of-00003.safetensors" for part in (1, 2, 3)]
    for part, file in enumerate(files):
        save_file({name: tensors[name] for name in names[part::3]}, folder / file)
    weight_map = {name: files[i % 3] for i, name in enumerate(names)}
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _lm_head(tensors: Tensors, folder: Path) -> None:
    save_file({**tensors, LM_HEAD: tensors[EMBEDDING].clone()}, folder / "model.safetensors")


def _mixed_types(tensors: Tensors, folder: Path) -> None:
    for i, name in enumerate(sorted(tensors)):
        if tensors[name].dtype == torch.float32 and i % 2:
            tensors[name] = tensors[name].bfloat16()
    save_file(tensors, folder / "model.safetensors")


def _infix(tensors: Tensors, folder: Path) -> None:
    stored = {k.replace("bev_encoder.", "bev_encoder.backbone.", 1): v for k, v in tensors.items()}
    save_file(stored, folder / "model.safetensors")


_LAYOUTS = {
    "single": _single,
    "shards": _shards,
    "lm_head": _lm_head,
    "mixed_types": _mixed_types,
    "infix": _infix,
}
