"""Benchmarks as tasks of lmms-eval and VLMEvalKit: what those programs read is what the benchmark says."""

import base64
import csv
import importlib.util
import json
import sys

import pytest
import yaml
from datasets import load_from_disk

from tests.store_parts import drawn
from tinyrs.benchmarks import read_evaluation
from training.evaluate import main

CHOICE = "What is the roof?\nChoices: A. red B. blue C. white Answer from the given choices with A., B., C., D., etc."
ROWS = {
    "cls": [
        ("{CLS} Which class: port, farm, sea ice?", "port"),
        ("{CLS} Which class: port, farm, sea ice?", "sea ice"),
    ],
    "vqa": [("Is a road present?", "yes"), ("Is a river present?", "no")],
    "grounding": [("{VG} Identify the location of the roof.", "[[80,100,470,520]]")],
    "choice": [(CHOICE, "C"), (CHOICE, "A")],
}


def benchmark(folder, kind, rows=None):
    (folder / "bench x").mkdir(parents=True)
    made = []
    for i, (asked, told) in enumerate(rows or ROWS[kind]):
        (folder / "bench x" / f"{i}.png").write_bytes(drawn(i))
        turns = [{"from": "human", "value": f"<image>\n{asked}"}, {"from": "gpt", "value": told}]
        made.append({"image": f"{i}.png", "conversations": turns, "type": ["2"]})
    (folder / "bench x.json").write_text(json.dumps(made))
    return folder / "bench x.json"


class Task(yaml.SafeLoader):
    """Reads `!function utils.name` as lmms-eval does: the name of a function in a file beside."""


Task.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))


def opened(out, name="tinyrs_bench_x"):
    """(what the YAML says, its functions by what they are for, the questions)."""
    told = yaml.load((out / f"{name}.yaml").read_text(), Task)
    found = importlib.util.spec_from_file_location("utils_of_the_task", out / "utils.py")
    utils = importlib.util.module_from_spec(found)
    found.loader.exec_module(utils)
    calls = {
        key: getattr(utils, told[key].removeprefix("utils."))
        for key in told
        if key.startswith(("doc_", "process_"))
    }
    assert told["dataset_kwargs"] == {"load_from_disk": True}
    return told, calls, load_from_disk(told["dataset_path"])[told["test_split"]]


@pytest.mark.parametrize("kind", ROWS)
def test_an_lmms_eval_task_asks_and_scores_as_we_do(tmp_path, kind):
    file = benchmark(tmp_path, kind)
    assert (
        main(["export-task", str(file), "--kind", kind, "--for", "lmms-eval", "--out", str(tmp_path / "t")])
        == 0
    )
    told, calls, docs = opened(tmp_path / "t")
    assert set(calls) == {"doc_to_visual", "doc_to_text", "doc_to_target", "process_results"}
    metrics = {each["metric"] for each in told["metric_list"]}
    scale = 1000 if kind == "grounding" else None
    for doc, example in zip(docs, read_evaluation(file, kind, None, scale), strict=True):
        (picture,) = calls["doc_to_visual"](doc)
        assert picture.mode == "RGB" and picture.size == (64, 48)
        text = calls["doc_to_text"](doc, {})
        assert example.question.text in text and "<image>" not in text
        truth = calls["doc_to_target"](doc)
        assert truth == example.answer
        right = calls["process_results"](doc, [f"<reasoning> So. </reasoning> <answer> {truth} </answer>"])
        assert set(right) == metrics and right["strict"] == 1.0
        for wrong in ("", "none of them", "[[900,900,950,950]]"):
            assert calls["process_results"](doc, [wrong])["strict"] == 0.0


@pytest.mark.parametrize("kind", ["cls", "vqa", "choice"])
def test_a_table_for_vlmevalkit_comes_back_as_it_went(tmp_path, kind):
    file = benchmark(tmp_path, kind)
    assert (
        main(["export-task", str(file), "--kind", kind, "--for", "vlmevalkit", "--out", str(tmp_path / "L")])
        == 0
    )
    csv.field_size_limit(sys.maxsize)
    with open(tmp_path / "L" / "tinyrs_bench_x.tsv", encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    assert [row["index"] for row in rows] == ["0", "1"]
    for i, (row, (asked, told)) in enumerate(zip(rows, ROWS[kind], strict=True)):
        assert base64.b64decode(row["image"]) == drawn(i)
        assert row["question"] and "<image>" not in row["question"] and "Choices:" not in row["question"]
        assert row["answer"] in row and row["category"] == "2"
        if kind == "choice":
            assert (row["A"], row["B"], row["C"], row["answer"]) == ("red", "blue", "white", told)
        else:
            assert row[row["answer"]] == told


@pytest.mark.parametrize(
    ("kind", "rows", "words"),
    [
        ("grounding", None, "export grounding for lmms-eval"),
        ("vqa", [("How many roofs can you see in the image?", "3")], "lettered choices"),
        (
            "cls",
            [("Which class: " + ", ".join(f"class {i}" for i in range(30)) + "?", "class 3")],
            "lettered choices",
        ),
    ],
)
def test_what_vlmevalkit_cannot_score_is_one_sentence_and_no_file(tmp_path, capsys, kind, rows, words):
    file = benchmark(tmp_path, kind, rows)
    assert (
        main(["export-task", str(file), "--kind", kind, "--for", "vlmevalkit", "--out", str(tmp_path / "L")])
        == 2
    )
    said = capsys.readouterr().err
    assert words in said and said.strip().count("\n") == 0
    assert not (tmp_path / "L").exists()


def test_a_name_is_a_name(tmp_path, capsys):
    file = benchmark(tmp_path, "vqa")
    command = ["export-task", str(file), "--kind", "vqa", "--for", "lmms-eval", "--out", str(tmp_path / "t")]
    assert main([*command, "--name", "../x"]) == 2
    assert main([*command, "--dialect", "nonsense"]) == 2
    assert "no dialect" in capsys.readouterr().err
