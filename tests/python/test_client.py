"""The typed client against both services in process."""

from __future__ import annotations

import dataclasses

import grpc
import numpy as np
import pytest

from automot_client.client import Deadlines, PlanError, PlannerClient, SessionOptions
from automot_client.context import ContextError
from automot_client.driving.planner_port import PlanFailed, ServicePlanner
from automot_client.geometry import Pose
from automot_client.types import CameraFrame, Observation, Sampling, SnapshotRef
from fake_planning_server import LAYERS, FakeServer


@pytest.fixture
def server():
    server = FakeServer()
    yield server
    server.stop()


@pytest.fixture
def client(server):
    with PlannerClient(server.address, server.address, deadlines=Deadlines(plan_s=10.0)) as client:
        yield client


def observation(speed: float = 4.0, lidar: np.ndarray | None = None) -> Observation:
    return Observation(
        capture_time_us=0,
        speed_mps=speed,
        target_points=np.array([[8.0, 0.5], [20.0, -1.5]]),
        route_revision=3,
        pose=Pose(1.0, 2.0, 0.5),
        camera_frames=(CameraFrame(0, b"jpeg"),),
        lidar_points=lidar,
    )


def test_plan_carries_the_observation_and_returns_plain_values(client, server):
    with client.open_session("car", SessionOptions(run_controller=True)) as session:
        plan = session.plan(observation(lidar=np.array([[1, 2, 3]], dtype=np.float64)))
    sent = server.planning.plans[0]
    assert (sent.session, sent.lease, sent.sequence) == ("car", 77, 1)
    assert sent.observation.HasField("capture_time_us") and sent.observation.capture_time_us == 0
    assert np.frombuffer(sent.observation.lidar.points.xyz, "<f4").tolist() == [1.0, 2.0, 3.0]
    assert sent.observation.route_target.next_target_point.y == -1.5
    assert sent.observation.ego_state.pose.yaw_rad == 0.5
    assert plan.route.shape == (20, 2) and plan.waypoints.shape == (6, 2)
    assert plan.waypoint_times_s == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.5, 3.0])
    assert plan.control.steer == 0.125
    assert plan.reasons == {"STALE", "NO_LIDAR"}
    assert plan.staleness_s == 0.25 and plan.camera_age_s is None
    assert plan.decision[0].action == "SLOW" and plan.decision_agreement == "NOT_COMPARABLE"
    assert plan.stage_seconds == {"bev_encoder": 0.004}
    assert server.planning.closed == [77]


def test_a_feature_and_a_histogram_reach_the_wire_with_their_shapes(client, server):
    bev = np.arange(2 * 64, dtype=np.float32).reshape(2, 8, 8)
    counts = np.full((256, 256), 5, np.uint8)
    sent = dataclasses.replace(observation(), bev_feature=bev, lidar_histogram=counts)
    with client.open_session("car-1", SessionOptions()) as session:
        session.plan(sent)
    message = server.planning.plans[-1].observation
    assert message.bev_feature.channels == 2
    assert np.frombuffer(message.bev_feature.values, "<f4").tolist() == list(range(128))
    assert message.lidar.histogram.counts == counts.tobytes()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"bev_feature": np.zeros((2, 64))}, "bev_feature"),
        ({"lidar_histogram": np.zeros((128, 256), np.uint8)}, "lidar_histogram"),
        (
            {"lidar_histogram": np.zeros((256, 256)), "lidar_points": np.zeros((0, 3))},
            "lidar_points and lidar_histogram",
        ),
    ],
)
def test_arrays_of_other_shapes_are_refused_by_name(client, change, field):
    with (
        client.open_session("car-1", SessionOptions()) as session,
        pytest.raises(ValueError, match=field),
    ):
        session.plan(dataclasses.replace(observation(), **change))


def test_no_lidar_and_an_empty_sweep_differ_on_the_wire(client, server):
    with client.open_session("car", SessionOptions()) as session:
        session.plan(observation(lidar=None))
        session.plan(observation(lidar=np.zeros((0, 3), np.float32)))
    none, empty = (plan.observation for plan in server.planning.plans)
    assert not none.HasField("lidar")
    assert empty.HasField("lidar") and empty.lidar.WhichOneof("measurement") == "points"


def test_raw_pictures_and_half_sweeps_are_declared(client, server):
    raw = CameraFrame(0, bytes(2 * 1 * 3), raw_size=(2, 1))
    half = dataclasses.replace(
        observation(lidar=np.zeros((1, 3), np.float32)), camera_frames=(raw,), lidar_half_sweep=True
    )
    with client.open_session("car", SessionOptions()) as session:
        session.plan(half)
        session.plan(observation(lidar=np.zeros((1, 3), np.float32)))
    declared, plain = (plan.observation for plan in server.planning.plans)
    picture = declared.camera_images[0]
    assert (picture.encoding, picture.width, picture.height) == (3, 2, 1)
    assert declared.lidar.half_sweep and not plain.lidar.half_sweep
    assert plain.camera_images[0].encoding == 0


def test_wrong_lidar_shape_is_refused_before_sending(client):
    with (
        client.open_session("car", SessionOptions()) as session,
        pytest.raises(ValueError, match="lidar_points"),
    ):
        session.plan(observation(lidar=np.zeros((3, 2))))


def test_sequence_rises_with_every_plan_and_context_choice_is_sent(client, server):
    with client.open_session("car", SessionOptions()) as session:
        session.plan(observation())
        session.plan(observation(), at_least_version=5)
        session.plan(observation(), exactly=SnapshotRef("car", 1, 9, 4))
    plans = server.planning.plans
    assert [plan.sequence for plan in plans] == [1, 2, 3]
    assert not plans[0].HasField("context")
    assert plans[1].context.at_least_version == 5
    assert plans[2].context.exactly.version == 4


def test_refused_plan_names_field_and_limit(client):
    with (
        client.open_session("car", SessionOptions()) as session,
        pytest.raises(grpc.RpcError) as caught,
    ):
        session.plan(observation(speed=60.0))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "speed_mps" in caught.value.details()


def test_failed_tick_does_not_end_the_stream(client):
    with client.open_session("car", SessionOptions()) as session, session.stream() as stream:
        assert stream.plan(observation()).sequence == 1
        with pytest.raises(PlanError, match="queue") as caught:
            stream.plan(observation(speed=60.0))
        assert caught.value.retry_after_s == 0.25
        assert stream.plan(observation()).sequence == 3


def test_tick_of_a_stream_ends_with_its_deadline_and_the_stream_goes_on(client, server):
    with client.open_session("car", SessionOptions()) as session, session.stream() as stream:
        server.planning.answering.clear()
        with pytest.raises(PlanError, match="no answer within") as caught:
            stream.plan(observation(), deadline_s=0.1)
        assert caught.value.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
        server.planning.answering.set()
        assert stream.plan(observation()).sequence == 2


def test_broken_stream_says_so_for_every_later_tick(client):
    with client.open_session("car", SessionOptions()) as session:
        stream = session.stream()
        assert stream.plan(observation()).sequence == 1
        stream.close()
        for _ in range(2):
            with pytest.raises(grpc.RpcError) as caught:
                stream.plan(observation())
            assert caught.value.code() is grpc.StatusCode.CANCELLED


def test_options_travel_with_presence(client, server):
    client.open_session(
        "car", SessionOptions(time_mode="stepped", soft_staleness_s=0.0, on_expired="wait")
    )
    options = server.planning.opened.options
    assert options.HasField("soft_staleness_us") and options.soft_staleness_us == 0
    assert not options.HasField("hard_staleness_us")
    assert (options.time_mode, options.on_expired) == (2, 4)


def test_unknown_policy_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="fallback, answer, reject, wait"):
        SessionOptions(on_expired="maybe").to_proto()


def test_reset_returns_the_new_episode(client):
    with client.open_session("car", SessionOptions()) as session:
        assert session.reset() == 2
        assert session.episode == 2


def test_server_says_what_the_checkpoint_wants(client):
    info = client.server_info()
    assert info.camera_size == (1024, 512) and info.target_point_rule == "route_distance:8,20"
    assert info.lane == "shared_memory" and not info.weights_trained


def test_wait_ready_waits_until_the_service_says_so(client, server):
    server.planning.not_ready_answers = 2
    client.wait_ready(10.0)
    assert server.planning.not_ready_answers == -1


def test_wait_ready_gives_up_where_nobody_listens():
    with PlannerClient("127.0.0.1:1") as nobody, pytest.raises(TimeoutError):
        nobody.wait_ready(0.2)


def test_wait_ready_says_at_once_what_never_helps_to_wait_for(client, server):
    server.planning.status_failures.append(grpc.StatusCode.PERMISSION_DENIED)
    with pytest.raises(grpc.RpcError) as caught:
        client.wait_ready(60.0)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_service_planner_that_cannot_start_closes_its_connection(server, monkeypatch):
    closed = []
    close = PlannerClient.close
    monkeypatch.setattr(PlannerClient, "close", lambda self: (closed.append(self), close(self)))
    server.planning.not_ready_answers = 1000
    with pytest.raises(TimeoutError, match="still warming up"):
        ServicePlanner(server.address, None, "car", SessionOptions(), 10.0, ready_timeout_s=0.2)
    assert len(closed) == 1


def test_context_arrives_as_read_only_arrays(client):
    snapshot = next(iter(client.subscribe_contexts("car", 1, 9, "cd" * 16, 2.0)))
    assert snapshot.id == SnapshotRef("car", 1, 9, 1)
    assert len(snapshot.keys) == len(snapshot.values) == LAYERS
    assert snapshot.keys[1].shape == (5, 1, 8) and snapshot.values[1].shape == (5, 1, 4)
    assert (snapshot.keys[1] == 1.5).all() and (snapshot.values[0] == 100.0).all()
    with pytest.raises(ValueError, match="read-only"):
        snapshot.keys[0][0, 0, 0] = 1.0


def test_incomplete_snapshot_is_an_error_never_a_partial_result(client, server):
    server.reasoning.drop_chunk = True
    with pytest.raises(ContextError, match="chunk_count"):
        next(iter(client.subscribe_contexts("car", 1, 9, "cd" * 16, 2.0)))


def test_decisions_come_without_payload(client):
    snapshot = next(iter(client.subscribe_decisions("car", 1)))
    assert snapshot.keys == () and snapshot.decision[0].action == "STOP"
    assert snapshot.refresh_s == 0.125


def test_ask_yields_text_as_it_comes(client):
    assert list(client.ask("What is ahead?")) == ["a ", "clear ", "road"]


def test_ask_sends_how_tokens_are_chosen(client, server):
    list(client.ask("Why?", stop=["."], sampling=Sampling(temperature=0.5, top_k=4, seed=3)))
    asked = server.reasoning.asked
    assert list(asked.stop) == ["."]
    assert (asked.sampling.temperature, asked.sampling.top_k) == (0.5, 4)
    assert (asked.sampling.top_p, asked.sampling.seed) == (1.0, 3)
    list(client.ask("Why?"))
    assert not server.reasoning.asked.HasField("sampling")


def test_service_planner_turns_refusals_into_failed_plans(server):
    planner = ServicePlanner(server.address, None, "car", SessionOptions(run_controller=True), 10.0)
    assert planner.info.lane == "shared_memory"
    assert planner.plan(observation()).control.steer == 0.125
    with pytest.raises(PlanFailed, match="INVALID_ARGUMENT"):
        planner.plan(observation(speed=60.0))
    planner.close()
