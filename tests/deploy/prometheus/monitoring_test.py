"""Rules and dashboard read only metrics that docs/metrics.md has; every alert is explained and tested."""

from __future__ import annotations

import re
import unittest

import monitoring


def kebab(name: str) -> str:
    """ContextExpired -> context-expired."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def texts() -> dict[str, str]:
    """Where expressions stand, by name."""
    files = (monitoring.RULES, monitoring.RULES_TEST, monitoring.ADAPTER_RULES)
    found = {path.name: path.read_text(encoding="utf-8") for path in files}
    found["rules.yml"] = re.sub(r"^\s*#.*$", "", found["rules.yml"], flags=re.MULTILINE)
    # The adapter's own names for what it serves to Kubernetes.
    found["adapter-rules.yaml"] = re.sub(r"name: \{as: \w+\}", "", found["adapter-rules.yaml"])
    # rules_test.yml names groups of series by their expected labels only.
    found[monitoring.DASHBOARD.name] = "\n".join(e for _, e in monitoring.expressions())
    return found


class MetricNamesTest(unittest.TestCase):
    """Names and labels against docs/metrics.md."""

    def test_every_metric_is_documented(self) -> None:
        known = set(monitoring.documented())
        for name, text in texts().items():
            # Groups of rules are named like metrics.
            text = re.sub(r"^\s*- name: \w+$", "", text, flags=re.MULTILINE)
            with self.subTest(name):
                self.assertNotEqual(monitoring.used_metrics(text), set())
                self.assertEqual(monitoring.used_metrics(text) - known, set())

    def test_every_label_is_its_metrics(self) -> None:
        known = monitoring.documented()
        for name, text in texts().items():
            with self.subTest(name):
                wrong = {
                    (metric, label)
                    for metric, label in monitoring.used_labels(text)
                    if label not in known[metric].labels | monitoring.ADDED_LABELS
                }
                self.assertEqual(wrong, set())

    def test_every_recorded_series_is_recorded(self) -> None:
        rules = texts()["rules.yml"]
        made = set(re.findall(r"record: (\S+)", rules))
        for name, text in texts().items():
            with self.subTest(name):
                self.assertEqual(monitoring.recorded(text) - made, set())

    def test_the_search_finds_names_and_labels(self) -> None:
        text = 'rate(automot_gone_total{colour="red",le!="1"}[5m]) / a_b:automot_gone:rate5m'
        self.assertEqual(monitoring.used_metrics(text), {"automot_gone_total"})
        self.assertEqual(
            monitoring.used_labels(text),
            {("automot_gone_total", "colour"), ("automot_gone_total", "le")},
        )
        self.assertEqual(monitoring.recorded(text), {"a_b:automot_gone:rate5m"})


class AlertsTest(unittest.TestCase):
    """Every alert says what is wrong and what to do, and is tested both ways."""

    def test_each_has_a_summary_a_severity_and_a_runbook_that_exists(self) -> None:
        operations = (monitoring.ROOT / "docs/operations.md").read_text(encoding="utf-8")
        self.assertGreater(len(monitoring.alerts()), 10)
        for alert in monitoring.alerts():
            with self.subTest(alert.name):
                self.assertTrue(alert.annotation("summary").endswith("."))
                self.assertRegex(alert.text, r"severity: (critical|warning)")
                anchor = f"alert-{kebab(alert.name)}"
                self.assertEqual(alert.annotation("runbook"), f"docs/operations.md#{anchor}")
                self.assertIn(f'<a id="{anchor}"></a>', operations)

    def test_operations_explains_no_alert_that_is_gone(self) -> None:
        operations = (monitoring.ROOT / "docs/operations.md").read_text(encoding="utf-8")
        explained = re.findall(r"^### Alert (\w+)$", operations, re.MULTILINE)
        self.assertEqual(explained, [alert.name for alert in monitoring.alerts()])

    def test_each_is_tested_firing_and_quiet(self) -> None:
        tests = monitoring.RULES_TEST.read_text(encoding="utf-8")
        quiet = set(re.findall(r"alertname: (\w+),? *\n? *exp_alerts: \[\]", tests))
        fires = set(re.findall(r"alertname: (\w+)\n +exp_alerts:\n", tests))
        names = {alert.name for alert in monitoring.alerts()}
        self.assertEqual(names - fires, set())
        self.assertEqual(names - quiet, set())


class DashboardTest(unittest.TestCase):
    """What Grafana would complain about, or show wrongly."""

    def test_panels_have_ids_of_their_own_and_do_not_overlap(self) -> None:
        panels = monitoring.dashboard()["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            at = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            self.assertEqual(cells & taken, set(), panel["title"])
            self.assertLessEqual(at["x"] + at["w"], 24, panel["title"])
            taken |= cells

    def test_every_panel_asks_the_provisioned_datasource(self) -> None:
        uid = re.search(r"uid: (\w+)", monitoring.DATASOURCE.read_text(encoding="utf-8"))
        self.assertIsNotNone(uid)
        for panel in monitoring.dashboard()["panels"]:
            for asked in [panel, *panel.get("targets", [])]:
                if panel["type"] != "row":
                    self.assertEqual(asked["datasource"]["uid"], uid and uid.group(1))

    def test_it_shows_what_an_operator_looks_for(self) -> None:
        shown = monitoring.used_metrics(texts()[monitoring.DASHBOARD.name])
        for metric in (
            "automot_stage_seconds_bucket",
            "automot_context_staleness_seconds_bucket",
            "automot_context_version_gap_bucket",
            "automot_plan_reasons_total",
            "automot_plans_waiting",
            "automot_plan_refusals_total",
            "automot_lane_info",
            "automot_snapshot_bytes_sum",
        ):
            self.assertIn(metric, shown)


if __name__ == "__main__":
    unittest.main()
