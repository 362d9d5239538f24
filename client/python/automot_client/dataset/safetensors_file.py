"""Reads and writes safetensors files with numpy alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

_NAMES = {"<f8": "F64", "<f4": "F32", "<i8": "I64", "<i4": "I32", "|u1": "U8"}
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}
_ALIGNMENT = 8


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes tensors, widest elements first so that each stays aligned. ValueError for another dtype."""
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header, offset, parts = {}, 0, []
    for name in order:
        array = np.ascontiguousarray(tensors[name])
        kind = _NAMES.get(array.dtype.newbyteorder("<").str)
        if kind is None:
            raise ValueError(f"tensor {name!r}: dtype {array.dtype} is not stored")
        data = array.astype(_DTYPES[kind], copy=False).tobytes()
        end = offset + len(data)
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [offset, end]}
        parts.append(data)
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.writelines(parts)


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """All tensors of a file, read-only."""
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:begin]).items():
        if name == "__metadata__":
            continue
        low, high = entry["data_offsets"]
        values = np.frombuffer(data[begin + low : begin + high], _DTYPES[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    return tensors
