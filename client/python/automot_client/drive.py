"""automot-drive: drives MetaDrive through the services and writes a report.

A planner that crashes ends an episode, not the run: the scene is reset with the next seed, counted, and
driving goes on until the asked simulated time is up.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automot_client import report
from automot_client.bridge.projection import CameraModel
from automot_client.bridge.route import TargetPointRule
from automot_client.client import SessionOptions
from automot_client.driving.chaos import ChaosInjector, draw_plans
from automot_client.driving.faults import FaultInjector, FaultPlan, Injector
from automot_client.driving.planner_port import PlannerPort, ServicePlanner
from automot_client.types import ServerInfo

if TYPE_CHECKING:
    from automot_client.bridge.world import WorldOptions
    from automot_client.driving.loop import LoopResult, Progress


# Terminal codes: to the line's begin, erase to its end.
CLEAR_LINE = "\r\033[K"


@dataclasses.dataclass(frozen=True)
class DriveOptions:
    """Everything that shapes a run; kept in its record."""

    seconds: float = 60.0
    seed: int = 0
    density: float = 0.1
    blocks: int = 4
    pace: str = "realtime"
    planning_rate_hz: float = 20.0
    reasoning_rate_hz: float = 4.0
    target_point_rule: str = "route_distance:8,20"
    video_seconds: float = 120.0
    out: str = "out/demo"


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    defaults = DriveOptions()
    parser = argparse.ArgumentParser(
        prog="automot-drive",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--planning-address", default="127.0.0.1:50051", metavar="A", help="planning service"
    )
    parser.add_argument(
        "--reasoning-address", metavar="A", help="reasoning service; gives refresh times"
    )
    parser.add_argument(
        "--seconds", type=float, default=defaults.seconds, help="simulated time to drive"
    )
    parser.add_argument("--seed", type=int, default=defaults.seed, help="seed of the first episode")
    parser.add_argument("--density", type=float, default=defaults.density, help="traffic density")
    parser.add_argument("--blocks", type=int, default=defaults.blocks, help="road blocks per map")
    parser.add_argument(
        "--pace",
        choices=("realtime", "max"),
        default=defaults.pace,
        help="realtime: REALTIME session paced by the wall clock; max: STEPPED session",
    )
    parser.add_argument(
        "--reasoning-rate-hz",
        type=float,
        default=defaults.reasoning_rate_hz,
        help="context refreshes per second of session time",
    )
    parser.add_argument(
        "--target-point-rule",
        help="route_distance:NEAR,FAR or plan_points:SPACING, metres [the checkpoint's own]",
    )
    parser.add_argument(
        "--out", default=defaults.out, metavar="DIR", help="folder of record and report"
    )
    parser.add_argument(
        "--video-seconds",
        type=float,
        default=defaults.video_seconds,
        help="simulated time kept as video, from the start",
    )
    parser.add_argument(
        "--plan-deadline-s", type=float, help="wall deadline per plan [1 realtime, 60 max]"
    )
    parser.add_argument(
        "--fault", metavar="KIND@S", help="freeze, kill or restart the reasoning process"
    )
    parser.add_argument(
        "--chaos",
        type=int,
        metavar="SEED",
        help="freeze and restart the reasoning process now and then, drawn from this seed",
    )
    parser.add_argument(
        "--fault-duration", type=float, default=10.0, help="simulated seconds to recovery"
    )
    parser.add_argument("--reasoning-pid", type=int, help="process that --fault acts on")
    parser.add_argument("--reasoning-command", help="command that starts it again (restart)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Entry point; 0 when the run ended, 2 on bad arguments, 1 when no service answered."""
    options = parse_arguments(arguments)
    try:
        injector = _make_injector(options)
        if options.target_point_rule:
            TargetPointRule(options.target_point_rule)
    except ValueError as error:
        print(f"automot-drive: {error}", file=sys.stderr)
        return 2
    try:
        planner = _connect(options)
    except TimeoutError as error:
        print(f"automot-drive: {error}", file=sys.stderr)
        return 1
    try:
        run(_drive_options(options, planner), planner, injector, show_progress)
    finally:
        planner.close()
        if injector is not None:
            injector.close()
    return 0


def run(
    options: DriveOptions,
    planner: PlannerPort,
    injector: Injector | None = None,
    on_progress: Any = None,
) -> dict[str, Any]:
    """Drives, writes record and report into options.out, and returns the report's numbers."""
    from automot_client.bridge.world import World, WorldOptions
    from automot_client.driving.loop import ClosedLoop, LoopOptions
    from automot_client.driving.recording import RunRecorder

    world_options = WorldOptions(
        seed=options.seed,
        traffic_density=options.density,
        blocks=options.blocks,
        target_point_rule=options.target_point_rule,
    )
    camera = camera_for(planner.info)
    recorder = RunRecorder(Path(options.out))
    world = World(world_options)
    try:
        loop = ClosedLoop(
            world,
            planner,
            recorder,
            LoopOptions(
                options.seconds, options.pace == "realtime", video_seconds=options.video_seconds
            ),
            injector,
            on_progress or (lambda progress: None),
            camera,
        )
        result = loop.run()
    finally:
        world.close()
    recorder.finish(_run_record(options, world_options, camera, planner, result))
    print("\nwriting the report", flush=True)
    summary = report.write(Path(options.out))
    print(report.text_summary(summary))
    print(f"report: {Path(options.out) / 'report.html'}")
    return summary


def camera_for(server: ServerInfo) -> CameraModel:
    """The camera that the server declares, else the default one."""
    return CameraModel(*server.camera_size) if server.camera_size else CameraModel()


def show_progress(progress: Progress) -> None:
    """One live line on a terminal; a line each 5 simulated seconds elsewhere."""
    live = sys.stdout.isatty()
    tick = round(progress.simulated_s * 20)
    news = [] if progress.event is None else [progress.event.what]
    if progress.episode_end is not None:
        news.append(f"episode {progress.state.episode} ended: {progress.episode_end.value}")
    for what in news:
        print(f"{CLEAR_LINE if live else ''}  {progress.simulated_s:6.1f} s  {what}", flush=True)
    if not live and tick % 100:
        return
    plan = progress.plan
    context = "no answer"
    if plan is not None:
        age = "-" if plan.staleness_s is None else f"{plan.staleness_s:.2f} s"
        context = f"context v{plan.snapshot.version} age {age} {' '.join(sorted(plan.reasons))}"
    line = (
        f"  {progress.simulated_s:6.1f} s  episode {progress.state.episode}"
        f"  {progress.state.speed_mps:4.1f} m/s"
        f"  route {progress.state.route_completion:4.0%}  plan {progress.latency_ms:6.1f} ms"
        f"  pace {progress.pace:.2f}x  {context}"
    )
    if live:
        line = CLEAR_LINE + line[: shutil.get_terminal_size().columns - 1]
    print(line, end="" if live else "\n", flush=True)


def _make_injector(options: argparse.Namespace) -> Injector | None:
    if options.chaos is not None:
        return _make_chaos(options)
    if options.fault is None:
        return None
    plan = FaultPlan.parse(options.fault, options.fault_duration)
    if options.pace != "realtime":
        raise ValueError("--fault needs --pace realtime: a stepped session waits for its context")
    if options.reasoning_pid is None:
        raise ValueError("--fault needs --reasoning-pid (two processes)")
    return FaultInjector(plan, options.reasoning_pid, options.reasoning_command)


def _make_chaos(options: argparse.Namespace) -> ChaosInjector:
    if options.pace != "realtime" or options.fault is not None:
        raise ValueError("--chaos needs --pace realtime, and no --fault beside it")
    if options.reasoning_pid is None or options.reasoning_command is None:
        raise ValueError("--chaos needs --reasoning-pid and --reasoning-command (two processes)")
    plans = draw_plans(options.chaos, options.seconds)
    return ChaosInjector(plans, options.reasoning_pid, options.reasoning_command)


def _connect(options: argparse.Namespace) -> ServicePlanner:
    realtime = options.pace == "realtime"
    return ServicePlanner(
        options.planning_address,
        options.reasoning_address,
        f"drive-{uuid.uuid4().hex[:8]}",
        SessionOptions(
            planning_rate_hz=DriveOptions.planning_rate_hz,
            reasoning_rate_hz=options.reasoning_rate_hz,
            time_mode="realtime" if realtime else "stepped",
            run_controller=True,
        ),
        plan_deadline_s=options.plan_deadline_s or (1.0 if realtime else 60.0),
    )


def _drive_options(options: argparse.Namespace, planner: PlannerPort) -> DriveOptions:
    given = vars(options)
    fields = {f.name: given[f.name] for f in dataclasses.fields(DriveOptions) if f.name in given}
    rule = choose_target_point_rule(options.target_point_rule, planner.info.target_point_rule)
    return DriveOptions(**(fields | {"target_point_rule": rule}))


def choose_target_point_rule(asked: str | None, declared: str) -> str:
    """The rule that was asked for, else the checkpoint's, else the default; warns where they differ."""
    rule = asked or declared or DriveOptions.target_point_rule
    try:
        TargetPointRule(rule)
    except ValueError as error:
        if asked:
            raise
        print(f"automot-drive: the checkpoint's {error}", file=sys.stderr)
        rule = DriveOptions.target_point_rule
    if declared and declared != rule:
        print(
            f"automot-drive: the checkpoint declares target points {declared!r}, "
            f"this run gives {rule!r}",
            file=sys.stderr,
        )
    return rule


def _run_record(
    options: DriveOptions,
    world_options: WorldOptions,
    camera: CameraModel,
    planner: PlannerPort,
    result: LoopResult,
) -> dict[str, Any]:
    return {
        "started": time.strftime("%Y-%m-%d %H:%M:%S"),
        "options": dataclasses.asdict(options),
        "world": dataclasses.asdict(world_options),
        "camera": dataclasses.asdict(camera),
        "server": dataclasses.asdict(planner.info),
        "ticks": result.ticks,
        "wall_s": result.wall_s,
        "reset_wall_s": result.reset_wall_s,
        "missed_ticks": result.missed_ticks,
        "episodes": [dataclasses.asdict(episode) for episode in result.episodes],
        "events": [dataclasses.asdict(event) for event in result.events],
    }


if __name__ == "__main__":
    sys.exit(main())
