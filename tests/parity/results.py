"""Comparisons: what was compared, how far apart, and what is allowed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Row:
    """All comparisons of one quantity. `tolerance` 0: every value must be equal."""

    part: str
    what: str
    tolerance: float
    largest: float = 0.0
    values: int = 0
    failures: list[str] = field(default_factory=list)


class Results:
    """Collects comparisons; each quantity is one line of the table."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Row] = {}

    def _row(self, part: str, what: str, tolerance: float) -> Row:
        return self._rows.setdefault((part, what), Row(part, what, tolerance))

    def close(self, part: str, what: str, where: str, ours, reference, tolerance: float) -> None:
        """Arrays of one shape, element by element; NaN is a difference."""
        row = self._row(part, what, tolerance)
        ours, reference = np.asarray(ours), np.asarray(reference)
        if ours.shape != reference.shape:
            row.failures.append(f"{where}: shape {ours.shape}, reference {reference.shape}")
            return
        row.values += ours.size
        if ours.size == 0:
            return
        apart = np.abs(ours.astype(np.float64) - reference.astype(np.float64))
        largest = float(np.nan_to_num(apart, nan=np.inf).max())
        row.largest = max(row.largest, largest)
        if largest > tolerance:
            at = np.unravel_index(int(apart.argmax()), apart.shape)
            row.failures.append(
                f"{where}: {largest:.3g} apart at {tuple(map(int, at))}: "
                f"{ours[at]} is not {reference[at]}"
            )

    def equal(self, part: str, what: str, where, ours, reference, values: int = 1) -> None:
        """Anything that must be the same; `where` is printed when it is not."""
        row = self._row(part, what, 0.0)
        row.values += values
        if ours != reference:
            row.largest = float("inf")
            row.failures.append(f"{where!r}: {ours!r} is not {reference!r}")

    @property
    def failed(self) -> bool:
        return any(row.failures for row in self._rows.values())

    def table(self) -> str:
        lines = [f"{'part':<10} {'quantity':<34} {'values':>11} {'largest':>9} {'allowed':>9}"]
        for row in self._rows.values():
            allowed = f"{row.tolerance:.0e}" if row.tolerance else "exact"
            mark = "  FAIL" if row.failures else ""
            lines.append(
                f"{row.part:<10} {row.what:<34} {row.values:>11} {row.largest:>9.2g} {allowed:>9}{mark}"
            )
            lines += [f"    {text[:400]}" for text in row.failures[:3]]
            if len(row.failures) > 3:
                lines.append(f"    and {len(row.failures) - 3} more")
        return "\n".join(lines)

    def as_json(self) -> list[dict]:
        return [vars(row) for row in self._rows.values()]
