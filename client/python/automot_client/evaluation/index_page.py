"""The index page of a closed-loop run: figures, plots, a row per route with its page."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib import resources
from typing import Any

from automot_client.evaluation.scoring import RouteResult
from automot_client.reporting.page import table
from automot_client.reporting.svg import Chart

_SHARES = ("success_rate", "route_completion", "driving_score")


def render_index(figures: dict[str, Any], routes: Sequence[RouteResult], pages: set[int]) -> str:
    """The whole page; `pages` are the seeds that have one of their own."""
    style = (resources.files("automot_client.reporting") / "page.css").read_text()
    settings = figures["settings"]
    subtitle = (
        f"{figures['routes']} routes of the {settings['split']} split, "
        f"{figures['driven_km']:.1f} km, driver {settings['driver'].replace('_', ' ')}, "
        f"density {settings['density']:g}"
    )
    parts = (
        f'<header><h1>Closed loop</h1><p class="quiet">{html.escape(subtitle)}</p></header>',
        f'<section class="tiles">{_tiles(figures)}</section>',
        _figure("Share of routes and scores, 95 % intervals", shares_chart(figures)),
        '<section class="pair">',
        _figure("Route completion, routes in rising order", _completion_chart(routes)),
        _figure("How routes ended", _outcomes(figures)),
        "</section>",
        _figure("Infractions per km", _infractions(figures)),
        _figure("Comfort, mean over routes", _comfort(figures)),
        _figure("Routes", _routes(routes, pages)),
        _figure(
            "Settings", table(("Setting", "Value"), [(k, str(v)) for k, v in settings.items()])
        ),
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Closed loop</title><style>{style}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>"
    )


def shares_chart(figures: dict[str, Any]) -> str:
    """The three shares as bars with their intervals."""
    chart = Chart((0.0, 1.0), (0.0, 3.0), height=150, x_label="share")
    chart.axes(y_ticks=False)
    for row, name in enumerate(reversed(_SHARES)):
        low, high = figures[f"{name}_interval"]
        chart.row_label(row + 0.5, name.split("_")[0])
        chart.span(0.0, figures[name], "bar b-planning", row + 0.22, row + 0.78, name)
        chart.span(low, high, "reason", row + 0.44, row + 0.56, f"{low:.3f} to {high:.3f}")
    return chart.svg("success rate, route completion, driving score")


def _completion_chart(routes: Sequence[RouteResult]) -> str:
    done = sorted(routes, key=lambda route: route.route_completion)
    chart = Chart((0.0, float(len(done))), (0.0, 1.05), width=460, height=190, x_label="routes")
    chart.axes()
    for index, route in enumerate(done):
        css = "bar act-accelerate" if route.success else "bar act-stop"
        title = f"{route.seed}: {route.outcome}"
        chart.span(index, index + 0.9, css, 0.0, route.route_completion, title)
    return chart.svg("route completion per route")


def _tiles(figures: dict[str, Any]) -> str:
    tiles = [
        (name.replace("_", " "), f"{figures[name]:.1%}", _between(figures, name, 100, " %"))
        for name in _SHARES
    ]
    name = "collisions_per_km"
    tiles.append(("collisions per km", f"{figures[name]:.2f}", _between(figures, name, 1, "")))
    return "".join(
        f'<div class="tile"><b>{html.escape(title)}</b><span>{value}</span>'
        f"<small>{html.escape(note)}</small></div>"
        for title, value, note in tiles
    )


def _between(figures: dict[str, Any], name: str, scale: float, unit: str) -> str:
    low, high = (value * scale for value in figures[f"{name}_interval"])
    return f"{low:.3g} to {high:.3g}{unit}"


def _outcomes(figures: dict[str, Any]) -> str:
    rows = [(end.replace("_", " "), str(count)) for end, count in figures["outcomes"].items()]
    return table(("End", "Routes"), rows)


def _infractions(figures: dict[str, Any]) -> str:
    found = figures["infractions_per_km"]
    kinds = [name for name in found if not name.endswith("_interval")]
    rows = [(k.replace("_", " "), f"{found[k]:.3f}", _between(found, k, 1, "")) for k in kinds]
    return table(("Kind", "Per km", "95 % interval"), rows) if rows else "<p>None.</p>"


def _comfort(figures: dict[str, Any]) -> str:
    found = figures["comfort"]
    names = [name for name in found if not name.endswith("_interval")]
    rows = [(n.replace("_", " "), f"{found[n]:.2f}", _between(found, n, 1, "")) for n in names]
    rows.append(
        (
            "lateral rms, m",
            f"{figures['lateral_rms_m']:.3f}",
            _between(figures, "lateral_rms_m", 1, ""),
        )
    )
    return table(("Figure", "Mean", "95 % interval"), rows)


def _routes(routes: Sequence[RouteResult], pages: set[int]) -> str:
    head = "".join(
        f"<th>{name}</th>"
        for name in ("Seed", "End", "Completion", "Score", "Seconds", "Route, m", "Lateral rms, m")
    )
    body = []
    for route in routes:
        name = f"seed-{route.seed:06d}"
        first = f'<a href="routes/{name}.html">{name}</a>' if route.seed in pages else name
        cells = (
            html.escape(route.outcome.replace("_", " ")),
            f"{route.route_completion:.1%}",
            f"{route.driving_score:.3f}",
            f"{route.seconds:.1f}",
            f"{route.route_length_m:.0f}",
            f"{route.lateral_rms_m:.3f}",
        )
        body.append(f"<tr><td>{first}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _figure(caption: str, content: str) -> str:
    return f"<figure><figcaption>{html.escape(caption)}</figcaption>{content}</figure>"
