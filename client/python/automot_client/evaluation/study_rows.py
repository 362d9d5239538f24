"""What differs between a study's rows: options of `closed-loop` and `open-loop` alike, or the server's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One run of a study. checkpoint: another than the study's."""

    name: str
    drive: tuple[str, ...] = ()
    serve: tuple[str, ...] = ()
    checkpoint: Path | None = None

    @property
    def folder(self) -> str:
        """Of its results: rows of two studies that differ in nothing are run once."""
        if self.checkpoint is not None:
            return f"variant-{self.name.replace(' ', '_')}"
        return "-".join(one.removeprefix("--") for one in (*self.drive, *self.serve)) or "plain"


STUDIES: dict[str, tuple[Row, ...]] = {
    "staleness": (
        Row("coupled", ("--reasoning-rate-hz", "20")),
        Row("0 s"),
        *(Row(f"{s} s", ("--staleness", s)) for s in ("0.25", "0.5", "1", "2")),
    ),
    "context": (
        Row("live"),
        Row("frozen", ("--context", "frozen")),
        Row("none", serve=("--hide-contexts",)),
    ),
    "variants": (Row("model"),),
    "sensors": (
        Row("full"),
        *(Row(mode, ("--sensors", mode)) for mode in ("no_lidar", "no_camera", "blind")),
    ),
    "compact": (
        Row("native"),
        *(Row(kind, serve=("--context-dtype", kind)) for kind in ("fp8_e4m3", "int8")),
    ),
    "frame-drops": (
        Row("0 lost"),
        *(Row(f"{chance} lost", ("--drop-frames", chance)) for chance in ("0.1", "0.3", "0.5")),
    ),
}
