"""Writes tests/golden/data/float8/e4m3.txt: PyTorch's float8_e4m3fn at every code and rounding boundary.

Lines: `decode CODE BITS` for all 256 codes, `encode BITS CODE` for values up to 448 of either sign; BITS are
those of a binary32. Codes that are not numbers decode to `nan`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

LARGEST_CODE = 0x7E


def decoded(codes: np.ndarray) -> np.ndarray:
    return torch.from_numpy(codes).view(torch.float8_e4m3fn).to(torch.float32).numpy()


def encoded(values: np.ndarray) -> np.ndarray:
    return torch.from_numpy(values).to(torch.float8_e4m3fn).view(torch.uint8).numpy()


def boundary_values() -> np.ndarray:
    """Every value of a code, and around each midpoint between neighbours the floats next to it."""
    values = decoded(np.arange(LARGEST_CODE + 1, dtype=np.uint8))
    middles = ((values[1:].astype(np.float64) + values[:-1]) / 2).astype(np.float32)
    zero, most = np.float32(0), np.float32(1000)
    around = [values, middles, np.nextafter(middles, zero), np.nextafter(middles, most)]
    positive = np.unique(np.concatenate(around))
    return np.concatenate([positive, -positive])


def lines() -> list[str]:
    codes = np.arange(256, dtype=np.uint8)
    values = decoded(codes)
    found = [
        f"decode {code:02x} {'nan' if np.isnan(value) else f'{value.view(np.uint32):08x}'}"
        for code, value in zip(codes, values, strict=True)
    ]
    inputs = boundary_values()
    found += [
        f"encode {value.view(np.uint32):08x} {code:02x}"
        for value, code in zip(inputs, encoded(inputs), strict=True)
    ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.parse_args().output.write_text("\n".join(lines()) + "\n")


if __name__ == "__main__":
    main()
