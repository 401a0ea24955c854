"""What a model got wrong waits in the queue with the true answer beside it; what it got right does not."""

import json

import pytest

from annotate.__main__ import main as annotate
from annotate.errors import Errors, import_errors
from annotate.queue import next_to_annotate
from annotate.store import Refused, Store
from tests.benchmarks import CLASSES, turns, write_benchmark
from tests.fake import FakeEngine
from tests.store_parts import check_whole
from tinyrs import engine as engines
from tinyrs.example import Task
from training import evaluate

WHERE = "<image>\n{VG} Identify the location of the ship."


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "data" / "tinyrs.db") as opened:
        yield opened
        check_whole(opened)


@pytest.fixture
def evaluated(tmp_path, monkeypatch):
    """evaluated(kind, rows, outputs) -> the folder that the evaluation of a fake model leaves."""

    def run(kind, rows, outputs, name="cls_X", **declared):
        made = FakeEngine(*outputs, **{"name": "pocket-r1", "max_new_tokens": 6, **declared})
        monkeypatch.setattr(evaluate, "resolve", lambda name: made.spec)
        monkeypatch.setattr(engines, "open_engine", lambda spec: made)
        data = write_benchmark(tmp_path / "set", rows, name)
        command = ["--model", "x", "--data", str(data), "--kind", kind, "--out", str(tmp_path / "out")]
        assert evaluate.main(command) == 0
        return tmp_path / "out"

    return run


def test_wrong_answers_become_captions_with_the_true_one_beside_them(store, evaluated):
    rows = [turns(CLASSES, label) for label in ("port", "beach", "port", "port")]
    folder = evaluated("cls", rows, ["port", "bare land", "", "air\x1bport"])
    assert import_errors(store, folder) == Errors(answers=4, wrong=3, added=1, left_out=2)
    caption = next_to_annotate(store, "Ada")
    assert caption["question"].labels == ("port", "beach", "bare land")
    assert caption["question"].task is Task.CLASSIFICATION
    assert (caption["revision"]["answer"], caption["given"]) == ("bare land", "beach")
    assert caption["revision"]["author"] == "model:pocket-r1"
    assert caption["source"] == "errors in cls_X"
    assert "Wrong in cls_X: the true answer is beach." in caption["why"]
    assert store.stats()["pictures"] == 1  # only that of the caption
    assert import_errors(store, folder) == Errors(4, 3, 0, 2)


def test_a_box_of_any_dialect_is_written_in_ours(store, evaluated):
    rows = [turns(WHERE, "[8,6,40,30]", size=[60, 80]) for _ in range(3)]
    outputs = ["{<10><10><50><50>|<0>}", "{<50><50><90><90>|<0>}", "left"]
    folder = evaluated("grounding", rows, outputs, "VG_X", dialect="geochat", box_scale=100)
    assert import_errors(store, folder).wrong == 2
    told = [store.caption(number) for number in (1, 2)]
    assert [each["revision"]["answer"] for each in told] == ["[[500,500,900,900]]", "left"]
    assert [each["given"] for each in told] == ["[[100,100,500,500]]"] * 2


def test_a_reasoning_without_an_answer_gets_the_true_one(store, evaluated):
    rows = [turns(CLASSES, "port"), turns(CLASSES, "port")]
    said = [
        "<reasoning> I see ships and ships and",
        "<reasoning> Sand. </reasoning> <answer> beach </answer>",
    ]
    folder = evaluated("cls", rows, said, thinking=True)
    assert import_errors(store, folder) == Errors(2, 2, 2, 0)
    cut, wrong = store.caption(1), store.caption(2)
    assert cut["revision"]["reasoning"].startswith("I see ships") and cut["revision"]["answer"] == "port"
    assert "No answer in cls_X" in cut["why"]
    assert (wrong["revision"]["reasoning"], wrong["revision"]["answer"]) == ("Sand.", "beach")


def test_pictures_may_have_moved(store, evaluated, tmp_path):
    folder = evaluated("cls", [turns(CLASSES, "port")], ["beach"])
    (tmp_path / "set").rename(tmp_path / "moved")
    with pytest.raises(Refused, match=r"answers\.jsonl, row 1 .*no file"):
        import_errors(store, folder)
    assert import_errors(store, folder, images=tmp_path / "moved" / "cls_X").added == 1


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("answers.jsonl", None, "There is no file"),
        ("run.json", None, "There is no file"),
        ("scores.json", "{}", "was not written by"),
        ("scores.json", "[", "is no JSON"),
        ("answers.jsonl", '{"filename": "a"}\n', "it has no query"),
        ("answers.jsonl", '{"filename":"../x","query":"q","answer":"a","pred":"p"}\n', "row 1"),
        ("answers.jsonl", '{"filename":"0.png","query":"q","answer":"a","pred":"p","size":5}\n', "its size"),
    ],
)
def test_a_folder_that_is_no_evaluation_is_one_sentence(evaluated, tmp_path, capsys, name, content, words):
    folder = evaluated("cls", [turns(CLASSES, "port")], ["beach"])
    capsys.readouterr()
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    assert annotate(["import-errors", str(folder), "--db", str(tmp_path / "a.db")]) == 2
    said = capsys.readouterr().err
    assert words in said and len(said.strip().splitlines()) == 1
    with Store(tmp_path / "a.db") as opened:
        assert opened.stats()["pictures"] == 0


def test_the_command_says_what_it_did(evaluated, tmp_path, capsys):
    folder = evaluated("cls", [turns(CLASSES, "port") for _ in range(3)], ["beach", "", "port"])
    assert annotate(["import-errors", str(folder), "--db", str(tmp_path / "a.db")]) == 0
    told = capsys.readouterr().out
    assert "2 of 3 answers are wrong, 1 new captions." in told and "1 of them hold nothing" in told
    assert json.loads((folder / "scores.json").read_text())["strict"] == pytest.approx(1 / 3)


def test_a_suite_is_brought_in_with_all_its_benchmarks(evaluated, tmp_path, capsys):
    for name, outputs in (("cls_X", ["beach", "port"]), ("cls_Y", ["bare land", "beach"])):
        folder = evaluated("cls", [turns(CLASSES, "port") for _ in outputs], outputs, name)
        folder.rename(tmp_path / name)
        (tmp_path / "suite").mkdir(exist_ok=True)
        (tmp_path / name).rename(tmp_path / "suite" / name)
    command = ["import-errors", str(tmp_path / "suite"), "--db", str(tmp_path / "a.db")]
    capsys.readouterr()
    assert annotate(command) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[1] for line in told] == [
        "1 of 2 answers are wrong, 1 new captions.",
        "2 of 2 answers are wrong, 2 new captions.",
    ]
    with Store(tmp_path / "a.db") as opened:
        assert {opened.caption(number)["source"] for number in (1, 2, 3)} == {"errors in cls_X", "errors in cls_Y"}
