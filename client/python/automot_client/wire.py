"""Serialised messages put together from parts: a picture or an array is copied once on its way out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# What a serialised message is made of; a view lends the memory of an array.
Part = bytes | memoryview

_KEPT_BYTES = 8 << 20
_LENGTH_DELIMITED = 2  # Wire type of sub-messages and `bytes`.


def keep_freed_memory() -> None:
    """Lets the memory of one tick's pictures serve the next tick; once in a process is enough.

    glibc gives free memory at the end of its heap back to the kernel beyond twice the largest mapped block
    that it has seen freed, and then takes it again page by page, which costs more than a picture's copies
    (mallopt(3), M_MMAP_THRESHOLD). It sees one freed here: up to 16 MiB stay. Limits of the user's own hold.
    """
    bytes(_KEPT_BYTES)  # Never touched, so never there.


def view(array: np.ndarray) -> memoryview:
    """The bytes of a contiguous array, not copied."""
    return memoryview(array.reshape(-1).view(np.uint8))


def submessage(number: int, parts: Sequence[Part]) -> list[Part]:
    """Field `number` that holds the serialised message of `parts`."""
    return [_varint(number << 3 | _LENGTH_DELIMITED) + _varint(sum(map(len, parts))), *parts]


def data(number: int, content: Part) -> list[Part]:
    """Field `number` of type `bytes`, absent where empty, as proto3 writes it."""
    return submessage(number, [content]) if len(content) else []


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
