"""The splits of the paper: same seed same rows, VHM-RL apart by picture, manifests that are checked, refusals by row."""

import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests import exports
from tests.test_leaks import benchmark, save, scene
from tinyrs.example import Task
from tinyrs.leaks import NEAR, distances, fingerprint
from tinyrs.strictjson import BadData
from training.data import read
from training.splits import INSTRUCT, RL, THINK, main


def turns(human, gpt):
    return [{"from": "human", "value": f"<image>\n{human}"}, {"from": "gpt", "value": gpt}]


def vhm(folder, count=12, name="list_sft"):
    """`count` pictures with a question about each, half of them grounding on 0..1000; the first has two questions."""
    rows = []
    for number in range(count):
        save(scene(number), folder / "images" / f"{number}.png")
        told = turns("{VG} Identify the location of the house.", f"[[10,20,300,{400 + number}]]")
        if number % 2:
            told = turns("{VQA} Is a road present?", "no")
        rows.append({"image": f"{number}.png", "conversations": told})
    rows[0]["conversations"] += turns("{VQA} Is a ship present?", "yes")
    rows[0]["conversations"][2]["value"] = "{VQA} Is a ship present?"
    path = folder / f"{name}.json"
    path.write_text(json.dumps(rows))
    return path


def command(source, out, *more):
    words = [str(source), "1000", str(source.parent / "images")]
    return ["--data", *words, "--out", str(out), "--instruct", "6", "--rl", "4", *map(str, more)]


def manifest(out, name):
    return json.loads((out / f"{name}.manifest.json").read_text())


def rows(out, name):
    return json.loads((out / f"{name}.json").read_text())


def test_the_three_splits_are_drawn_and_can_be_trained_on(tmp_path, capsys):
    out = tmp_path / "splits"
    assert main(command(vhm(tmp_path), out)) == 0
    said = capsys.readouterr().out
    assert "pool: 13 rows, 13 of them" in said and "6 rows have no reasoning yet" in said
    assert sorted(path.name for path in out.iterdir()) == sorted(
        f"{name}{end}" for name in (INSTRUCT, THINK, RL) for end in (".json", ".manifest.json")
    )
    instruct, think, rl = (read(out / f"{name}.json") for name in (INSTRUCT, THINK, RL))
    assert len(instruct) == 6 and instruct == [*instruct] and 3 <= len(rl) <= 4
    assert [(e.question, e.answer, e.picture) for e in think] == [
        (e.question, e.answer, e.picture) for e in instruct
    ]
    assert not {e.picture for e in rl} & {e.picture for e in instruct}
    # Word for word what the source says.
    known = {(e.picture, e.question, e.answer) for e in read(tmp_path / "list_sft.json", tmp_path / "images", 1000)}
    assert {(e.picture, e.question, e.answer) for e in (*instruct, *rl)} <= known


def test_the_manifest_says_where_everything_is_from(tmp_path):
    source, out = vhm(tmp_path), tmp_path / "splits"
    main(command(source, out, "--seed", 5))
    told = manifest(out, RL)
    (origin,) = told["sources"]
    assert (out / origin["path"]).resolve() == source and origin["box_scale"] == 1000
    assert origin["sha256"] == {"list_sft.json": exports.sha256(source)}
    assert (told["seed"], told["count"], told["box_scale"]) == (5, len(rows(out, RL)), 1000)
    counts = {task: sum(row["task"] == task for row in rows(out, RL)) for task in told["tasks"]}
    assert told["tasks"] == counts and sum(counts.values()) == told["count"]
    assert told["pictures"] == {
        row["image"]: exports.sha256(tmp_path / "images" / row["image"]) for row in rows(out, RL)
    }
    assert told["files"] == {f"{RL}.json": exports.sha256(out / f"{RL}.json")}


def test_the_same_seed_draws_the_same_bytes_and_another_draws_others(tmp_path):
    source, drawn = vhm(tmp_path), {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        main(command(source, tmp_path / name, "--seed", seed))
        drawn[name] = [(tmp_path / name / f).read_bytes() for f in sorted(os.listdir(tmp_path / name))]
    assert drawn["a"] == drawn["b"] and drawn["a"][0] != drawn["c"][0]


def test_copies_of_a_row_are_one_row(tmp_path, capsys):
    source = vhm(tmp_path)
    source.write_text(json.dumps(json.loads(source.read_text()) * 5))
    main(command(source, tmp_path / "out"))
    assert "pool: 65 rows, 13 of them" in capsys.readouterr().out


def test_rl_is_apart_by_what_pictures_show_not_by_their_names(tmp_path):
    # Each scene is there three times: as it is, the same pixels in another file, and smaller and flipped.
    folder = tmp_path / "images"
    data = []
    for number in range(8):
        image = scene(number)
        save(image, folder / f"{number}.png")
        save(image, folder / f"{number}_again.tif")
        save(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((150, 150)), folder / f"{number}_flip.jpg")
        for name in (f"{number}.png", f"{number}_again.tif", f"{number}_flip.jpg"):
            data.append({"image": name, "conversations": turns("{VQA} Is a road present?", "no")})
    source = tmp_path / "list.json"
    source.write_text(json.dumps(data))
    out = tmp_path / "out"
    main(["--data", str(source), "1000", str(folder), "--out", str(out), "--instruct", "99", "--rl", "6"])
    scenes = [{int(row["image"].partition("_")[0].partition(".")[0]) for row in rows(out, name)} for name in (INSTRUCT, RL)]
    assert scenes[1] and not scenes[0] & scenes[1]
    ours, theirs = (
        [fingerprint(folder / row["image"]).near for row in rows(out, name)] for name in (INSTRUCT, RL)
    )
    assert min(row.min() for row in distances(ours, theirs)) > NEAR


def test_reasoning_goes_into_think_alone(tmp_path):
    source = vhm(tmp_path)
    data = json.loads(source.read_text())
    for row in data:
        for turn in row["conversations"][1::2]:
            turn["value"] = f"<reasoning> I look. </reasoning> <answer> {turn['value']} </answer>"
    source.write_text(json.dumps(data))
    main(command(source, tmp_path / "out"))
    assert all(e.reasoning == "I look." for e in read(tmp_path / "out" / f"{THINK}.json", needs_reasoning=True))
    assert not any(e.reasoning for e in read(tmp_path / "out" / f"{INSTRUCT}.json"))
    assert not any(e.reasoning for e in read(tmp_path / "out" / f"{RL}.json"))
    assert manifest(tmp_path / "out", THINK)["with_reasoning"] == 6


def test_sources_of_every_layout_are_put_on_one_scale(tmp_path, capsys):
    from tests.test_columns import as_published

    nwpu, rsvg = tmp_path / "nwpu", tmp_path / "rsvg"
    save(Image.new("RGB", (200, 100), "grey"), nwpu / "positive_image_set" / "001.jpg")
    (nwpu / "ground_truth").mkdir()
    (nwpu / "ground_truth" / "001.txt").write_text("(20,10),(100,50),2\n")
    dior(rsvg)
    export = exports.make(tmp_path / "export")
    columns = as_published(tmp_path)
    args = ["--data", str(nwpu), "--data", str(rsvg), "--data", str(export), "--data", str(columns), "1000"]
    assert main([*args, "--out", str(tmp_path / "out"), "--instruct", "99", "--rl", "0"]) == 0
    assert "VHM-RL: no rows, so no file" in capsys.readouterr().out
    examples = read(tmp_path / "out" / f"{INSTRUCT}.json")
    assert {e.boxes[0].corners()[0] for e in examples if e.question.task is Task.GROUNDING} >= {100, 125}
    scales = [source["box_scale"] for source in manifest(tmp_path / "out", INSTRUCT)["sources"]]
    assert scales == ["pixels", "pixels", 1000, 1000]


def test_all_three_files_of_rsvqa_are_known_by_their_checksums(tmp_path):
    save(Image.new("RGB", (60, 60), "grey"), tmp_path / "Images_LR" / "0.jpg")
    asked = {"id": 0, "img_id": 0, "type": "presence", "question": "Is a road there?", "active": True}
    tables = {
        "images": [{"id": 0, "active": True}],
        "questions": [asked],
        "answers": [{"id": 0, "question_id": 0, "answer": "yes", "active": True}],
    }
    for word, rows in tables.items():
        (tmp_path / f"LR_{word}.json").write_text(json.dumps({word: rows}))
    args = ["--data", str(tmp_path / "LR_questions.json"), str(tmp_path / "Images_LR"), "--rl", "0"]
    assert main([*args, "--out", str(tmp_path / "out")]) == 0
    (source,) = manifest(tmp_path / "out", INSTRUCT)["sources"]
    assert source["sha256"] == {
        f"LR_{word}.json": exports.sha256(tmp_path / f"LR_{word}.json") for word in tables
    }


def dior(folder):
    """DIOR-RSVG's layout, written by hand: two objects on a picture of 400 x 200."""
    save(Image.new("RGB", (400, 200), "green"), folder / "JPEGImages" / "00001.jpg")
    thing = (
        "<object><name>ship</name><bndbox><xmin>50</xmin><ymin>{}</ymin><xmax>200</xmax><ymax>100</ymax></bndbox>"
        "<description>A ship number {}</description></object>"
    )
    (folder / "Annotations").mkdir()
    (folder / "Annotations" / "00001.xml").write_text(
        "<annotation><filename>00001.jpg</filename><size><width>400</width><height>200</height></size>"
        + thing.format(20, 0)
        + thing.format(50, 1)
        + "</annotation>"
    )


# ---- refusals


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ("[[10,20,1300,400]]", r"list_sft.json, row 3 \(line 1\): .*outside the picture"),
        ("[[-5,20,300,400]]", r"list_sft.json, row 3 \(line 1\): .*outside the picture"),
    ],
)
def test_a_box_outside_the_declared_scale_is_refused_by_file_and_row(tmp_path, capsys, box, words):
    source = vhm(tmp_path)
    data = json.loads(source.read_text())
    data[2]["conversations"][1]["value"] = box
    source.write_text(json.dumps(data))
    assert main(command(source, tmp_path / "out")) == 2
    said = capsys.readouterr().err.strip()
    import re

    assert re.search(words, said) and len(said.splitlines()) == 1 and not list((tmp_path / "out").glob("*.json"))


@pytest.mark.parametrize(
    ("name", "words"),
    [("../x.png", "leads out"), ("/etc/passwd", "absolute path"), ("a\x00.png", "no file name"), ("file://x", "address")],
)
def test_a_picture_outside_the_folder_is_refused_by_row(tmp_path, capsys, name, words):
    source = vhm(tmp_path)
    data = json.loads(source.read_text())
    data[4]["image"] = name
    source.write_text(json.dumps(data))
    assert main(command(source, tmp_path / "out")) == 2
    said = capsys.readouterr().err
    assert ("row 5" in said) and (words in said or "character" in said)


def test_a_source_that_does_not_say_its_scale_is_refused_and_a_manifest_may_say_it(tmp_path, capsys):
    source = vhm(tmp_path)
    args = ["--data", str(source), "--out", str(tmp_path / "out"), "--instruct", "6", "--rl", "2"]
    assert main(args) == 2
    assert f"Nothing says what the boxes of {source} run to" in capsys.readouterr().err
    told = {"box_scale": 1000, "images": "images", "files": {source.name: exports.sha256(source)}}
    beside = source.with_suffix(".manifest.json")
    beside.write_text(json.dumps(told))
    assert main(args) == 0
    source.write_text(source.read_text() + "\n")
    assert main(args) == 2 and "its checksum differs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.json", "1000"], "There is no file or folder nowhere.json"),
        (["{source}", "huge"], "A box scale is"),
        (["{source}", "1000", "a", "b"], "not 4 words"),
        (["{source}", "1000"], "the pictures of 12 rows cannot be used: row 1: there is no file '0.png'"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(tmp_path, capsys, words, said):
    source = vhm(tmp_path)
    data = [word.format(source=source) for word in words]
    assert main(["--data", *data, "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert said in err and len(err.strip().splitlines()) == 1


def test_leaks_are_refused_by_row_or_left_out_and_counted(tmp_path, capsys):
    source, out = vhm(tmp_path), tmp_path / "out"
    bench = benchmark(tmp_path, [scene(3).resize((120, 120)), scene(50)])
    assert main(command(source, out, "--against", bench)) == 2
    said = capsys.readouterr().err
    # The picture with two questions comes first, so its row 4 is the fifth question.
    assert "list_sft.json: 1 of 13 rows show a picture of a benchmark: row 5 (3.png is b0.png of cls_AID.json" in said
    assert main(command(source, out, "--against", bench, "--leave-out", "--instruct", 99)) == 0
    images = {row["image"] for name in (INSTRUCT, RL) for row in rows(out, name)}
    assert "3.png" not in images and len(images) == 11
    assert manifest(out, RL)["left_out"] == 1 and list(manifest(out, RL)["against"]) == ["cls_AID.json"]


def test_a_split_whose_rows_were_changed_is_refused(tmp_path):
    out = tmp_path / "out"
    main(command(vhm(tmp_path), out))
    path = out / f"{INSTRUCT}.json"
    path.write_text(path.read_text().replace("no", "yes"))
    with pytest.raises(BadData, match="not the file that VHM-Instruct.manifest.json describes"):
        read(path)


def test_a_write_that_fails_leaves_no_manifest_that_describes_other_rows(tmp_path, monkeypatch):
    source, out = vhm(tmp_path), tmp_path / "out"
    main(command(source, out))
    real = os.replace

    def full(part, target):
        if Path(target).name == f"{RL}.json":
            raise OSError(28, "No space left on device", str(target))
        return real(part, target)

    monkeypatch.setattr(os, "replace", full)
    assert main(command(source, out, "--seed", 1)) == 2
    assert not (out / f"{RL}.manifest.json").exists()
    read(out / f"{INSTRUCT}.json")


def test_splits_move_together_with_their_pictures(tmp_path):
    home = tmp_path / "home"
    main(command(vhm(home), home / "splits"))
    shutil.move(home, tmp_path / "moved")
    assert len(read(tmp_path / "moved" / "splits" / f"{INSTRUCT}.json")) == 6
