"""A small chart kit: axes, lines, steps, bars and spans as inline SVG, coloured by CSS classes."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 64, 14, 12, 30


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers within [low, high]."""
    span = max(high - low, 1e-9)
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, int(math.floor(high / step + 1e-9)) + 1)]


@dataclass
class Chart:
    """One chart. Ranges are data units; size in pixels of the view box."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    width: int = 940
    height: int = 200
    x_label: str = ""
    y_label: str = ""
    _parts: list[str] = field(default_factory=list)

    def x(self, value: float) -> float:
        """Pixel column of a value, clamped to the plot."""
        return self._scale(value, self.x_range, MARGIN_LEFT, self.width - MARGIN_RIGHT)

    def y(self, value: float) -> float:
        """Pixel row of a value, clamped to the plot."""
        return self._scale(value, self.y_range, self.height - MARGIN_BOTTOM, MARGIN_TOP)

    def axes(self, y_ticks: bool = True, y_count: int = 4) -> None:
        """Grid, ticks and labels."""
        left, right, bottom = MARGIN_LEFT, self.width - MARGIN_RIGHT, self.height - MARGIN_BOTTOM
        if y_ticks:
            for value in nice_ticks(*self.y_range, y_count):
                row = self.y(value)
                self._segment("grid", left, row, right, row)
                self._text("tick", left - 7, row + 4, f"{value:g}", "end")
        for value in nice_ticks(*self.x_range, max(3, self.width // 95)):
            column = self.x(value)
            self._segment("axis", column, bottom, column, bottom + 4)
            self._text("tick", column, bottom + 16, f"{value:g}", "middle")
        self._segment("axis", left, bottom, right, bottom)
        self._text("label", right, self.height - 1, self.x_label, "end")
        self._text("label", left + 4, MARGIN_TOP + 8, self.y_label)

    def line(
        self, xs: Sequence[float], ys: Sequence[float | None], css: str, step: bool = False
    ) -> None:
        """A polyline, broken where y is None; `step` holds each value until the next."""
        run: list[str] = []
        for x, y in zip(xs, ys):
            if y is None:
                self._polyline(run, css)
                run = []
                continue
            if step and run:
                run.append(f"{self.x(x):.1f},{run[-1].split(',')[1]}")
            run.append(f"{self.x(x):.1f},{self.y(y):.1f}")
        self._polyline(run, css)

    def level(self, y: float, css: str, text: str, from_right: int = 4) -> None:
        """A dashed horizontal line with its name `from_right` pixels from the right, if in the range."""
        if self.y_range[0] <= y <= self.y_range[1]:
            row, right = self.y(y), self.width - MARGIN_RIGHT
            self._segment(f"limit {css}", MARGIN_LEFT, row, right, row)
            self._text(f"note {css}", right - from_right, row - 4, text, "end")

    def marker(self, x: float, css: str, text: str = "", row: int = 0) -> None:
        """A vertical line with its name at the top."""
        column = self.x(x)
        self._segment(f"limit {css}", column, MARGIN_TOP, column, self.height - MARGIN_BOTTOM)
        if text:
            shift, anchor = (-4, "end") if column > self.width * 0.75 else (4, "start")
            self._text(f"note {css}", column + shift, MARGIN_TOP + 9 + 13 * row, text, anchor)

    def span(
        self,
        x0: float,
        x1: float,
        css: str,
        y0: float | None = None,
        y1: float | None = None,
        title: str = "",
    ) -> None:
        """A filled rectangle; over the whole height where no y is given."""
        top = MARGIN_TOP if y1 is None else self.y(y1)
        bottom = self.height - MARGIN_BOTTOM if y0 is None else self.y(y0)
        left, right = self.x(x0), self.x(x1)
        label = f"<title>{html.escape(title)}</title>" if title else ""
        place = f'x="{left:.1f}" y="{top:.1f}"'
        size = f'width="{max(right - left, 0.8):.1f}" height="{bottom - top:.1f}"'
        self._add(f'<rect class="{css}" {place} {size}>{label}</rect>')

    def row_label(self, y: float, text: str) -> None:
        """A name at the left of a row."""
        self._text("tick", MARGIN_LEFT - 7, self.y(y) + 4, text, "end")

    def svg(self, title: str) -> str:
        """The chart."""
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{html.escape(title)}">{"".join(self._parts)}</svg>'
        )

    def _segment(self, css: str, x0: float, y0: float, x1: float, y1: float) -> None:
        ends = f'x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"'
        self._add(f'<line class="{css}" {ends}/>')

    def _text(self, css: str, x: float, y: float, text: str, anchor: str = "start") -> None:
        place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
        self._add(f'<text class="{css}" {place}>{html.escape(text)}</text>')

    def _add(self, part: str) -> None:
        self._parts.append(part)

    def _polyline(self, points: list[str], css: str) -> None:
        if points:
            self._add(f'<polyline class="line {css}" points="{" ".join(points)}"/>')

    @staticmethod
    def _scale(value: float, data: tuple[float, float], low: float, high: float) -> float:
        ratio = (value - data[0]) / max(data[1] - data[0], 1e-12)
        return low + min(1.0, max(0.0, ratio)) * (high - low)
