"""Exports for other tools, and what no export may hold: one person's hand in it all, pictures of a benchmark."""

import io
import json
import xml.etree.ElementTree as xml

import pytest

from annotate.__main__ import main
from annotate.errors import SOURCE
from annotate.export import KINDS, export
from annotate.imports import import_captions
from annotate.store import NewCaption, Refused, Store
from tests.store_parts import ROOF, SCENE, add_picture, check_whole, head
from tests.test_export import accepted, files
from tests.test_leaks import save, scene
from tinyrs.example import Question, Task
from tinyrs.image import open_picture
from tinyrs.strictjson import BadData
from training.data import cautions, read

PLANES = Question("Identify the location of the planes.", Task.GROUNDING)
COUNTED = Question("How many roofs can you see in the image?", Task.COUNTING)


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "data" / "tinyrs.db", self_review=True) as opened:
        yield opened
        check_whole(opened)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def some(store):
    """Four accepted captions of three pictures."""
    accepted(store, "It is bright.", "[[80,100,471,527]]", ROOF)
    accepted(
        store, "First.\nThen, two:", "[[1,2,3,4],[500,500,1000,999]]", PLANES, picture=add_picture(store, 1)
    )
    accepted(store, 'Fields & more, "so".', "farmland", SCENE, picture=add_picture(store, 2))
    accepted(store, "", "3", COUNTED, picture=add_picture(store, 2))


def content(store):
    rows = [store.caption(i) for i in range(1, store.stats()["captions"]["total"] + 1)]
    return [(r["picture"], r["question"], r["revision"]["reasoning"], r["revision"]["answer"]) for r in rows]


def test_label_studios_tasks_come_back_as_the_same_captions(store, out, tmp_path):
    some(store)
    manifest = export(store, out, "labelstudio")
    assert [row["caption"] for row in manifest["rows"]] == [1, 2, 3, 4]
    with Store(tmp_path / "second" / "tinyrs.db") as second:
        assert import_captions(second, out / "labelstudio.json").added == 4
        assert content(second) == content(store)


def test_every_result_belongs_to_a_control_of_the_configuration_that_lies_beside(store, out):
    some(store)
    export(store, out, "labelstudio")
    config = xml.fromstring((out / "config.xml").read_text())
    controls = {each.get("name"): each for each in config if each.get("toName")}
    kinds = {"textarea": "TextArea", "rectanglelabels": "RectangleLabels"}
    (picture,) = config.iter("Image")
    for task in json.loads((out / "labelstudio.json").read_text()):
        assert picture.get("value").removeprefix("$") in task["data"]
        assert {each.get("value").removeprefix("$") for each in config.iter("Header")} <= set(task["data"])
        name = task["data"]["image"].removeprefix("/data/local-files/?d=")
        assert (out / name).is_file()
        (annotation,) = task["annotations"]
        for result in annotation["result"]:
            control = controls[result["from_name"]]
            assert control.tag == kinds[result["type"]] and result["to_name"] == picture.get("name")
            if result["type"] == "rectanglelabels":
                labels = {each.get("value") for each in control}
                assert set(result["value"]["rectanglelabels"]) <= labels
                assert {"original_width", "original_height", "image_rotation"} <= set(result)


def test_coco_holds_the_boxes_in_pixels_and_what_each_question_asked_for(store, out):
    some(store)
    manifest = export(store, out, "coco")
    assert manifest["left_out"]["without boxes"] == 2 and len(manifest["rows"]) == 2
    told = json.loads((out / "coco.json").read_text())
    images = {image["id"]: image for image in told["images"]}
    names = {category["id"]: category["name"] for category in told["categories"]}
    assert sorted(names.values()) == ["bright roof", "planes"]
    assert [each["id"] for each in told["annotations"]] == [1, 2, 3]
    for each in told["annotations"]:
        image = images[each["image_id"]]
        assert (out / image["file_name"]).is_file()
        box = store.caption(each["caption_id"])["revision"]["boxes"]
        x, y, width, height = each["bbox"]
        corners = (x, y, x + width, y + height)
        sides = (image["width"], image["height"]) * 2
        as_ours = [round(1000 * corner / side) for corner, side in zip(corners, sides, strict=True)]
        assert as_ours in [one.corners() for one in box]
        assert each["area"] == pytest.approx(width * height, abs=0.01)


@pytest.mark.parametrize("kind", ["labelstudio", "coco"])
def test_they_are_the_same_bytes_again_and_are_known_by_the_store(store, out, tmp_path, kind):
    some(store)
    export(store, out, kind)
    before = files(out)
    export(store, out, kind)
    export(store, tmp_path / "elsewhere", kind)
    assert files(out) == before == files(tmp_path / "elsewhere")
    assert [each["kind"] for each in store.exports_of(1)] == [kind]
    export(store, out, "cot_sft", force=True)
    assert not (out / "config.xml").exists() and not (out / f"{kind}.json").exists()


@pytest.mark.parametrize("kind", ["labelstudio", "coco"])
def test_training_refuses_what_is_for_other_tools(store, out, kind):
    some(store)
    export(store, out, kind)
    with pytest.raises(BadData):
        read(out)


# --- what may not leave ---------------------------------------------------------------------------------


def many(store, authors):
    """One accepted caption by each of `authors`."""
    for i, author in enumerate(authors):
        picture = add_picture(store, i % 7)
        accepted(store, f"Reason {i}.", "farmland", SCENE, author=author, reviewer="Zoe", picture=picture)


def test_nobody_may_have_written_more_than_a_fifth_unless_that_is_said(store, out):
    people = ["Ann", "Bob", "Cem", "Dia", "Eva"]
    many(store, people * 4)
    export(store, out)
    accepted(store, "One more.", "port", SCENE, author="Ann", reviewer="Zoe")
    for kind in ("cot_sft", "sft", "labelstudio"):
        with pytest.raises(Refused, match="Ann wrote 5 of 21 rows, more than 20 %"):
            export(store, out, kind, force=True)
    assert cautions(out) == []
    assert export(store, out, share=0.25, force=True)["authors"]["Ann"] == 5
    assert "more than a fifth" in cautions(out)[0]  # training says it once more


def test_what_no_person_wrote_counts_for_nobody(store, out):
    for i in range(20):
        picture = add_picture(store, i % 7)
        store.add_captions([NewCaption(picture, SCENE, f"Because {i}.", "farmland", "import:list.json")])
        store.add_review(head(store, i + 1), "accept", author="Bob")
    assert export(store, out)["count"] == 20


def test_pictures_that_a_model_was_measured_on_stay_unless_that_is_said(store, out, capsys, tmp_path):
    asked = add_picture(store, 1)
    accepted(store, "Fields.", "farmland", SCENE, picture=asked)
    with pytest.raises(Refused, match="nothing to export.*pictures of a benchmark") as refusal:
        store.add_captions([NewCaption(asked, SCENE, "Sand.", "beach", "model:x", f"{SOURCE}AID")])
        export(store, out)
    assert "1 show pictures of a benchmark" in str(refusal.value)
    accepted(store, "Roofs.", "port", SCENE, picture=add_picture(store, 2))
    assert main(["export", "--db", str(store.path), "--out", str(out)]) == 0
    assert "1 accepted captions were left out: pictures of a benchmark" in capsys.readouterr().out
    assert [row["caption"] for row in export(store, out)["rows"]] == [3]
    assert len(export(store, out, measured_on=True, force=True)["rows"]) == 2


def test_pictures_of_a_named_benchmark_are_left_out_by_content(store, out, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYRS_DATA", str(tmp_path / "prints"))
    for seed in range(3):
        data = io.BytesIO()
        scene(seed).save(data, "PNG")
        picture = store.add_picture(open_picture(data.getvalue()), data.getvalue())
        accepted(store, f"Reason {seed}.", "farmland", SCENE, picture=picture)
    save(scene(1).resize((90, 90)), tmp_path / "bench" / "other name.jpg", quality=80)
    manifest = export(store, out, benchmarks=[tmp_path / "bench"])
    assert manifest["left_out"]["pictures of a benchmark"] == 1
    assert [row["caption"] for row in manifest["rows"]] == [1, 3]
    with pytest.raises(Refused, match="no pictures"):
        (tmp_path / "empty").mkdir()
        export(store, out, benchmarks=[tmp_path / "empty"])


def test_validation_holds_whole_pictures_and_both_parts_train(store, out):
    many(store, ["Ann", "Bob", "Cem", "Dia", "Eva"] * 4)
    manifest = export(store, out, validation=0.4)
    held = manifest["validation"]
    assert held["file"] == "cot_sft.validation.json" and manifest["count"] + held["count"] == 20
    train, rest = read(out), read(out / held["file"])
    assert (len(train), len(rest)) == (manifest["count"], held["count"])
    assert read(out / "cot_sft.json") == train
    assert not {each.picture for each in train} & {each.picture for each in rest}
    before = {each.picture.name for each in rest}
    accepted(store, "A new one.", "port", SCENE, author="Fay", picture=add_picture(store, 9))
    export(store, out, validation=0.4, force=True)
    assert before <= {each.picture.name for each in read(out / held["file"])}
    for share in (1.0, -0.1, 1e-9):
        with pytest.raises(Refused, match="share"):
            export(store, out, validation=share)
    with pytest.raises(Refused, match="training reads"):
        export(store, out, "coco", validation=0.5)


def test_every_kind_is_named_where_one_is_unknown(store, out):
    with pytest.raises(Refused) as refusal:
        export(store, out, "yolo")
    assert all(kind in str(refusal.value) for kind in KINDS)
