"""Policy servers of others beside ours: the same payloads, clients in the same language, interleaved.

Run by `tools/dev.sh bench peers [--json FILE] [--rounds N] [--slice-s S]`. In each round every scenario runs
ours, theirs and ours again; the second run of ours is the A/A control. See tests/benchmark/peers/README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

import processes
from processes import Clients, Slice
from summary import Verdict, judge, median, percentile, table

SKIPPED = [
    (
        "LeRobot policy server",
        "skipped: it needs 1.4 GB of packages (torch among them) and a stubbed prediction",
    )
]
CLIENT = "automot-peers-client"
SIZES = {"small": "189 KiB", "raw": "1.6 MiB"}
HEALTH_LIMIT_S = 0.010
DRIVE_LIMIT_S = 0.001
BUSY_CLIENTS = 8
BUSY_MS = 30.0
HEALTH = f"health, {BUSY_CLIENTS} clients x {BUSY_MS:.0f} ms"


@dataclasses.dataclass
class Scenario:
    """One comparison; `sides` run in turn and `slices` holds what each did, a list entry a round."""

    name: str
    peer: str
    sides: dict[str, Callable[[float], Slice]]
    slices: dict[str, list[Slice]] = dataclasses.field(default_factory=dict)

    def run(self, number: int, seconds: float) -> None:
        """One round; odd rounds go the other way round, so that no side is always first."""
        names = list(self.sides) if number % 2 == 0 else list(reversed(self.sides))
        for name in names:
            self.slices.setdefault(name, []).append(self.sides[name](seconds))

    def each(self, side: str, measure: Callable[[Slice], float]) -> list[float]:
        """A measure of each round."""
        return [measure(part) for part in self.slices[side]]

    def ratios(self, above: str, below: str, measure: Callable[[Slice], float]) -> list[float]:
        """One ratio a round."""
        pairs = zip(self.each(above, measure), self.each(below, measure))
        return [numerator / denominator for numerator, denominator in pairs]


def p50(part: Slice) -> float:
    """Median of a stretch, seconds."""
    return percentile(part.seconds, 0.50)


def p99(part: Slice) -> float:
    """99th percentile of a stretch, seconds."""
    return percentile(part.seconds, 0.99)


def rate(part: Slice) -> float:
    """Answers per second."""
    return part.per_second


def plan_name(payload: str, count: int) -> str:
    """A scenario's name."""
    return f"{SIZES[payload]}, {count} client{'s' if count > 1 else ''}"


def drive_name(count: int) -> str:
    """A scenario's name."""
    return f"egodriver drive, {count} session{'s' if count > 1 else ''}"


def side(stack: contextlib.ExitStack, kind: str, address: str, payload: str, count: int) -> Clients:
    """Clients of one side."""
    return Clients(stack, [kind, address, payload], count)


def plan_scenarios(stack: contextlib.ExitStack, program: Path) -> list[Scenario]:
    """Both payloads and both numbers of clients against servers around a null model."""
    ours = processes.automot_server(stack, program, 0.0)
    openpi = processes.openpi_server(stack, 0.0)
    egodriver = processes.egodriver_server(stack)
    scenarios = []
    for payload in ("small", "raw"):
        for count in (1, 4):
            clients = side(stack, "automot", ours, payload, count)
            theirs = side(stack, "openpi", openpi, payload, count)
            native = Clients(stack, [ours, payload], count, [str(program.with_name(CLIENT))])
            sides = {
                "ours": clients.work,
                "theirs": theirs.work,
                "ours, C++ client": native.work,
                "ours again": clients.work,
            }
            scenarios.append(Scenario(plan_name(payload, count), "openpi-server", sides))
    for count in (1, 4):
        clients = side(stack, "egodriver", ours, "", count)
        theirs = side(stack, "egodriver", egodriver, "", count)
        sides = {"ours": clients.work, "theirs": theirs.work, "ours again": clients.work}
        scenarios.append(Scenario(drive_name(count), "carla-driver-interface", sides))
    return scenarios


def probed(busy: Clients, probe: Clients) -> Callable[[float], Slice]:
    """Probes while the busy clients work."""

    def work(seconds: float) -> Slice:
        busy.begin(seconds)
        result = probe.work(seconds)
        busy.end()
        return result

    return work


def health_scenario(stack: contextlib.ExitStack, program: Path) -> Scenario:
    """Health probes while every worker of a server is busy."""
    ours = processes.automot_server(stack, program, BUSY_MS)
    openpi = processes.openpi_server(stack, BUSY_MS)
    threads = ["--threads", str(BUSY_CLIENTS)]
    pause = ["--pause-ms", "10"]
    our_busy = Clients(stack, ["automot", ours, "small", *threads])
    their_busy = Clients(stack, ["openpi", openpi, "small", *threads])
    our_probe = Clients(stack, ["automot_health", ours, "live", *pause])
    their_probe = Clients(stack, ["openpi_health", openpi, "/healthz", *pause])
    return Scenario(
        HEALTH,
        "openpi-server",
        {
            "ours": probed(our_busy, our_probe),
            "theirs": probed(their_busy, their_probe),
            "ours again": probed(our_busy, our_probe),
        },
    )


def verdicts(by_name: dict[str, Scenario]) -> list[Verdict]:
    """The targets, each as a ratio that should be at least a number."""

    def faster(
        text: str, name: str, target: float, measure: Callable[[Slice], float], ours: str = "ours"
    ) -> Verdict:
        scenario = by_name[name]
        control = scenario.ratios("ours", "ours again", measure)
        return judge(text, target, scenario.ratios("theirs", ours, measure), control)

    def more(text: str, name: str, target: float, ours: str = "ours") -> Verdict:
        scenario = by_name[name]
        control = scenario.ratios("ours", "ours again", rate)
        return judge(text, target, scenario.ratios(ours, "theirs", rate), control)

    def within(text: str, name: str, limit: float, measure: Callable[[Slice], float]) -> Verdict:
        return judge(text, 1.0, [limit / value for value in by_name[name].each("ours", measure)])

    judged = []
    for ours, tag in (("ours", "Python"), ("ours, C++ client", "C++")):
        one, four, raw = plan_name("small", 1), plan_name("small", 4), plan_name("raw", 1)
        judged += [
            faster(f"{one}: p50, theirs / ours ({tag})", one, 1.0, p50, ours),
            faster(f"{one}: p99, theirs / ours ({tag})", one, 1.0, p99, ours),
            more(f"{four}: answers/s, ours ({tag}) / theirs", four, 2.0, ours),
            faster(f"{raw}: p50, theirs / ours ({tag})", raw, 3.0, p50, ours),
        ]
    one, four = drive_name(1), drive_name(4)
    return [
        *judged,
        within(f"{one}: 1 ms / p50", one, DRIVE_LIMIT_S, p50),
        faster(f"{four}: p50 of drive, theirs / ours", four, 5.0, p50),
        more(f"{four}: whole steps/s, ours / theirs", four, 5.0),
        within("health, workers busy: 10 ms / p99", HEALTH, HEALTH_LIMIT_S, p99),
    ]


def row(scenario: Scenario, name: str) -> list[str]:
    """Medians over the rounds of one side."""
    failed = sum(part.failed for part in scenario.slices[name])
    return [
        scenario.name,
        scenario.peer if name == "theirs" else name,
        f"{1e3 * median(scenario.each(name, p50)):.3f}",
        f"{1e3 * median(scenario.each(name, p99)):.3f}",
        f"{median(scenario.each(name, rate)):.0f}",
        str(failed),
    ]


def report(scenarios: list[Scenario], judged: list[Verdict]) -> str:
    """The tables."""
    rows = [row(scenario, name) for scenario in scenarios for name in scenario.sides]
    outcome = [
        [v.name, f"{v.target:g}", f"{v.ratio:.2f}", f"{v.low:.2f} .. {v.high:.2f}", v.outcome]
        for v in judged
    ]
    return "\n\n".join(
        [
            table(["scenario", "server", "p50 ms", "p99 ms", "per s", "refused"], rows),
            table(["target, a ratio", "at least", "median", "95 % interval", "verdict"], outcome),
            *(f"{name}: {why}" for name, why in SKIPPED),
        ]
    )


def to_json(scenarios: list[Scenario], judged: list[Verdict], arguments: object) -> dict:
    """Every round's figures."""
    measures = {"p50_s": p50, "p99_s": p99, "per_s": rate}
    return {
        "arguments": {key: str(value) for key, value in vars(arguments).items()},
        "scenarios": [
            {
                "name": scenario.name,
                "peer": scenario.peer,
                "sides": {
                    name: {key: scenario.each(name, measure) for key, measure in measures.items()}
                    for name in scenario.sides
                },
            }
            for scenario in scenarios
        ],
        "verdicts": [dataclasses.asdict(verdict) for verdict in judged],
        "skipped": dict(SKIPPED),
    }


def main() -> int:
    """Runs the rounds; the status is 1 where a target is missed for certain."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin-dir", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7, help="at least 6 for a verdict")
    parser.add_argument("--slice-s", type=float, default=0.8, help="one side's turn, seconds")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--machine", default="")
    parser.add_argument("--commit", default="")
    arguments = parser.parse_args()
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        program = arguments.bin_dir / "automot-synthetic-server"
        scenarios = plan_scenarios(stack, program)
        scenarios.append(health_scenario(stack, program))
        for number in range(-1, arguments.rounds):
            if number >= 0:
                print(f"round {number + 1} of {arguments.rounds}", flush=True)
            for scenario in scenarios:
                scenario.run(number, arguments.slice_s)
        for scenario in scenarios:
            for slices in scenario.slices.values():
                slices.pop(0)  # the first round warms up
    judged = verdicts({scenario.name: scenario for scenario in scenarios})
    print(f"\n{report(scenarios, judged)}\n\n{time.monotonic() - began:.0f} s")
    if arguments.json:
        arguments.json.write_text(json.dumps(to_json(scenarios, judged, arguments), indent=1))
    return 1 if any(verdict.outcome == "FAIL" for verdict in judged) else 0


if __name__ == "__main__":
    raise SystemExit(main())
