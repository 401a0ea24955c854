"""Published data sets, made at small size, become Examples; the ill-formed is refused by file and line."""

import json

import pytest

from tests.layouts import draw
from tinyrs.example import Box, Task
from tinyrs.sources import (
    label_words,
    nwpu_scenes,
    phrases,
    read_aid,
    read_dior_rsvg,
    read_nwpu,
    read_rsvqa,
    sentence,
)
from tinyrs.strictjson import BadData

# ---- AID, NWPU VHR-10, RSVQA


def test_aid_gives_classes_and_captions(tmp_path):
    for name in ("BareLand/b_1.jpg", "StorageTanks/s_1.jpg"):
        draw(tmp_path / name)
    note = {"file_name": "BareLand/b_1.jpg", "label": "BareLand", "captions": ["it is a bare land .", "sand"]}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(note) + "\n")
    bare, tanks, first, second = read_aid(tmp_path)
    assert (bare.answer, tanks.answer) == ("bare land", "storage tanks")
    assert bare.question.labels == ("bare land", "storage tanks")
    assert bare.question.text.endswith("given classes: bare land, storage tanks.")
    assert (first.answer, second.answer) == ("It is a bare land.", "Sand.")
    assert first.question.task is Task.CAPTIONING
    assert len(read_aid(tmp_path, captions=False)) == 2


def test_class_names_and_captions_read_as_text():
    assert [label_words(name) for name in ("BareLand", "Airport", "ground_track_field")] == [
        "bare land",
        "airport",
        "ground track field",
    ]
    assert sentence("many planes , and a road .") == "Many planes, and a road."


@pytest.fixture
def nwpu(tmp_path):
    draw(tmp_path / "positive_image_set" / "001.jpg", (200, 100))
    truth = tmp_path / "ground_truth" / "001.txt"
    truth.parent.mkdir()
    truth.write_text("(10,10),(30,30),5\n(100,50),(190,100),5\n( 50,20),(60,40),9 \n\n")
    return tmp_path


def test_nwpu_boxes_are_labelled_and_scaled(nwpu):
    ((picture, size, boxes),) = nwpu_scenes(nwpu)
    assert picture.name == "001.jpg" and size == (200, 100)
    assert [(box.label, box.corners()) for box in boxes] == [
        ("tennis court", [50, 100, 150, 300]),
        ("tennis court", [500, 500, 950, 1000]),
        ("bridge", [250, 200, 300, 400]),
    ]


def test_nwpu_questions_mean_one_object_each(nwpu):
    asked = {example.question.text: example.answer for example in read_nwpu(nwpu)}
    assert asked["Identify the location of the bridge."] == "[[250,200,300,400]]"
    assert asked["Identify the location of the leftmost tennis court."] == "[[50,100,150,300]]"
    assert asked["Identify the location of the largest tennis court."] == "[[500,500,950,1000]]"
    assert all(example.boxes and example.size == (200, 100) for example in read_nwpu(nwpu))


def test_a_relation_that_leaves_doubt_is_not_asked():
    close = [Box(100, 100, 200, 200, "ship"), Box(110, 500, 215, 600, "ship")]
    assert [phrase for phrase, _ in phrases(close)] == ["the topmost ship", "the bottommost ship"]


@pytest.mark.parametrize(
    "line", ["(1,2),(3,4)", "(10,10),(30,30),11", "(10,10),(300,30),1", "(30,10),(10,30),1", "x"]
)
def test_a_bad_line_of_nwpu_is_refused_by_number(nwpu, line):
    truth = nwpu / "ground_truth" / "001.txt"
    truth.write_text(f"(10,10),(30,30),5\n{line}\n")
    with pytest.raises(BadData, match="001.txt, line 2"):
        nwpu_scenes(nwpu)
    truth.unlink()
    with pytest.raises(BadData, match="001.txt is missing"):
        nwpu_scenes(nwpu)


@pytest.fixture
def rsvqa(tmp_path):
    draw(tmp_path / "Images_LR" / "0.jpg")
    tables = {
        "images": [{"id": 0, "active": True}],
        "questions": [
            {
                "id": 0,
                "img_id": 0,
                "type": "rural_urban",
                "question": "Is it a rural or an urban area",
                "active": True,
            },
            {"id": 1, "img_id": 0, "type": "count", "question": "How many roads?", "active": True},
            {"id": 2, "img_id": 0, "type": "comp", "question": "Are there more roads?", "active": False},
        ],
        "answers": [
            {"id": i, "question_id": i, "answer": a, "active": True}
            for i, a in enumerate(("rural", "4", "no"))
        ],
    }
    for word, rows in tables.items():
        (tmp_path / f"LR_{word}.json").write_text(json.dumps({word: rows}))
    return tmp_path


def test_rsvqa_joins_its_three_files(rsvqa):
    first, second = read_rsvqa(rsvqa / "LR_questions.json", rsvqa / "Images_LR")
    assert (first.answer, first.kinds, first.question.labels) == (
        "rural",
        ("rural_urban",),
        ("rural", "urban"),
    )
    assert (second.answer, second.question.task) == ("4", Task.COUNTING)
    assert first.picture == rsvqa / "Images_LR" / "0.jpg"


def test_rsvqa_with_a_hole_is_refused(rsvqa):
    (rsvqa / "LR_answers.json").write_text(json.dumps({"answers": []}))
    with pytest.raises(BadData, match="LR_questions.json, row 1 .*its question or its answer is missing"):
        read_rsvqa(rsvqa / "LR_questions.json", rsvqa / "Images_LR")
    (rsvqa / "LR_answers.json").unlink()
    with pytest.raises(BadData, match=r"There is no file .*LR_answers.json"):
        read_rsvqa(rsvqa / "LR_questions.json", rsvqa / "Images_LR")


@pytest.mark.parametrize("read", [read_aid, read_nwpu])
def test_a_missing_folder_is_one_sentence(read, tmp_path):
    with pytest.raises(BadData, match="There is no folder"):
        read(tmp_path / "nowhere")


# ---- DIOR-RSVG

OBJECT = (
    "<object><name>ship</name><bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox>"
    "<description>{4}</description></object>"
)


def voc(folder, number, *objects, size=(400, 200), name=None):
    """One annotation file of DIOR-RSVG and its picture."""
    draw(folder / "JPEGImages" / f"{number:05}.jpg", size)
    (folder / "Annotations").mkdir(exist_ok=True)
    sides = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    told = f"<annotation><filename>{name or f'{number:05}.jpg'}</filename>{sides}"
    path = folder / "Annotations" / f"{number:05}.xml"
    path.write_text(told + "".join(OBJECT.format(*each) for each in objects) + "</annotation>")
    return path


def test_dior_rsvg_becomes_grounding_examples(tmp_path):
    voc(tmp_path, 2, (0, 0, 400, 200, "The  only field."))
    voc(tmp_path, 1, (40, 20, 200, 100, "A ship"), (50, 10, 100, 60, "The ship on the left"))
    first, second, third = read_dior_rsvg(tmp_path)
    # Width and height differ: a swap would show.
    assert (first.answer, first.boxes[0].corners()) == ("[[100,100,500,500]]", [100, 100, 500, 500])
    assert (first.question.text, first.question.task) == ("Identify the location of a ship.", Task.GROUNDING)
    assert (first.size, first.picture.name, second.picture.name) == ((400, 200), "00001.jpg", "00001.jpg")
    assert third.question.text == "Identify the location of the only field."


def test_a_split_of_dior_rsvg_counts_objects_over_all_files(tmp_path):
    voc(tmp_path, 1, (40, 20, 200, 100, "a"), (50, 10, 100, 60, "b"))
    voc(tmp_path, 2, (0, 0, 400, 200, "c"))
    (tmp_path / "test.txt").write_text("1\n2\n")
    (tmp_path / "val.txt").write_text("3\n0\n")
    (tmp_path / "train.txt").write_text("x\n")
    assert [e.question.text[-2] for e in read_dior_rsvg(tmp_path, "test")] == ["b", "c"]
    for split, words in (
        ("val", "names object 3, and there are 3"),
        ("train", "whole number"),
        ("no", "no file"),
    ):
        with pytest.raises(BadData, match=words):
            read_dior_rsvg(tmp_path, split)


@pytest.mark.parametrize(
    ("objects", "more", "words"),
    [
        ([(40, 20, 401, 100, "a")], {}, "00001.xml, object 1: .*outside"),
        ([(40, 20, 20, 100, "a")], {}, "00001.xml, object 1: .*wrong way round"),
        ([(40, 20, 60, 100, " ")], {}, "no description or no box"),
        ([(40, 20, "", 100, "a")], {}, "no description or no box"),
        ([(40, 20, "x", 100, "a")], {}, "00001.xml, object 1: "),
        ([(40, 20, 60, 100, "a")], {"name": "../x.jpg"}, "leads out of the folder"),
        ([(40, 20, 60, 100, "a")], {"name": "none.jpg"}, "there is no file"),
        ([], {}, "no described objects"),
    ],
)
def test_an_ill_formed_annotation_is_refused_by_name(tmp_path, objects, more, words):
    voc(tmp_path, 1, *objects, **more)
    with pytest.raises(BadData, match=words):
        read_dior_rsvg(tmp_path)


def test_an_annotation_that_swells_is_refused(tmp_path):
    path = voc(tmp_path, 1, (40, 20, 60, 100, "a"))
    path.write_text('<!DOCTYPE x [<!ENTITY a "aaaa">]>' + path.read_text())
    with pytest.raises(BadData, match="declares a document type"):
        read_dior_rsvg(tmp_path)
    path.write_text("<annotation>")
    with pytest.raises(BadData, match="00001.xml cannot be used"):
        read_dior_rsvg(tmp_path)
