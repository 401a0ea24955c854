"""The command line, mostly in this process, where it matters as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from PIL import Image

from tests.loopback import begin, event, loopback, refuses, says
from tinyrs.__main__ import main, parser
from tinyrs.config import ROOT
from tinyrs.models import MODELS

KEYS = {"model", "reasoning", "answer", "boxes", "box_scale", "well_formed", "seconds", "tokens"}
THOUGHT = "<reasoning> It floats. It is grey. </reasoning> <answer> [[100,200,300,400]] </answer>"


@pytest.fixture
def file(tmp_path, picture):
    path = tmp_path / "harbour.png"
    picture.save(path)
    return str(path)


def refused(capsys, *arguments: str) -> str:
    """The one sentence of a refusal: exit code 2, nothing on stdout, no traceback."""
    try:
        code = main(arguments)
    except SystemExit as stop:  # argparse
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2 and out == "" and err.count("\n") == 1 and "Traceback" not in err
    return err


# --- asking -----------------------------------------------------------------------------------------------


def test_json_is_one_object_with_the_promised_keys(file, capsys):
    with loopback(says(THOUGHT, usage=21)) as server:
        assert (
            main(["ask", file, "Where is the ship?", "--json", "--model", f"{server.address}#m?thinking=1"])
            == 0
        )
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert set(found) == KEYS and err == "" and out.count("\n") == 1
    assert found["reasoning"] == ["It floats.", "It is grey."] and found["answer"] == "[[100,200,300,400]]"
    assert found["boxes"] == [[100, 200, 300, 400]] and found["box_scale"] == 1000
    assert found["well_formed"] is True and found["tokens"] == 21 and found["seconds"] > 0


def test_boxes_of_every_dialect_are_printed_on_one_scale(file, capsys):
    with loopback(says("{<10><20><30><40>|<0>}")) as server:
        main(["ask", file, "Where is the ship?", "--json", "--model", f"{server.address}#m?dialect=geochat"])
    assert json.loads(capsys.readouterr().out)["boxes"] == [[100, 200, 300, 400]]


def test_text_is_shown_as_it_comes(file, capsys):
    seen = threading.Event()

    def waits(handler):
        begin(handler)
        event(handler, "one ")
        seen.wait(10)
        event(handler, "two", reason="stop")

    with loopback(waits) as server:
        command = [sys.executable, "-m", "tinyrs", "ask", file, "What?", "--model", f"{server.address}#m"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
            assert process.stdout.read(4) == b"one "
            seen.set()
            assert process.stdout.read() == b"two\n" and process.wait(10) == 0


def test_a_local_model_answers(file, untrained, capsys):
    arguments = ["ask", file, "Identify the location of the ship.", "--model", str(untrained)]
    assert main([*arguments, "--json", "--max-new-tokens", "5", "--seed", "3", "--temperature", "0.7"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"] == str(untrained) and found["tokens"] == 5
    assert main([*arguments, "--max-new-tokens", "5"]) == 0
    out, err = capsys.readouterr()
    assert out.endswith("\n") and err == "The answer was cut off at 5 tokens.\n"


def test_what_is_asked_is_what_was_typed(file):
    with loopback(says("4")) as server:
        model = f"{server.address}#m"
        main(
            [
                "ask",
                file,
                "Is it a lake or a river?",
                "--model",
                model,
                "--max-new-tokens",
                "9",
                "--seed",
                "2",
            ]
        )
        main(
            [
                "ask",
                file,
                "Is it a lake or a river?",
                "--model",
                model,
                "--task",
                "grounding",
                "--temperature",
                "1",
            ]
        )
        (_, first), (_, second) = server.requests
    assert (first["max_tokens"], first["seed"], first["temperature"]) == (9, 2, 0)
    assert second["temperature"] == 1
    assert [body["messages"][1]["content"][1]["text"][:4] for body in (first, second)] != ["{VG}", "{VG}"]
    assert second["messages"][1]["content"][1]["text"].startswith("{VG}")


def test_boxes_are_drawn_into_a_file(file, tmp_path, picture):
    target = tmp_path / "boxes.png"
    with loopback(says("[[100,200,700,800]]")) as server:
        assert (
            main(["ask", file, "Where?", "--model", f"{server.address}#m", "--save-boxes", str(target)]) == 0
        )
    drawn = Image.open(target)
    assert drawn.size == picture.size and drawn.tobytes() != picture.tobytes()


def test_without_boxes_the_file_is_the_picture(file, tmp_path, picture):
    target = tmp_path / "boxes.png"
    with loopback(says("none")) as server:
        main(["ask", file, "Where?", "--model", f"{server.address}#m", "--save-boxes", str(target)])
    assert Image.open(target).tobytes() == picture.tobytes()


# --- refusing ---------------------------------------------------------------------------------------------


def test_a_missing_picture(capsys, tmp_path, untrained):
    assert "no such file" in refused(
        capsys, "ask", str(tmp_path / "gone.png"), "What?", "--model", str(untrained)
    )


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n", b"<svg xmlns='x'/>"])
def test_a_bad_picture(capsys, tmp_path, untrained, content):
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    assert "bad.png: " in refused(capsys, "ask", str(path), "What?", "--model", str(untrained))


@pytest.mark.parametrize("model", ["zz", "", "owner/nothing", "http://127.0.0.1", "vhm", "tinyrs", "\0"])
def test_a_model_that_is_not_there(capsys, file, model):
    refused(capsys, "ask", file, "What?", "--model", model)


def test_weights_that_are_not_there(capsys, file, checkpoint):
    (checkpoint / "model.safetensors").unlink()
    assert "no weights" in refused(capsys, "ask", file, "What?", "--model", str(checkpoint))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--task", "guessing"], "no task 'guessing'; there are classification, vqa"),
        (["--max-new-tokens", "0"], "'0' is not a whole number above 0"),
        (["--max-new-tokens", "1e3"], "whole number"),
        (["--temperature", "nan"], "'nan' is not a number"),
        (["--temperature", "-1"], "'-1' is not a number"),
        (["--seed", "x"], "seed"),
        (["--save-boxes", "boxes.gif"], ".png"),
        (["--save-boxes", "no/such/folder/boxes.png"], "There is no folder no/such/folder"),
        (["--colour", "red"], "--colour"),
    ],
)
def test_arguments_that_mean_nothing(capsys, file, untrained, arguments, words):
    assert words in refused(capsys, "ask", file, "What?", "--model", str(untrained), *arguments)


@pytest.mark.parametrize("arguments", [[], ["ask"], ["asks"], ["ask", "one.png"]])
def test_incomplete_commands(capsys, arguments):
    refused(capsys, *arguments)


def test_an_empty_question(capsys, file):
    assert "empty" in refused(capsys, "ask", file, "  ")


def test_a_failing_model_is_not_the_askers_fault(file, capsys):
    with loopback(refuses(404, "inner detail")) as server:
        assert main(["ask", file, "What?", "--json", "--model", f"{server.address}#m"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "detail" not in err


def test_what_a_failing_model_wrote_is_kept(file, capsys):
    with loopback(says("half of", reason=None)) as server:
        assert main(["ask", file, "What?", "--model", f"{server.address}#m"]) == 1
    out, err = capsys.readouterr()
    assert out == "half of\n" and "broke off" in err


# --- as a process -----------------------------------------------------------------------------------------


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "tinyrs", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_process_says_one_sentence_and_no_secret(file, checkpoint):
    (checkpoint / "model.safetensors").write_bytes(b"canary-98765")
    done = process("ask", file, "What?", "--model", str(checkpoint), HF_TOKEN="canary-98765")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{checkpoint} could not be loaded; the log says why.\n"


def test_verbose_shows_the_log(file, checkpoint):
    (checkpoint / "model.safetensors").write_bytes(b"not weights")
    done = process("ask", file, "What?", "--model", str(checkpoint), "--verbose", HF_TOKEN="canary-98765")
    assert done.returncode == 2 and "SafetensorError" in done.stderr and "canary" not in done.stderr


def test_a_process_prints_json_and_nothing_else(file, untrained):
    done = process("ask", file, "What?", "--model", str(untrained), "--json", "--max-new-tokens", "2")
    assert (done.returncode, done.stderr) == (0, "") and set(json.loads(done.stdout)) == KEYS


@pytest.mark.parametrize("spoken", [[], ["half of"]])
def test_ctrl_c_ends_with_130_and_without_a_traceback(file, spoken):
    asked, release = threading.Event(), threading.Event()

    def hangs(handler):
        begin(handler)
        for word in spoken:
            event(handler, word)
        asked.set()
        release.wait(30)

    with loopback(hangs) as server:
        command = [sys.executable, "-m", "tinyrs", "ask", file, "What?", "--model", f"{server.address}#m"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as running:
            assert asked.wait(60)
            if spoken:
                assert running.stdout.read(7) == b"half of"
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=10)
        release.set()
    assert running.returncode == 130 and err == b"" and out in (b"", b"\n")


def test_a_reader_that_has_seen_enough_is_no_error(file):
    with loopback(says("word " * 10)) as server:
        command = [sys.executable, "-m", "tinyrs", "ask", file, "What?", "--model", f"{server.address}#m"]
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "wb") as closed:
            done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


# --- the table and the help -------------------------------------------------------------------------------


def test_models_are_listed(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(MODELS)


def test_models_are_listed_as_json(capsys):
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(MODELS)
    assert {"dialect", "thinking", "box_scale", "here", "measured"} < set(rows[0])


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as stop:
        parser().parse_args(["ask", "--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0
    for option in (
        "--model",
        "--task",
        "--json",
        "--save-boxes",
        "--max-new-tokens",
        "--seed",
        "--temperature",
    ):
        assert option in out


# --- scenes -----------------------------------------------------------------------------------------------


@pytest.fixture
def scene(tmp_path):
    """A GeoTIFF of five 16-bit bands, 200 x 120 pixels of 10 m."""
    import numpy as np

    from tests.picture_files import UTM, tiff

    bands = np.random.default_rng(0).integers(100, 4000, (5, 120, 200)).astype("uint16")
    path = tmp_path / "scene.tif"
    path.write_bytes(tiff(bands, **UTM))
    return str(path)


def test_boxes_are_saved_where_they_lie_on_the_earth(scene, tmp_path, capsys):
    files = [tmp_path / name for name in ("a.geojson", "a.json", "a.csv")]
    options = [
        word
        for pair in zip(("--save-geojson", "--save-coco", "--save-csv"), map(str, files))
        for word in pair
    ]
    with loopback(says("[[500,500,1000,1000]]")) as server:
        model = ["--model", f"{server.address}#m"]
        assert main(["ask", scene, "Where?", "--window", "100,20,100,100", *model, *options]) == 0
    err = capsys.readouterr().err
    assert "Only a part is shown: 100 x 100 pixels from column 100, row 20" in err and "(WGS84)" in err
    own = json.loads((tmp_path / "a.own-crs.geojson").read_text())
    ring = own["features"][0]["geometry"]["coordinates"][0]
    assert sorted(map(tuple, ring))[0] == (501_500, 4_998_800) and max(ring) == [502_000, 4_999_300]
    assert own["features"][0]["properties"]["question"] == "Where?"
    assert json.loads(files[1].read_text())["annotations"][0]["bbox"] == [150, 70, 50, 50]
    assert files[2].read_text().count("\n") == 2
    lon, lat = json.loads(files[0].read_text())["features"][0]["geometry"]["coordinates"][0][0]
    assert 15 < lon < 15.1 and 45 < lat < 45.2


def test_what_was_done_to_the_picture_is_said(scene, capsys):
    with loopback(says("4")) as server:
        model = ["--model", f"{server.address}#m"]
        assert main(["ask", scene, "What?", "--bands", "5,3,1", "--stretch", "1,99", *model]) == 0
        out, err = capsys.readouterr()
        assert "Bands 5, 3 and 1" in err and "1st to its 99th percentile" in err and out == "4\n"
        assert main(["ask", scene, "What?", "--bands", "5,3,1", "--json", *model]) == 0
    out, err = capsys.readouterr()
    assert set(json.loads(out)) == KEYS and err == ""


def test_tiles_are_asked_one_by_one_with_a_warning(scene, capsys):
    with loopback(says("[[0,0,500,500]]"), says("nothing")) as server:
        command = ["ask", scene, "Where is the ship?", "--task", "grounding", "--tiles", "--tile-side", "120"]
        assert main([*command, "--json", "--model", f"{server.address}#m"]) == 0
        assert len(server.requests) == 2
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert set(found) == KEYS and found["boxes"] == [[0, 0, 300, 500]]
    assert err.startswith("Tiles change the question") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--bands", "6"], "there is no band 6"),
        (["--stretch", "hard"], "auto, minmax, none"),
        (["--window", "150,0,100,100"], "200 x 120"),
        (["--tiles"], "this question is of the task"),
        (["--tile-side", "100"], "goes with --tiles"),
        (["--tiles", "--task", "grounding", "--tile-side", "9"], "at least 28"),
        (["--save-geojson", "boxes.shp"], ".geojson"),
        (["--save-coco", "boxes.csv"], ".json"),
        (["--save-csv", "no/such/folder/boxes.csv"], "There is no folder"),
    ],
)
def test_scenes_cannot_be_asked_anything(capsys, scene, untrained, arguments, words):
    assert words in refused(capsys, "ask", scene, "What?", "--model", str(untrained), *arguments)


def test_a_picture_without_a_place_has_no_geojson(capsys, file, tmp_path, untrained):
    target = tmp_path / "boxes.geojson"
    arguments = ["ask", file, "Where?", "--model", str(untrained), "--save-geojson", str(target)]
    assert "does not say where it lies on the Earth" in refused(capsys, *arguments)
    assert not target.exists()
