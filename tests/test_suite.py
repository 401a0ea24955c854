"""The paper's twelve benchmarks in one command: what is there runs, and what is not is said."""

import json

import pytest

from tests.benchmarks import CLASSES, read_lines, turns, write_benchmark
from tests.fake import FakeEngine
from tinyrs import engine as engines
from tinyrs.benchmarks import KINDS
from training import evaluate
from training.evaluate import main
from training.suite import AVERAGES, CAPABILITIES, PAPER, SYSTEMS, find, missing_sentence, published_name

ASKED = {
    "cls": (CLASSES, "port", "port"),
    "vqa": ("<image>\n{VQA} Is a road present?", "yes", "yes"),
    # DIOR-RSVG's truth is in pixels, also where its rows do not say the size of the picture
    "grounding": ("<image>\n{VG} the ship", "[8,6,40,30]", "[[100,100,500,500]]"),
    "choice": ("<image>What?\nChoices: A. road B. river Answer from the given choices.", "B", "B. river"),
}


def write(folder, *benchmarks, rows=2):
    for benchmark in benchmarks:
        asked, true, _ = ASKED[benchmark.kind]
        write_benchmark(folder, [turns(asked, true) for _ in range(rows)], benchmark.stem)


@pytest.fixture
def fake(monkeypatch):
    def put(*benchmarks, rows=2, **declared):
        said = [ASKED[benchmark.kind][2] for benchmark in benchmarks for _ in range(rows)]
        made = FakeEngine(*said, **{"name": "some/model", **declared})
        monkeypatch.setattr(evaluate, "resolve", lambda name: made.spec)
        monkeypatch.setattr(engines, "open_engine", lambda spec: made)
        return made

    return put


def command(tmp_path, *more):
    words = ["--model", "x", "--suite", "paper", "--data-root", str(tmp_path / "data")]
    return [*words, "--out", str(tmp_path / "out"), *more]


def scores(tmp_path):
    found = {path.parent: json.loads(path.read_text()) for path in (tmp_path / "out").glob("*/*/scores.json")}
    assert all(folder.name == told["benchmark"] for folder, told in found.items())
    return {told["benchmark"]: told for told in found.values()}


def test_all_twelve_run_in_one_command(tmp_path, fake, capsys):
    write(tmp_path / "data", *PAPER)
    made = fake(*PAPER)
    assert main(command(tmp_path)) == 0
    assert "get them" not in capsys.readouterr().err
    told = scores(tmp_path)
    assert list(sorted(told)) == sorted(benchmark.stem for benchmark in PAPER) and len(told) == 12
    assert {name: part["strict"] for name, part in told.items()} == dict.fromkeys(told, 1.0)
    assert {part["kind"] for part in told.values()} == set(KINDS)
    assert len(made.asked) == 24 and main(command(tmp_path)) == 0 and len(made.asked) == 24


def test_what_is_missing_is_one_sentence_and_the_rest_runs(tmp_path, fake, capsys):
    here = [benchmark for benchmark in PAPER if benchmark.stem in ("cls_AID", "LHRS-Bench")]
    write(tmp_path / "data" / "deep", *here, rows=4)
    fake(*here, rows=4)
    assert main(command(tmp_path, "--limit", "3")) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "get them from" in line]
    assert len(said) == 1 and "cls_METER_ML.json" in said[0] and "cls_AID" not in said[0]
    assert "aybora/scorers_datasets_eval" in said[0]
    assert {name: part["n"] for name, part in scores(tmp_path).items()} == {"cls_AID": 3, "LHRS-Bench": 3}


def test_a_broken_file_does_not_keep_the_others_from_running(tmp_path, fake, capsys):
    here = [PAPER[0], PAPER[1]]
    write(tmp_path / "data", *here)
    (tmp_path / "data" / f"{here[0].stem}.json").write_text("[")
    fake(here[1])
    assert main(command(tmp_path)) == 2
    assert "cls_AID.json is no JSON" in capsys.readouterr().err
    assert list(scores(tmp_path)) == [here[1].stem]


@pytest.mark.parametrize("folder", ["data", "nowhere"])
def test_with_nothing_to_run_it_ends_with_a_sentence(tmp_path, fake, capsys, folder):
    (tmp_path / "data").mkdir()
    fake()
    words = command(tmp_path)
    words[words.index("--data-root") + 1] = str(tmp_path / folder)
    assert main(words) == 2
    said = capsys.readouterr().err.strip()
    assert len(said.splitlines()) == 1 and not (tmp_path / "out").exists()


def test_two_checkpoints_of_one_name_get_folders_of_their_own(tmp_path, fake):
    write(tmp_path / "data", PAPER[0])
    for content in (b"one", b"two"):
        folder = tmp_path / "model"
        folder.mkdir(exist_ok=True)
        (folder / "model.safetensors").write_bytes(content)
        fake(PAPER[0], name=str(folder), source=str(folder))
        assert main(command(tmp_path)) == 0
    runs = sorted((tmp_path / "out").iterdir())
    assert len(runs) == 2 and all(len(read_lines(run / "cls_AID" / "answers.jsonl")) == 2 for run in runs)


@pytest.mark.parametrize(
    "words",
    [
        ["--suite", "paper"],
        ["--data", "x.json"],
        ["--suite", "paper", "--data-root", "x", "--kind", "cls"],
        ["--suite", "paper", "--data", "x.json", "--kind", "cls"],
        [],
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path, words):
    with pytest.raises(SystemExit) as stop:
        main(["--model", "x", "--out", str(tmp_path / "out"), *words])
    assert stop.value.code == 2


def test_the_least_deep_file_is_taken(tmp_path):
    for folder in ("b/a", "c"):
        write(tmp_path / folder, PAPER[0])
    here, missing = find(tmp_path)
    assert here == {PAPER[0]: tmp_path / "c" / "cls_AID.json"} and len(missing) == 11
    assert missing_sentence(tmp_path, missing[:1]).count(".json") == 1


def test_the_averages_that_the_paper_prints_are_those_of_its_rows():
    for capability, printed in AVERAGES.items():
        rows = [benchmark.paper for benchmark in PAPER if benchmark.capability == capability]
        for system, average in zip(SYSTEMS, printed, strict=True):
            exact = sum(row[system] for row in rows) / len(rows)
            assert average == pytest.approx(exact, abs=0.1), (capability, system)
    assert {benchmark.capability for benchmark in PAPER} == set(CAPABILITIES)


@pytest.mark.parametrize(
    ("stem", "benchmark", "model"),
    [
        ("cls_AID_Qwen2-VL-TinyRS-R1_eval", "cls_AID", "Qwen2-VL-TinyRS-R1"),
        ("RSVQA_HR-comp_RSVQA_vhm_eval", "RSVQA_HR-comp_RSVQA", "vhm"),
        ("VG_DOIR_RSVG_test_geochat_eval", "VG_DOIR_RSVG_test", "geochat"),
        ("LHRS-Bench__eval", "LHRS-Bench", ""),
        ("cls_AID", "cls_AID", ""),
        ("cls_AID_mine", "cls_AID_mine", ""),  # any other name is the benchmark's own
        ("answers_eval", "answers_eval", ""),
    ],
)
def test_answers_of_the_released_evaluation_say_in_their_name_whose_they_are(stem, benchmark, model):
    assert published_name(stem) == (benchmark, model)


def test_they_stand_beside_the_papers_numbers(tmp_path, capsys):
    path = tmp_path / "cls_WHU_RS19_tinyrs-r1_eval.jsonl"
    line = {"filename": "/a/b.jpg", "size": [600, 600], "query": " Classify the image.", "answer": "Airport", "pred": "airport"}
    path.write_text(json.dumps(line) + "\n" + json.dumps(line | {"answer": "Beach"}) + "\n")
    assert main(["score", str(path), "--kind", "cls", "--out", str(tmp_path / "out")]) == 0
    assert main(["report", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "report.md").read_text()
    assert "| WHU-RS19 | transfer | 2 of 1000" in page and "95.6" in page and "paper, TinyRS-R1" in page
