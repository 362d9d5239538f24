"""What docs/metrics.md, the rules and the dashboard say, read into plain values. Python's library only."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(os.environ.get("AUTOMOT_SOURCE_DIR", Path(__file__).resolve().parents[3]))
RULES = ROOT / "deploy/prometheus/rules.yml"
RULES_TEST = ROOT / "deploy/prometheus/rules_test.yml"
ADAPTER_RULES = ROOT / "deploy/prometheus/adapter-rules.yaml"
DASHBOARD = ROOT / "deploy/grafana/dashboards/automot.json"
DATASOURCE = ROOT / "deploy/grafana/provisioning/datasources/prometheus.yaml"

# Labels that Prometheus and Kubernetes add, and that every metric has.
ADDED_LABELS = {"job", "instance", "namespace", "pod"}


@dataclass
class Metric:
    """One row of docs/metrics.md."""

    type: str
    labels: set[str] = field(default_factory=set)


@dataclass
class Alert:
    """One alert of rules.yml."""

    name: str
    text: str

    def annotation(self, name: str) -> str:
        """Its value, empty where there is none."""
        found = re.search(rf"^\s+{name}: (.+)$", self.text, re.MULTILINE)
        return found.group(1).strip("'\"") if found else ""


def documented() -> dict[str, Metric]:
    """Every metric by the names that its series have."""
    metrics = {}
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) != 6 or not cells[0].startswith("`"):
            continue
        metric = Metric(cells[1], set(re.findall(r"`(\w+)`", cells[2])))
        name = cells[0].strip("`")
        if metric.type == "histogram":
            metrics[name + "_bucket"] = Metric(metric.type, metric.labels | {"le"})
            metrics[name + "_sum"] = metrics[name + "_count"] = metric
        else:
            metrics[name] = metric
    return metrics


def without_recorded(text: str) -> str:
    """Without names of recorded series, which have colons."""
    return re.sub(r"\b\w+:\w+(?::\w+)?", " ", text)


def used_metrics(text: str) -> set[str]:
    """Names of our metrics, and of the process's, that expressions in `text` read."""
    return set(re.findall(r"\b(?:automot|process|exposer)_[a-z0-9_]+\b", without_recorded(text)))


def used_labels(text: str) -> set[tuple[str, str]]:
    """(metric, label) of every selector in `text`."""
    found = set()
    for metric, selector in re.findall(
        r"\b((?:automot|process|exposer)_\w+)\{([^}]*)\}", without_recorded(text)
    ):
        for label in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', selector):
            found.add((metric, label))
    return found


def recorded(text: str) -> set[str]:
    """Names of recorded series that `text` mentions."""
    return set(re.findall(r"\b(\w+:(?:automot|process)_\w+:\w+)\b", text))


def alerts() -> list[Alert]:
    """Every alert of rules.yml."""
    blocks = re.split(
        r"^\s+- (?=alert: |record: |name: )", RULES.read_text(encoding="utf-8"), flags=re.M
    )
    found = []
    for block in blocks:
        name = re.match(r"alert: (\w+)", block)
        if name:
            found.append(Alert(name.group(1), block))
    return found


def dashboard() -> dict[str, Any]:
    """The dashboard."""
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return loaded


def expressions() -> list[tuple[str, str]]:
    """(panel's title, expression) of every target of the dashboard."""
    return [
        (panel["title"], target["expr"])
        for panel in dashboard()["panels"]
        for target in panel.get("targets", [])
    ]
