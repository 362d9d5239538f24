"""Which seeds are for what: the one table. Scenes are split by seed, so no map is in two splits.

The collector makes episodes of `train` and `validation` only; `test` is for closed-loop scores.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SeedRange:
    """Seeds begin, begin + 1, ... end - 1."""

    begin: int
    end: int


SPLITS = {
    "train": SeedRange(0, 50_000),
    "validation": SeedRange(50_000, 60_000),
    "test": SeedRange(60_000, 70_000),
}
COLLECTED_SPLITS = ("train", "validation")


def split_of(seed: int) -> str:
    """The split that a seed belongs to; ValueError where it belongs to none."""
    for name, seeds in SPLITS.items():
        if seeds.begin <= seed < seeds.end:
            return name
    raise ValueError(f"seed {seed}: belongs to no split")


def seeds_of(split: str, count: int, offset: int = 0) -> list[int]:
    """`count` seeds of a split from `offset` on; ValueError where the split has not that many."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r}: is none of {', '.join(SPLITS)}")
    seeds = SPLITS[split]
    begin = seeds.begin + offset
    if offset < 0 or count < 0 or begin + count > seeds.end:
        raise ValueError(
            f"split {split!r}: has {seeds.end - seeds.begin} seeds, "
            f"{count} from offset {offset} are asked"
        )
    return list(range(begin, begin + count))


def require_collectable(seed: int) -> str:
    """The split of a seed that may be recorded; ValueError for a held-out one."""
    split = split_of(seed)
    if split not in COLLECTED_SPLITS:
        raise ValueError(f"seed {seed}: is of split {split!r}, which is never recorded")
    return split
