"""Evaluation asks every row once, keeps what it heard through a kill, and counts every sample."""

import json
import subprocess
import sys

import pytest

from tests.benchmarks import CLASSES, turns, write_benchmark
from tests.fake import FakeEngine
from tinyrs import engine as engines
from tinyrs.benchmarks import read_evaluation
from tinyrs.config import ROOT
from tinyrs.strictjson import BadData
from training import evaluate
from training.asking import ask, spread
from training.evaluate import main


@pytest.fixture
def benchmark(tmp_path):
    """benchmark(rows, name) -> a file of the evaluation layout with a picture of its own for each row."""

    def write(rows, name="cls_X"):
        return write_benchmark(tmp_path, rows, name)

    return write


@pytest.fixture
def fake(monkeypatch):
    """fake(*outputs) -> an engine that the command opens whatever it is asked for."""

    def put(*outputs, **declared):
        made = FakeEngine(*outputs, name="pocket-r1", **declared)
        monkeypatch.setattr(evaluate, "resolve", lambda name: made.spec)
        monkeypatch.setattr(engines, "open_engine", lambda spec: made)
        return made

    return put


def folder(path):
    path.mkdir()
    return path


def read(out):
    return json.loads((out / "scores.json").read_text())


def lines(out):
    return [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]


# ---- asking


def test_answers_held_to_the_labels_are_other_answers_and_not_for_models_that_think(benchmark, fake, tmp_path, capsys):
    data = benchmark([turns(CLASSES, "port")])
    asked = ["--model", "m", "--data", str(data), "--kind", "cls", "--out", str(tmp_path / "out")]
    engine = fake("port")
    assert main([*asked, "--choose"]) == 0 and engine.asked[0][2].choose
    assert main(asked) == 2 and "answers of another model" in capsys.readouterr().err
    fake("port", thinking=True)
    assert main([*asked[:-1], str(tmp_path / "other"), "--choose"]) == 2
    assert capsys.readouterr().err == "pocket-r1 reasons before it answers, so --choose is not for it.\n"


def test_the_command_writes_answers_and_scores(benchmark, fake, tmp_path, capsys):
    data = benchmark([turns(CLASSES, "port"), turns(CLASSES, "beach"), turns(CLASSES, "bare land", type="7")])
    made = fake("port", "port", "Bare Land.")
    out = tmp_path / "out"
    assert (
        main(["--model", "x", "--data", str(data), "--kind", "cls", "--out", str(out), "--batch", "2"]) == 0
    )
    scores = read(out)
    assert (scores["benchmark"], scores["model"], scores["kind"], scores["n"]) == (
        "cls_X",
        "pocket-r1",
        "cls",
        3,
    )
    assert scores["strict"] == pytest.approx(2 / 3) and scores["reference"] is not None
    assert scores["strict_interval"][0] < 2 / 3 < scores["strict_interval"][1]
    assert (scores["parsed"], scores["truncated"]) == (1, 0)
    assert scores["majority"] == pytest.approx(1 / 3) and scores["chance"] == pytest.approx(1 / 3)
    assert scores["macro"] == pytest.approx(2 / 3)
    assert [line["pred"] for line in lines(out)] == ["port", "port", "Bare Land."]
    first = lines(out)[0]
    assert (first["filename"], first["size"], first["answer"]) == ("0.png", [60, 80], "port")
    # The engine puts its own dialect's tag before the question.
    assert (
        made.asked[0][1].text == "Classify the image within one of the given classes: port, beach, bare land."
    )
    assert "strict 0.667" in capsys.readouterr().out


def test_a_stopped_run_goes_on_and_ends_like_one_that_did_not(benchmark, fake, tmp_path):
    told = ["port", "beach", "", "bare land", "port"]
    data = benchmark([turns(CLASSES, "port") for _ in told])

    def command(out):
        return ["--model", "x", "--data", str(data), "--kind", "cls", "--out", str(out), "--batch", "2"]

    fake(*told)
    assert main(command(tmp_path / "whole")) == 0
    broken = fake(*told[:2], [engines.EngineFailure("It broke.")])
    assert main(command(tmp_path / "parts")) == 2
    assert len(lines(tmp_path / "parts")) == 2 and not (tmp_path / "parts" / "scores.json").exists()
    with open(tmp_path / "parts" / "answers.jsonl", "a") as file:
        file.write('{"row": 2, "pred": "cut o')  # a kill in the middle of a line
    rest = fake(*told[2:])
    assert main(command(tmp_path / "parts")) == 0
    assert len(broken.asked) == 3 and len(rest.asked) == 3
    for name in ("answers.jsonl", "scores.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert main(command(tmp_path / "parts")) == 0  # nothing is left to ask
    assert len(rest.asked) == 3


def test_another_model_or_file_does_not_mix_into_a_folder(benchmark, fake, tmp_path, capsys):
    data, out = benchmark([turns(CLASSES, "port")]), tmp_path / "out"
    command = ["--model", "x", "--data", str(data), "--kind", "cls", "--out", str(out)]
    fake("port")
    assert main(command) == 0
    fake("port", source="elsewhere")
    assert main(command) == 2
    assert "holds answers of another model" in capsys.readouterr().err
    fake("port")
    data.write_text(json.dumps([turns(CLASSES, "beach", image="0.png")]))
    assert main(command) == 2
    (out / "run.json").unlink()
    assert main(command) == 2
    assert "nothing says whose answers" in capsys.readouterr().err


def test_a_checkpoint_is_known_by_its_weights_and_not_by_its_name(benchmark, checkpoint, tmp_path, capsys):
    data = benchmark([turns(CLASSES, "port"), turns(CLASSES, "beach")])
    command = [
        "--model",
        str(checkpoint),
        "--data",
        str(data),
        "--kind",
        "cls",
        "--out",
        str(tmp_path / "out"),
    ]
    command += ["--max_new_tokens", "3"]
    assert main(command) == 0
    moved = checkpoint.rename(tmp_path / "moved")
    command[1] = str(moved)
    assert main(command) == 0
    weights = moved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    assert main(command) == 2
    assert "holds answers of another model" in capsys.readouterr().err


def test_a_limit_is_spread_over_the_file(benchmark, fake, tmp_path):
    assert spread(10, 3) == [0, 3, 6] and spread(3, 5) == [0, 1, 2] and spread(3, None) == [0, 1, 2]
    data = benchmark([turns(CLASSES, label) for label in ("port",) * 3 + ("beach",) * 3])
    fake("port", "beach", "beach")
    command = ["--model", "x", "--data", str(data), "--kind", "cls", "--out", str(tmp_path / "out")]
    assert main([*command, "--limit", "2"]) == 0
    assert [line["row"] for line in lines(tmp_path / "out")] == [0, 3]
    assert read(tmp_path / "out")["n"] == 2


def test_answers_in_batches_are_those_of_one_at_a_time(tmp_path):
    told = json.loads((ROOT / "assets/examples/examples.json").read_text())
    asked = [f"<image>\n{row['question']}" for row in told] + ["<image>\nIs there a ship in the image?"] * 2
    files = [row["file"] for row in told] + ["port.png", "bridge.png"]
    rows = [turns(text, "yes", image=file) for text, file in zip(asked, files, strict=True)]
    (tmp_path / "eight.json").write_text(json.dumps(rows))
    examples = read_evaluation(tmp_path / "eight.json", "vqa", ROOT / "assets/examples")
    made = engines.open_engine("pocket-r1")
    one, eight = (
        ask(made, examples, folder(tmp_path / str(batch)), batch=batch, max_new_tokens=24, progress=False)
        for batch in (1, 8)
    )
    assert one == eight and len({line["pred"] for line in one}) > 3


@pytest.mark.parametrize(
    "change, words",
    [
        (["--data", "nowhere.json"], "There is no file nowhere.json."),
        (["--model", "no-such-model"], "No model is called"),
        (["--box_scale", "big"], "A box scale is"),
        (["--image_dir", "nowhere"], "there is no file"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(benchmark, tmp_path, capsys, change, words):
    data = benchmark([turns(CLASSES, "port")])
    command = [
        "--model",
        "pocket",
        "--data",
        str(data),
        "--kind",
        "cls",
        "--out",
        str(tmp_path / "out"),
        *change,
    ]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert words in said and len(said.strip().splitlines()) == 1


def test_a_broken_picture_is_found_before_anything_is_asked(benchmark, fake, tmp_path, capsys):
    data = benchmark([turns(CLASSES, "port"), turns(CLASSES, "beach")])
    (tmp_path / "cls_X" / "1.png").write_bytes(b"no picture")
    made = fake("port", "beach")
    assert main(["--model", "x", "--data", str(data), "--kind", "cls", "--out", str(tmp_path / "out")]) == 2
    assert "row 2 (line 1): 1.png is no picture" in capsys.readouterr().err
    assert not made.asked


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from training.evaluate import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'trl', 'datasets', 'PIL'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


# ---- scoring


def test_boxes_are_scored_in_pixels_of_a_picture_that_is_not_square(benchmark, fake, tmp_path, capsys):
    # 800 wide and 600 high: right only if height and width are not exchanged.
    row = {"image": "a.png", "size": [600, 800]}
    data = benchmark([turns("<image>\n{VG} the ship", "[80,60,400,300]", **row) for _ in range(3)], "VG_X")
    fake("[[100,100,500,500]]", "[[500,500,900,900]]", "I cannot say")
    out = tmp_path / "out"
    assert main(["--model", "x", "--data", str(data), "--kind", "grounding", "--out", str(out)]) == 0
    scores = read(out)
    assert "read as pixels of their size" in capsys.readouterr().err
    assert scores["strict"] == pytest.approx(1 / 3)  # what cannot be read stays in the denominator
    assert scores["parsed"] == pytest.approx(2 / 3) and scores["mean_iou"] == pytest.approx(1 / 3, abs=0.01)
    assert scores["reference_n"] == 2
    assert scores["areas"]["L"]["n"] == 3


def test_a_thinking_model_without_an_answer_tag_is_wrong_and_counted(benchmark, fake, tmp_path):
    data = benchmark([turns(CLASSES, "port") for _ in range(3)])
    told = "<reasoning> Ships. </reasoning> <answer> port </answer>"
    fake(told, "port", "<reasoning> Ships and ships and", thinking=True, max_new_tokens=9)
    out = tmp_path / "out"
    assert main(["--model", "x", "--data", str(data), "--kind", "cls", "--out", str(out)]) == 0
    scores = read(out)
    assert (scores["n"], scores["strict"]) == (3, pytest.approx(1 / 3))
    assert scores["well_formed"] == pytest.approx(1 / 3)


def test_answers_of_another_program_are_scored(tmp_path):
    path = tmp_path / "VG.jsonl"
    row = {"filename": "a.jpg", "size": [600, 800], "query": "{VG} the ship", "answer": "[80,60,400,300]"}
    preds = ["[[100,100,500,500]]", "[[80,60,400,300]]"]
    path.write_text("".join(json.dumps({**row, "pred": pred}) + "\n" for pred in preds))
    assert main(["score", str(path), "--kind", "grounding", "--out", str(tmp_path / "out")]) == 0
    assert read(tmp_path / "out")["strict"] == 0.5
    command = [
        "score",
        str(path),
        "--kind",
        "grounding",
        "--out",
        str(tmp_path / "out"),
        "--box_scale",
        "1000",
    ]
    assert main(command) == 0
    assert read(tmp_path / "out")["strict"] == 0.5  # now the second one is right


def test_our_own_answers_score_again_as_they_did(benchmark, fake, tmp_path):
    row = {"image": "a.png", "size": [600, 800]}
    data = benchmark([turns("<image>{VG} the ship", "[80,60,400,300]", **row) for _ in range(2)], "VG_X")
    fake("[[100,100,500,500]]", "[[1,1,2,2]]")
    out = tmp_path / "out"
    assert main(["--model", "x", "--data", str(data), "--kind", "grounding", "--out", str(out)]) == 0
    again = ["score", str(out / "answers.jsonl"), "--kind", "grounding", "--out", str(tmp_path / "again")]
    assert main(again) == 0
    first, second = read(out), read(tmp_path / "again")
    typed = {"benchmark": 0, "model": 0, "thinking": 0}
    assert first | typed == second | typed


@pytest.mark.parametrize(
    "line, words",
    [
        ({"filename": "a", "query": "q", "answer": "a"}, "row 1 (line 1): it has no pred"),
        ({"filename": "a", "query": "q", "answer": "a", "pred": "p", "size": [1]}, "size must be"),
        ({"filename": "a", "query": "", "answer": "a", "pred": "p"}, "question is empty"),
        ("x", "no JSON object"),
    ],
)
def test_an_ill_formed_line_of_answers_is_refused(tmp_path, capsys, line, words):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(line) + "\n")
    assert main(["score", str(path), "--kind", "vqa", "--out", str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err


def test_lines_of_another_program_are_not_taken_for_ours(benchmark, fake, tmp_path):
    examples = read_evaluation(benchmark([turns(CLASSES, "port")]), "cls")
    (tmp_path / "answers.jsonl").write_text('{"pred": "port"}\n')
    with pytest.raises(BadData, match="did not write"):
        ask(fake("port"), examples, tmp_path)
