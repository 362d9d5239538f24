"""The CARLA agent over its life cycle, without CARLA: against a server in process that fails on demand."""

from __future__ import annotations

import importlib
import itertools
import json
import math
import sys
from types import ModuleType, SimpleNamespace

import grpc
import numpy as np
import pytest

from automot_client.carla_agent import agent as agent_module
from automot_client.carla_agent.agent import StandaloneBase, agent_class
from automot_client.carla_agent.driver import GaveUp
from automot_client.carla_agent.sensor_suite import sensor_suite
from automot_client.carla_agent.settings import SettingsError
from carla_packets import make_plan, straight_drive
from fake_planning_server import FakeServer

SIZE = (1024, 512)  # As the server in process declares it.
WARM_UP = 31
PLAN = make_plan([(90.0, -40.0), (140.0, -40.0), (190.0, -40.0), (240.0, -40.0)])


@pytest.fixture
def server():
    server = FakeServer()
    yield server
    server.stop()


@pytest.fixture
def make_agent(server, tmp_path):
    """Makes an agent that is set up with the given keys and has the plan; all are destroyed at the end."""
    agents = []

    def make(plan=PLAN, **keys):
        file = tmp_path / "agent.json"
        file.write_text(json.dumps({"planning_address": server.address, **keys}))
        agent = agent_class()("localhost", 2000)
        agents.append(agent)
        agent.set_global_plan(*plan)
        agent.setup(f"{file}+route_7")
        return agent

    yield make
    for agent in agents:
        agent.destroy()


def drive(agent, moments):
    return [agent.run_step(moment.packets(), moment.timestamp_s) for moment in moments]


def stops(tmp_path, folder="log") -> list[str]:
    lines = (tmp_path / folder / "route_7.jsonl").read_text().splitlines()
    return [json.loads(line).get("stop", "summary") for line in lines]


def assert_safe_stop(command):
    assert (command.throttle, command.brake) == (0.0, 1.0)


def test_sensors_are_the_published_ones(make_agent):
    by_id = {sensor["id"]: sensor for sensor in make_agent().sensors()}
    assert set(by_id) == {"CAM_FRONT", "LIDAR", "IMU", "GPS", "SPEED"}
    camera, lidar = by_id["CAM_FRONT"], by_id["LIDAR"]
    assert (camera["width"], camera["height"], camera["fov"]) == (1024, 512, 110)
    assert (camera["x"], camera["y"], camera["z"], camera["yaw"]) == (-1.5, 0.0, 2.0, 0.0)
    assert (lidar["x"], lidar["y"], lidar["z"], lidar["yaw"]) == (0.0, 0.0, 2.5, -90.0)
    assert by_id["SPEED"]["type"] == "sensor.speedometer"
    assert sensor_suite((64, 32))[0]["width"] == 64


def test_agent_brakes_while_it_warms_up_and_then_drives_as_the_answers_say(make_agent, server):
    commands = drive(make_agent(), straight_drive(WARM_UP + 3, SIZE))
    for command in commands[:WARM_UP]:
        assert (command.steer, command.throttle, command.brake) == (0.0, 0.0, 1.0)
    assert [command.steer for command in commands[WARM_UP:]] == [0.125] * 3
    assert len(server.planning.plans) == 3
    options = server.planning.opened.options
    assert options.time_mode == 2 and options.run_controller and options.reasoning_rate_hz == 10.0


def test_observation_is_what_the_sensors_sent(make_agent, server):
    drive(make_agent(rules="none"), straight_drive(1, SIZE))
    sent = server.planning.plans[0].observation
    assert sent.capture_time_us == 0 and sent.ego_state.speed_mps == 4.0
    assert sent.ego_state.pose.position.x == pytest.approx(100.0, abs=1e-6)
    assert sent.ego_state.pose.position.y == pytest.approx(-40.0, abs=1e-6)
    assert sent.ego_state.pose.yaw_rad == pytest.approx(0.0, abs=1e-9)
    assert sent.ego_state.yaw_rate_radps == pytest.approx(0.01)
    picture = sent.camera_images[0]
    assert (picture.encoding, picture.width, picture.height) == (3, *SIZE)
    assert sent.lidar.half_sweep
    points = np.frombuffer(sent.lidar.points.xyz, "<f4").reshape(-1, 3)
    assert points == pytest.approx(np.array([[10.0, 2.0, 0.5], [-8.0, -3.0, 1.0]]), abs=1e-5)
    target = sent.route_target
    assert target.current_target_point.x == pytest.approx(40.0, abs=1e-5)
    assert target.next_target_point.x == pytest.approx(90.0, abs=1e-5)
    assert target.current_target_point.y == pytest.approx(0.0, abs=1e-5)


def test_colours_arrive_as_rgb_and_jpeg_where_asked_for(make_agent, server):
    moment = straight_drive(1, SIZE)[0]
    moment.picture_bgra[:] = (10, 20, 200, 255)
    drive(make_agent(rules="none"), [moment])
    drive(make_agent(rules="none", camera_encoding="jpeg"), [moment])
    raw, jpeg = (plan.observation.camera_images[0] for plan in server.planning.plans)
    assert raw.data[:3] == bytes((200, 20, 10))
    assert jpeg.encoding == 0 and jpeg.data[:3] == b"\xff\xd8\xff"


def test_session_is_given_its_history_until_it_has_it(make_agent, server):
    drive(make_agent(), straight_drive(WARM_UP + 7, SIZE))
    images = [plan.observation.camera_images for plan in server.planning.plans]
    for tick in range(5):  # 0.25 s: every place of the grid is then a frame that came before.
        now = WARM_UP + tick
        ticks = [now - 15, now - 10, now - 5, now]
        assert [image.capture_time_us for image in images[tick]] == [t * 50_000 for t in ticks]
        assert [image.data[0] for image in images[tick]] == ticks
    for tick in (5, 6):
        assert [image.data[0] for image in images[tick]] == [WARM_UP + tick]


def test_route_revision_rises_when_the_target_switches(make_agent, server):
    drive(make_agent(rules="none"), straight_drive(20, SIZE, speed_mps=40.0))
    targets = [plan.observation.route_target for plan in server.planning.plans]
    ahead = [target.current_target_point.x for target in targets]
    switched = [later > sooner for sooner, later in itertools.pairwise(ahead)]
    revised = [
        later.route_revision > sooner.route_revision
        for sooner, later in itertools.pairwise(targets)
    ]
    assert sum(switched) == 1 and switched == revised


def test_compass_without_a_number_is_predicted_over(make_agent, server):
    agent = make_agent(rules="none")
    first, second = straight_drive(2, SIZE)
    drive(agent, [first])
    agent.run_step(second.packets(compass=math.nan), second.timestamp_s)
    pose = server.planning.plans[1].observation.ego_state.pose
    assert pose.position.x == pytest.approx(100.2, abs=0.05) and abs(pose.yaw_rad) < 0.01


def test_agent_stands_until_there_is_a_pose(make_agent, server, tmp_path):
    agent = make_agent(rules="none", record_folder=str(tmp_path / "log"))
    for moment in straight_drive(3, SIZE):
        assert_safe_stop(agent.run_step(moment.packets(compass=math.nan), moment.timestamp_s))
    agent.destroy()
    assert server.planning.plans == []
    assert all(stop.startswith("NO_POSE") for stop in stops(tmp_path)[:3])


@pytest.mark.parametrize(
    ("name", "packet", "message"),
    [
        ("LIDAR", None, "LIDAR: no packet; there are CAM_FRONT, GPS, IMU, SPEED"),
        ("LIDAR", (1, np.zeros((5, 3), np.float32)), r"LIDAR: float32 of shape (5, 3)"),
        ("LIDAR", (1, np.full((1, 4), np.inf, np.float32)), "LIDAR: a point is not finite"),
        ("CAM_FRONT", (1, np.zeros((512, 512, 4), np.uint8)), "want uint8 BGRA (512, 1024, 4)"),
        ("IMU", (1, np.zeros(6)), "IMU: float64 of shape (6,), want (7,) numbers"),
        ("GPS", 3, "GPS: int, want (frame, data)"),
        ("SPEED", (1, {"speed": math.nan}), "SPEED: {'speed': nan}"),
    ],
)
def test_packet_that_is_none_stops_the_vehicle_and_says_why(
    make_agent, server, tmp_path, name, packet, message
):
    agent = make_agent(rules="none", record_folder=str(tmp_path / "log"))
    first, second, third = straight_drive(3, SIZE)
    drive(agent, [first])
    packets = second.packets()
    packets.pop(name)
    if packet is not None:
        packets[name] = packet
    stopped = agent.run_step(packets, second.timestamp_s)
    assert_safe_stop(stopped)
    assert stopped.steer == 0.125, "the wheels stay where they were"
    assert drive(agent, [third])[0].brake == 0.0
    agent.destroy()
    reason = stops(tmp_path)[1]
    assert reason.startswith("BAD_SENSOR: ") and message in reason
    assert len(server.planning.plans) == 2


def test_refused_and_failed_plans_stop_the_vehicle_until_one_comes(make_agent, server, tmp_path):
    agent = make_agent(rules="none", record_folder=str(tmp_path / "log"))
    server.planning.plan_failures += [
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
    ]
    commands = drive(agent, straight_drive(4, SIZE))
    for command in commands[:3]:
        assert_safe_stop(command)
    assert commands[3].brake == 0.0 and commands[3].steer == 0.125
    agent.destroy()
    log = stops(tmp_path)
    assert log[:4] == [
        "RESOURCE_EXHAUSTED: scripted",
        "INTERNAL: scripted",
        "UNAVAILABLE: scripted",
        "",
    ]
    last = (tmp_path / "log" / "route_7.jsonl").read_text().splitlines()[-1]
    summary = json.loads(last)["summary"]
    assert summary["ticks"] == 4 and summary["planned"] == 1
    assert summary["stops"] == {"RESOURCE_EXHAUSTED": 1, "INTERNAL": 1, "UNAVAILABLE": 1}
    assert summary["reasons"] == {"STALE": 1, "NO_LIDAR": 1}


def test_plan_that_hangs_ends_with_its_deadline(make_agent, server, tmp_path):
    agent = make_agent(rules="none", plan_deadline_s=0.2, record_folder=str(tmp_path / "log"))
    server.planning.answering.clear()
    assert_safe_stop(drive(agent, straight_drive(1, SIZE))[0])
    server.planning.answering.set()
    assert drive(agent, straight_drive(2, SIZE)[1:])[0].brake == 0.0
    agent.destroy()
    assert stops(tmp_path)[0].startswith("DEADLINE_EXCEEDED")


@pytest.mark.parametrize("lost", [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ABORTED])
def test_tick_whose_session_was_lost_is_planned_in_a_new_one_with_its_history(
    make_agent, server, tmp_path, lost
):
    agent = make_agent(record_folder=str(tmp_path / "log"))
    moments = straight_drive(WARM_UP + 7, SIZE)
    drive(agent, moments[: WARM_UP + 6])
    server.planning.plan_failures.append(lost)
    assert drive(agent, [moments[WARM_UP + 6]])[0].steer == 0.125
    before, again = server.planning.plans[-2:]
    assert before.session != again.session and again.sequence == 1
    assert len(before.observation.camera_images) == 1
    assert len(again.observation.camera_images) == 4
    assert server.planning.opened.options.required_model_revision == "cd" * 16
    agent.destroy()
    lines = (tmp_path / "log" / "route_7.jsonl").read_text().splitlines()
    assert json.loads(lines[-2])["sessions_opened"] == 2


def test_session_that_is_lost_again_at_once_stops_the_vehicle(make_agent, server):
    agent = make_agent(rules="none")
    server.planning.plan_failures += [grpc.StatusCode.NOT_FOUND] * 2
    commands = drive(agent, straight_drive(2, SIZE))
    assert_safe_stop(commands[0])
    assert commands[1].steer == 0.125


def test_answer_without_a_command_stops_the_vehicle(make_agent, server, tmp_path):
    agent = make_agent(rules="none", record_folder=str(tmp_path / "log"))
    server.planning.with_control = False
    assert_safe_stop(drive(agent, straight_drive(1, SIZE))[0])
    agent.destroy()
    assert stops(tmp_path)[0].startswith("NO_CONTROL")


def test_agent_gives_up_when_the_service_stays_away(make_agent, server):
    agent = make_agent(rules="none", give_up_after_ticks=3)
    server.planning.plan_failures += [grpc.StatusCode.UNAVAILABLE] * 3
    moments = straight_drive(3, SIZE)
    drive(agent, moments[:2])
    with pytest.raises(GaveUp, match="3 ticks in a row without a plan; the last one: UNAVAILABLE"):
        drive(agent, moments[2:])


def test_destroy_closes_the_session_and_may_come_twice(make_agent, server):
    agent = make_agent()
    drive(agent, straight_drive(1, SIZE))
    agent.destroy()
    agent.destroy()
    assert server.planning.closed == [77]
    with pytest.raises(RuntimeError, match="run_step before setup, or after destroy"):
        drive(agent, straight_drive(1, SIZE))
    assert len(agent.sensors()) == 5


def test_setup_without_a_server_says_so_and_leaves_nothing_open(make_agent, server, tmp_path):
    server.planning.not_ready_answers = 1000
    with pytest.raises(TimeoutError, match=r"not ready within 0\.2 s"):
        make_agent(ready_deadline_s=0.2)
    with pytest.raises(SettingsError, match="unknown key"):
        make_agent(speed=3)


def test_agent_without_a_plan_says_so(make_agent):
    with pytest.raises(RuntimeError, match="before set_global_plan"):
        drive(make_agent(plan=(None, None)), straight_drive(1, SIZE))


def test_new_plan_on_the_way_is_driven(make_agent, server):
    agent = make_agent(rules="none")
    moments = straight_drive(2, SIZE)
    drive(agent, moments[:1])
    agent.set_global_plan(*make_plan([(90.0, -40.0), (100.2, -10.0), (100.2, 30.0)]))
    drive(agent, moments[1:])
    first, second = (plan.observation.route_target for plan in server.planning.plans)
    assert second.route_revision > first.route_revision
    assert second.current_target_point.y == pytest.approx(30.0, abs=0.01), "y is to the right"


def test_plan_of_another_map_is_refused(make_agent):
    gps, _ = PLAN
    _, elsewhere = make_plan([(90.0, 40.0), (140.0, 90.0), (190.0, 40.0), (240.0, 0.0)])
    agent = make_agent(plan=(gps, elsewhere))
    with pytest.raises(ValueError, match="global plan"):
        drive(agent, straight_drive(1, SIZE))


def test_map_reference_of_the_configuration_is_used(make_agent, server):
    _, world = PLAN
    drive(
        make_agent(plan=(None, world), rules="none", geo_reference=[42.0, 2.0]),
        straight_drive(1, SIZE),
    )
    assert server.planning.plans[0].observation.ego_state.pose.position.x == pytest.approx(100.0)


class FakeLeaderboard:
    """The leaderboard's modules, as far as an agent and its evaluator meet them."""

    class Track(SimpleNamespace):
        SENSORS = "Track.SENSORS"

    class AutonomousAgent(StandaloneBase):
        @staticmethod
        def get_ros_version():
            return -1

        def get_metric_info(self):
            return {"location": [1.0, 2.0, 3.0]}

    def install(self, monkeypatch):
        module = ModuleType("leaderboard.autoagents.autonomous_agent")
        module.AutonomousAgent, module.Track = self.AutonomousAgent, self.Track
        monkeypatch.setitem(sys.modules, "leaderboard", ModuleType("leaderboard"))
        monkeypatch.setitem(sys.modules, "leaderboard.autoagents", ModuleType("autoagents"))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        carla = ModuleType("carla")
        carla.VehicleControl = type("VehicleControl", (SimpleNamespace,), {})
        monkeypatch.setitem(sys.modules, "carla", carla)
        return carla


def test_entry_point_makes_the_agent_on_the_leaderboards_base(
    make_agent, monkeypatch, tmp_path, server
):
    carla = FakeLeaderboard().install(monkeypatch)
    monkeypatch.setenv("SAVE_PATH", str(tmp_path))
    # As its evaluator does: the file's folder on the path, then the module by its name.
    entry = importlib.import_module("automot_client.carla_agent.entry.automot_agent")
    monkeypatch.syspath_prepend(str(entry.__file__).rpartition("/")[0])
    module = importlib.import_module("automot_agent")
    monkeypatch.delitem(sys.modules, "automot_agent")
    made = getattr(module, module.get_entry_point())
    assert issubclass(made, FakeLeaderboard.AutonomousAgent) and made.get_ros_version() == -1
    monkeypatch.setattr(sys.modules[__name__], "agent_class", lambda: made)
    agent = make_agent()
    assert agent.track == "Track.SENSORS"
    commands = drive(agent, straight_drive(WARM_UP + 2, SIZE))
    assert all(isinstance(command, carla.VehicleControl) for command in commands)
    agent.destroy()
    metrics = json.loads((tmp_path / "route_7" / "metric_info.json").read_text())
    assert list(metrics) == ["31", "32"] and metrics["31"]["location"] == [1.0, 2.0, 3.0]
    with pytest.raises(AttributeError):
        module.SomethingElse  # noqa: B018


def test_modules_import_neither_carla_nor_the_leaderboard():
    for name in ("agent", "driver", "sensor_suite", "service_link", "entry.automot_agent"):
        importlib.import_module(f"automot_client.carla_agent.{name}")
    assert not {"carla", "leaderboard"} & set(sys.modules)


def test_leaderboard_that_lacks_a_part_is_not_taken_for_an_absent_one(monkeypatch):
    def broken(name):
        raise ModuleNotFoundError("no srunner", name="srunner")

    monkeypatch.setattr(agent_module.importlib, "import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="srunner"):
        agent_class()
