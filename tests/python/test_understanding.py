"""Scene questions: what is read, what is asked, what counts as right."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from automot_client.evaluate import main
from automot_client.evaluation.question_records import file_questions, prompt_catalogue
from automot_client.evaluation.understanding import normalised, summarise
from fake_planning_server import FakeServer
from recorded_drive import write_drive

QUESTIONS = [
    {"frame": 0, "family": "lane_free", "question": "What is ahead?", "answer": "a clear road"},
    {"frame": 20, "family": "lane_free", "question": "What is ahead?", "answer": "a wall"},
    {"frame": 20, "family": "vehicles_ahead", "question": "How many?", "answer": "none"},
]


@pytest.fixture
def server():
    server = FakeServer()
    yield server
    server.stop()


def ask(server: FakeServer, out, *arguments: str) -> dict:
    command = ["understanding", "--service", server.address, "--out", str(out), *arguments]
    assert main(command) == 0
    return json.loads((out / "results.json").read_text())


def test_recorded_questions_are_asked_with_their_history(tmp_path, server):
    write_drive(tmp_path, 50_000, QUESTIONS)
    found = ask(server, tmp_path / "out", "--data", str(tmp_path))
    frames = server.reasoning.asked.observation.camera_images
    assert [frame.capture_time_us for frame in frames] == [
        1_200_000,
        1_500_000,
        1_800_000,
        2_000_000,
    ]
    assert found["families"]["lane_free"]["exact"] == 0.5
    assert found["families"]["vehicles_ahead"] == {
        "questions": 1,
        "exact": 0.0,
        "exact_interval": [0.0, pytest.approx(0.7935, abs=1e-4)],
    }
    assert found["families"]["all together"]["questions"] == 3


def test_prompts_are_asked_by_name_and_scored_where_a_family_tells(tmp_path, server):
    write_drive(tmp_path, 50_000, QUESTIONS)
    options = ("--prompt", "hazard", "--prompt", "counting")
    found = ask(server, tmp_path / "out", "--data", str(tmp_path), *options)
    assert found["asked"] == 4 and found["families"]["counting"]["questions"] == 1
    assert server.reasoning.asked.question == prompt_catalogue()["counting"]["prompt"]
    assert set(prompt_catalogue()) == {
        "scene",
        "hazard",
        "counting",
        "counterfactual",
        "meta-action",
    }


def test_files_of_three_shapes_are_read(tmp_path, server):
    Image.new("RGB", (64, 32)).save(tmp_path / "a.jpg")
    human = {"from": "human", "value": "<image>\nWhat is ahead?"}
    rows = [
        {
            "question_id": "l",
            "question": "Ahead?",
            "answer": "A clear road.",
            "images": ["a.jpg"] * 2,
        },
        {"image": "a.jpg", "question": "How many dogs?", "answer": 2, "issimple": True},
        {"image": "a.jpg", "conversations": [human, {"from": "gpt", "value": "a clear road"}]},
    ]
    file = tmp_path / "q.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    read = list(file_questions(file, (16, 8)))
    assert [one.family for one in read] == ["all", "counting_simple", "conversation"]
    assert [one.question for one in read] == ["Ahead?", "How many dogs?", "What is ahead?"]
    assert read[1].answer == "2" and len(read[0].frames()) == 2
    found = ask(server, tmp_path / "out", "--dataset", str(file))
    assert found["families"]["all together"]["exact"] == pytest.approx(2 / 3, abs=1e-3)


def test_line_without_a_picture_is_named(tmp_path, capsys):
    file = tmp_path / "q.jsonl"
    file.write_text('{"question": "Ahead?", "answer": "no"}\n')
    command = ["understanding", "--service", "x:1", "--dataset", str(file), "--out", str(tmp_path)]
    assert main(command) == 2
    assert "q.jsonl:1" in capsys.readouterr().err


def test_case_spaces_and_full_stop_do_not_count():
    assert normalised(" Three  or more. ") == "three or more"
    assert summarise([{"family": "f", "exact": None}])["families"] == {}
