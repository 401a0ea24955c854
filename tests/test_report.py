"""Results beside one another and beside the paper: every number where it belongs, and how sure it is."""

import json
import re

import pytest
from PIL import Image

from tests.payloads import PAYLOADS
from tinyrs.metrics import wilson
from tinyrs.models import ModelSpec
from tinyrs.strictjson import BadData
from training.asking import IDENTITY, identity, key
from training.evaluate import main
from training.report import build, collect, counterpart, difference
from training.suite import PAPER, SOURCE
from training.tables import cell, markdown


def put(folder, benchmark="cls_AID", model="tinyrs-r1", right=90, n=100, cost=None, run=None, **more):
    """A folder with a scores.json that the command might have written."""
    folder.mkdir(parents=True)
    share = right / n
    scores = {"benchmark": benchmark, "model": model, "kind": "cls", "thinking": True, "rows": n, "n": n}
    scores |= {"strict": share, "strict_interval": wilson(right, n), "reference": share}
    scores |= {"reference_interval": wilson(right, n), "reference_n": n, "parsed": 1.0, "truncated": 0.0}
    scores |= {"majority": 0.05, "chance": 1 / 30} | more
    (folder / "scores.json").write_text(json.dumps(scores))
    if cost:
        line = {"answers": 4, "tokens": 40, "seconds": cost, "peak_mib": 500}
        (folder / "costs.jsonl").write_text((json.dumps(line) + "\n") * 2 + '{"answers": 4, "tok')
    if run:
        (folder / "run.json").write_text(json.dumps({"model": run, "images": "/somewhere"}))
    return folder


@pytest.mark.parametrize(
    "right, points, inside",
    [(902, 0.0, True), (890, -1.2, True), (915, 1.3, True), (850, -5.2, False), (960, 5.8, False)],
)
def test_a_difference_is_inside_or_outside_of_our_interval(right, points, inside):
    told = difference(right / 1000, wilson(right, 1000), 90.2)
    assert told == {"points": pytest.approx(points), "inside": inside}


def test_nothing_is_compared_where_one_side_has_no_number():
    assert difference(None, (0, 1), 90.2) is None and difference(0.9, (0.8, 0.95), None) is None


def test_the_paper_number_stands_beside_ours(tmp_path):
    put(tmp_path / "a")
    put(tmp_path / "b", "VG_DOIR_RSVG_test", right=30)
    put(tmp_path / "c", "my_own", right=30)
    aid, boxes, own = build(collect([tmp_path]))["results"]
    assert (aid["title"], aid["paper_system"], aid["paper"]) == ("AID", "tinyrs-r1", 90.2)
    assert aid["strict_difference"] == {"points": -0.2, "inside": True}
    assert (boxes["paper"], boxes["strict_difference"]["inside"]) == (74.9, False)
    assert (own["title"], own["paper"], own["strict_difference"]) == ("my_own", None, None)


@pytest.mark.parametrize(
    "model, thinking, system",
    [
        ("geochat", False, "geochat"),
        ("FitzPC/vhm_7B", False, "vhm"),
        ("aybora/Qwen2-VL-TinyRS@1a2b", False, "tinyrs"),
        ("pocket-r1", True, "tinyrs-r1"),  # not a system of the paper: its own one that works alike
        ("runs/mine", False, "tinyrs"),
        ("runs/tinyrs-r1-of-mine", False, "tinyrs"),  # nothing is guessed by a name
        ("other", None, "tinyrs"),
    ],
)
def test_what_a_model_is_compared_with(tmp_path, model, thinking, system):
    put(tmp_path / "a", model=model, thinking=thinking)
    assert counterpart(collect([tmp_path])[0]) == system


def test_averages_are_the_papers_when_all_its_benchmarks_are_there(tmp_path):
    classes = [benchmark for benchmark in PAPER if benchmark.capability == "classification"]
    for number, benchmark in enumerate(classes[:4]):
        put(tmp_path / benchmark.stem, benchmark.stem, right=80 + number, cost=2.0)
    (part,) = build(collect([tmp_path]))["averages"]
    assert (part["benchmarks"], part["of"], part["paper"]) == (4, 5, None)
    put(tmp_path / classes[4].stem, classes[4].stem, right=900, n=1000)
    (whole,) = build(collect([tmp_path]))["averages"]
    assert whole["paper"] == 85.6 and whole["difference"]["points"] == pytest.approx(83.2 - 85.6)
    assert whole["macro"] == pytest.approx((0.80 + 0.81 + 0.82 + 0.83 + 0.90) / 5)
    assert whole["micro"] == pytest.approx((326 + 900) / 1400)
    assert whole["macro_interval"][0] < whole["macro"] < whole["macro_interval"][1]
    assert whole["seconds_per_answer"] == pytest.approx(0.5) and whole["peak_mib"] == 500


def test_two_checkpoints_of_one_name_are_two_models(tmp_path):
    put(tmp_path / "a", run="digest 1")
    put(tmp_path / "b", run="digest 2")
    told = build(collect([tmp_path, tmp_path / "a"]))  # named twice is read once
    assert len(told["results"]) == 2 and len({row["key"] for row in told["results"]}) == 2
    put(tmp_path / "c", run="digest 2")
    with pytest.raises(BadData, match="same model and benchmark"):
        collect([tmp_path])


def test_answers_held_to_their_labels_are_a_model_of_their_own_and_the_page_says_so(tmp_path):
    put(tmp_path / "free", run="digest 1")
    put(tmp_path / "held", run="digest 1")
    run = tmp_path / "held" / "run.json"
    run.write_text(json.dumps(json.loads(run.read_text()) | {"choose": True}))
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    told = json.loads((tmp_path / "out" / "report.json").read_text())["results"]
    assert {row["choose"] for row in told} == {True, False} and len({row["key"] for row in told}) == 2
    assert (tmp_path / "out" / "report.md").read_text().count("held to the labels") == 1


@pytest.mark.parametrize("choose", [False, True])
def test_a_report_calls_a_model_as_the_folder_of_its_suite_does(choose, tmp_path):
    spec = ModelSpec("x", "http://127.0.0.1:9/v1#x", kind="server")
    told = identity([spec], None, choose)
    assert tuple(told) == IDENTITY
    put(tmp_path / "a")
    (tmp_path / "a" / "run.json").write_text(json.dumps(told | {"kind": "cls"}))
    assert collect([tmp_path])[0].key == key(told)


def test_the_command_writes_a_page_a_file_and_a_picture(tmp_path, capsys):
    put(tmp_path / "in" / "a", cost=1.5, areas={"S": {"n": 9, "strict": 0.5, "strict_interval": [0.2, 0.8]}})
    put(tmp_path / "in" / "b", "LHRS-Bench", "pocket", right=57, thinking=False, cost=0.5)
    out = tmp_path / "out"
    assert main(["report", str(tmp_path / "in"), "--out", str(out)]) == 0
    assert "2 results of 2 models" in capsys.readouterr().err
    page = (out / "report.md").read_text()
    assert SOURCE.replace('"', "&quot;") in page
    line = next(line for line in page.splitlines() if line.startswith("| AID | transfer"))
    assert "| 100 of 3000\\* | 3.3 | 5.0 | 90.0 (82.6-94.5) |" in line
    assert "| 90.2 | -0.2 inside | -0.2 inside | 100.0 | 0.0 | 0.375 |" in line
    assert (
        "| AID | 90.2 | 89.6 | 92.0 | 82.0 | 84.6 | 83.1 | 73.5 | 3.3 | 5.0 | - | 90.0 (82.6-94.5) |" in page
    )
    assert "| S | 9 | 50.0 (20.0-80.0) |" in page and "![Accuracy" in page
    assert json.loads((out / "report.json").read_text())["source"] == SOURCE
    with Image.open(out / "report.png") as image:
        assert image.width > 800 and len(image.convert("L").getcolors()) > 20
    # a table's rows have as many cells as its head
    for grid in re.findall(r"(?:^\|.*\n)+", page, re.M):
        assert len({line.count("|") for line in grid.splitlines()}) == 1


def test_without_costs_there_is_no_picture(tmp_path):
    put(tmp_path / "a")
    assert main(["report", str(tmp_path)]) == 0
    assert not (tmp_path / "report.png").exists() and "report.png" not in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_names_that_others_chose_stay_text(tmp_path, payload):
    put(tmp_path / "a", model=payload, benchmark=payload, confusion={payload: {"x | y": 3}})
    page = markdown(build(collect([tmp_path])), None)
    assert "<" not in page.replace("&lt;", "") and "](" not in page
    for grid in re.findall(r"(?:^\|.*\n)+", page, re.M):
        assert len({line.count("|") for line in grid.splitlines()}) == 1


def test_a_cell_is_one_line_without_markup():
    assert cell("a|b\n`c` *d* [e](f) <g>") == "a&#124;b &#96;c&#96; &#42;d&#42; &#91;e&#93;(f) &lt;g&gt;"


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "No scores.json lies below"),
        ("{", "is no JSON"),
        ("[]", "is no scores.json of this program"),
        ('{"benchmark": "x"}', "is no scores.json of this program"),
    ],
)
def test_what_is_no_result_is_one_sentence(tmp_path, capsys, content, words):
    if content:
        (tmp_path / "scores.json").write_text(content)
    assert main(["report", str(tmp_path)]) == 2
    assert words in capsys.readouterr().err
    assert main(["report", str(tmp_path / "gone")]) == 2
