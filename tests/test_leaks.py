"""A picture is found in a benchmark whatever its file is called and in whatever form it came."""

import json
from pathlib import Path

import pytest
from PIL import Image

from bench.leaks import CHANGES, measure
from tests import exports
from tests.test_sft import SMOKE
from tinyrs.config import Config
from tinyrs.leaks import (
    NEAR,
    Prints,
    benchmark_pictures,
    check,
    distances,
    find_leaks,
    fingerprint,
    near_hash,
    orientations,
)
from tinyrs.strictjson import BadData
from training import grpo, sft
from training.data import read
from training.pocket.scenes import draw


def scene(seed):
    return Image.fromarray(draw(seed).pixels)


def save(image, path, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **how)
    return path


def benchmark(folder, images, name="cls_AID"):
    """An evaluation file with a picture for each of `images`."""
    rows = []
    for number, image in enumerate(images):
        save(image, folder / name / f"b{number}.png")
        turns = [{"from": "human", "value": "<image>{CLS} Which?"}, {"from": "gpt", "value": "port"}]
        rows.append({"image": f"b{number}.png", "conversations": turns})
    path = folder / f"{name}.json"
    path.write_text(json.dumps(rows))
    return path


def test_each_way_of_being_the_same_is_told(tmp_path):
    bench = benchmark(tmp_path, [scene(seed) for seed in range(5)])
    same = tmp_path / "train" / "other_name.png"
    same.parent.mkdir()
    same.write_bytes((tmp_path / "cls_AID" / "b0.png").read_bytes())
    pixels = save(scene(1), tmp_path / "train" / "p.tif")
    near = save(scene(2).resize((200, 200)), tmp_path / "train" / "n.jpg", quality=60)
    turned = save(scene(3).transpose(Image.Transpose.TRANSVERSE), tmp_path / "train" / "t.jpg")
    new = save(scene(77), tmp_path / "train" / "new.png")
    leaks = find_leaks([same, pixels, near, turned, new], [bench], Prints(quiet=True))
    assert [(leak.picture, leak.other.name, leak.benchmark) for leak in leaks] == [
        (same, "b0.png", "cls_AID.json"),
        (pixels, "b1.png", "cls_AID.json"),
        (near, "b2.png", "cls_AID.json"),
        (turned, "b3.png", "cls_AID.json"),
    ]
    hows = [leak.how.partition(",")[0] for leak in leaks]
    assert hows == ["the same file", "the same pixels", "nearly the same", "nearly the same"]
    # Without near copies, only what is equal is found.
    assert len(find_leaks([same, pixels, near, new], [bench], Prints(quiet=True), near=-1)) == 2


def test_a_turned_picture_has_one_of_the_eight_hashes():
    image, every = scene(5), orientations(near_hash(scene(5)))
    assert every.shape == (8, 4) and len({row.tobytes() for row in every}) == 8
    for how in (None, *Image.Transpose):
        turned = image if how is None else image.transpose(how)
        (row,) = distances([near_hash(turned)], [near_hash(image)])
        assert row[0] <= 4


def test_misses_and_false_alarms_on_drawn_scenes_stay_where_they_were_measured():
    found, pairs, flat = measure([scene(seed) for seed in range(60)])
    kept = set(CHANGES) - {"cropped by 4 %", "cropped by 8 %"}
    assert flat == 0 and all(found[name] >= 0.95 for name in kept)
    assert pairs.min() > NEAR + 10


def test_pictures_without_shape_are_one_only_if_they_are_equal(tmp_path):
    sea = [Image.new("RGB", (64, 64), (20, 60, blue)) for blue in (120, 121)]
    assert near_hash(sea[0]) == ""
    bench = benchmark(tmp_path, sea[:1])
    other, same = save(sea[1], tmp_path / "o.png"), save(sea[0], tmp_path / "s.bmp.tif")
    assert [leak.picture for leak in find_leaks([other, same], [bench], Prints(quiet=True))] == [same]


def test_the_size_of_a_picture_is_part_of_its_pixels(tmp_path):
    wide, tall = (Image.new("RGB", size, (9, 9, 9)) for size in ((60, 40), (40, 60)))
    assert fingerprint(save(wide, tmp_path / "w.png")).pixels != fingerprint(save(tall, tmp_path / "t.png")).pixels


# ---- kept prints


def test_a_picture_is_hashed_once_and_again_when_its_file_changes(tmp_path, monkeypatch):
    paths = [save(scene(seed), tmp_path / f"{seed}.png") for seed in range(3)]
    first = Prints(quiet=True).of(paths)
    made = []
    monkeypatch.setattr("tinyrs.leaks.fingerprint", lambda path: made.append(path) or fingerprint(path))
    assert Prints(quiet=True).of(paths) == first and made == []
    save(scene(9), paths[1])
    again = Prints(quiet=True).of(paths)
    assert made == [paths[1]] and again[paths[1]] == fingerprint(paths[1]) != first[paths[1]]


def test_what_is_kept_survives_a_cut_off_line_and_a_file_that_is_none(tmp_path):
    paths = [save(scene(seed), tmp_path / f"{seed}.png") for seed in range(2)]
    first = Prints(quiet=True).of(paths)
    kept = Config().data / "prints.jsonl"
    kept.write_text(kept.read_text()[:-40] + '\n{"version": 1}\n[]\n\x00\n')
    assert Prints(quiet=True).of(paths) == first
    kept.unlink()
    kept.mkdir()  # nothing can be written there
    assert Prints(quiet=True).of(paths) == first


def test_a_picture_that_cannot_be_opened_is_named_and_the_others_are_kept(tmp_path):
    good, bad = save(scene(0), tmp_path / "a.png"), tmp_path / "b.png"
    bad.write_bytes(b"no picture")
    with pytest.raises(BadData, match="b.png cannot be used"):
        Prints(quiet=True).of([good, bad])
    assert "a.png" in (Config().data / "prints.jsonl").read_text()


# ---- benchmarks, and runs that name them


def test_benchmarks_are_files_of_any_kind_or_folders(tmp_path):
    file = benchmark(tmp_path, [scene(0), scene(1)])
    lhrs = tmp_path / "LHRS-Bench.json"
    lhrs.write_text(json.dumps({"data": [{"filename": "cls_AID/b1.png", "qa_pairs": []}], "qtype": {}}))
    assert [path.name for path in benchmark_pictures(file)] == ["b0.png", "b1.png"]
    assert [path.name for path in benchmark_pictures(lhrs)] == ["b1.png"]
    assert benchmark_pictures(tmp_path / "cls_AID") == benchmark_pictures(file)
    (tmp_path / "empty").mkdir()
    for wrong, words in ((tmp_path / "empty", "holds no pictures"), (tmp_path / "none.json", "There is no file")):
        with pytest.raises(BadData, match=words):
            benchmark_pictures(wrong)
    rows = json.loads(file.read_text())
    file.write_text(json.dumps([rows[0], {**rows[1], "image": "../x.png"}]))
    with pytest.raises(BadData, match=r"cls_AID.json, row 2 .* leads out of the folder"):
        benchmark_pictures(file)


@pytest.fixture
def leaking(tmp_path):
    """(an export of 4 rows, an evaluation file that holds a smaller copy of the second row's picture)"""
    export = exports.make(tmp_path / "export")
    with Image.open(read(export)[1].picture) as image:
        return export, benchmark(tmp_path, [image.resize((240, 180)), scene(3)])


def test_many_rows_are_counted_and_the_first_are_named(leaking):
    examples = read(leaking[0])
    with pytest.raises(BadData) as caught:
        check([examples[1]] * 7 + [examples[0]], [Path(leaking[1])], quiet=True)
    said = str(caught.value)
    assert said.startswith("7 of 8 rows show a picture of a benchmark: row 1 (") and "and 2 more" in said
    check(examples, [], quiet=True)


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_a_run_that_names_a_benchmark_does_not_start_on_a_leak(leaking, tmp_path, untrained, capsys, stage):
    export, bench = leaking
    main, config = (sft.main, SMOKE) if stage == "sft" else (grpo.main, SMOKE.replace("smoke", "4_grpo_smoke"))
    args = ["--config", config, "--data", str(export), "--model", str(untrained)]
    assert main([*args, "--output_dir", str(tmp_path / "out"), "--benchmarks", str(bench)]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    name = read(export)[1].picture.name
    assert f"row 2 ({name} is b0.png of cls_AID.json: nearly the same" in said and not (tmp_path / "out").exists()
    recipe = tmp_path / "x.yaml"
    recipe.write_text(Path(config).read_text() + f"\nbenchmarks: [{bench}]\n")
    assert main([*args[2:], "--config", str(recipe), "--dry-run"]) == 2
    assert main([*args, "--dry-run", "--benchmarks", "none"]) == 0
