"""Reads a golden case (tests/golden/data/README.md) with numpy alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

CASES = Path(__file__).parent.parent / "golden" / "data" / "cases"
_DTYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "U8": "u1"}


def read_case(name: str) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file: a length, a JSON header of that length, the bytes."""
    data = (CASES / f"{name}.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    tensors = {}
    for key, entry in header.items():
        if key != "__metadata__":
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            values = np.frombuffer(data[begin:end], _DTYPES[entry["dtype"]])
            tensors[key] = values.reshape(entry["shape"])
    return tensors
