"""Published layouts, made at small size, become Examples; the ill-formed is refused by file and row."""

import json

import pytest
from PIL import Image

from tinyrs.datasets import (
    label_words,
    layout_scale,
    nwpu_scenes,
    phrases,
    read_aid,
    read_dior_rsvg,
    read_evaluation,
    read_nwpu,
    read_rsvqa,
    read_vhm,
    scale_of,
    sentence,
)
from tinyrs.example import Box, Task
from tinyrs.prompt import CHOOSE
from tinyrs.strictjson import BadData


def draw(path, size=(64, 48)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 120, 60)).save(path)


def vhm(human, gpt, image="a.jpg", **more):
    return {
        "image": image,
        "conversations": [{"from": "human", "value": human}, {"from": "gpt", "value": gpt}],
        **more,
    }


@pytest.fixture
def write(tmp_path):
    """write(rows) -> the JSON file that holds them, beside a picture a.jpg of 64 x 48."""
    draw(tmp_path / "a.jpg")

    def write(rows, name="rows.json"):
        path = tmp_path / name
        path.write_text(json.dumps(rows))
        return path

    return write


# ---- VHM


def test_vhm_rows_become_examples(write, tmp_path):
    path = write(
        [
            vhm("<image>\n{CLS} Classify the image within one of the given classes: port, beach.", "port"),
            vhm("<image>\n{VQA} Is a road present?", "yes", image=["a.jpg"]),
            vhm("{VG} Identify the location of the bridge.<image>", "[[10,20,300,400]]"),
            vhm("<image>\n{IT} Describe the image in detail.", "A bridge."),
        ]
    )
    classed, asked, grounded, described = read_vhm(path, box_scale=1000)
    assert classed.question.task is Task.CLASSIFICATION and classed.question.labels == ("port", "beach")
    assert classed.question.text == "Classify the image within one of the given classes: port, beach."
    assert (asked.question.task, asked.answer, asked.picture) == (Task.VQA, "yes", tmp_path / "a.jpg")
    assert grounded.boxes == (Box(10, 20, 300, 400),) and grounded.answer == "[[10,20,300,400]]"
    assert described.question.task is Task.CAPTIONING and not described.boxes


def test_reasoning_is_taken_apart_from_the_answer(write):
    told = "<reasoning> Two lanes.\nA river. </reasoning> <answer> bridge </answer>"
    (example,) = read_vhm(write([vhm("<image>{VQA} What is this?", told)]))
    assert (example.reasoning, example.answer) == ("Two lanes.\nA river.", "bridge")


def test_several_turns_give_one_example_each(write):
    row = vhm("<image>{VQA} Is a road present?", "yes")
    row["conversations"] += vhm("{VQA} Is a ship present?", "no")["conversations"]
    assert [example.answer for example in read_vhm(write([row]))] == ["yes", "no"]


def test_the_honesty_tag_stays_with_its_question(write):
    (example,) = read_vhm(write([vhm("<image>{IDK} What color is the train?", "There is no train.")]))
    assert example.question.text == "{IDK} What color is the train?"


@pytest.mark.parametrize(
    "scale, box, size",
    [
        (1, "[[0.125,0.25,0.5,0.75]]", None),
        (100, "[[12.5,25,50,75]]", None),
        (1000, "[[125,250,500,750]]", None),
        ("pixels", "[[8,12,32,36]]", [64, 48]),  # width and height differ: a swap would show
    ],
)
def test_boxes_of_every_scale_come_out_on_1000(write, scale, box, size):
    row = vhm("<image>{VG} Identify the location of the ship.", box, **({"size": size} if size else {}))
    (example,) = read_vhm(write([row]), box_scale=scale)
    assert example.boxes[0].corners() == [125, 250, 500, 750]
    assert example.answer == "[[125,250,500,750]]"


VG = "<image>{VG} Identify the location of the ship."
GOOD = vhm("<image>{VQA} Is a road present?", "yes")


@pytest.mark.parametrize(
    "row, words",
    [
        (vhm("<image>{VQA} Q?", "a", image="missing.jpg"), "there is no file 'missing.jpg'"),
        (vhm("<image>{VQA} Q?", "a", image="../a.jpg"), "leads out of the folder"),
        (vhm("<image>{VQA} Q?", "a", image="/etc/passwd"), "absolute path"),
        (vhm("<image>{VQA} Q?", "a", image="a\x00.jpg"), "character that no"),
        (vhm("<image>{VQA} Q?", "a", image="file:a.jpg"), "an address"),
        (vhm("<image>{VQA} Q?", "a", image=None), "file name is missing"),
        (vhm("<image>{VQA} Q?", "a", image=["a.jpg", "a.jpg"]), "2 pictures"),
        (vhm("<image><image>{VQA} Q?", "a"), "stands there 2 times"),
        (vhm("{VQA} Q?", "a"), "stands there 0 times"),
        (vhm("<image>{VQA} Q?", "a <image>"), "<image> must stand once"),
        (vhm("<image>{VQA}", "a"), "its question is empty"),
        (vhm("<image>{VQA} Q?", "  "), "the answer is empty"),
        (vhm("<image>{ABC} Q?", "a"), "tag {ABC} is unknown"),
        (vhm("<image>Q?", "a", task="poetry"), "task 'poetry' is unknown"),
        (vhm("<image>Q?", "<reasoning> </reasoning> <answer> a </answer>"), "the reasoning is empty"),
        (vhm("<image>Q?", "<reasoning> r </reasoning> a"), "the answer tag is missing"),
        (vhm(VG, "[[10,20,1001,400]]"), "outside the picture"),
        (vhm(VG, "[[-1,20,100,400]]"), "outside the picture"),
        (vhm(VG, "[[300,20,100,400]]"), "wrong way round"),
        (vhm(VG, "[[10,20,100]]"), "four numbers"),
        (vhm(VG, "at the top"), "holds no box"),
        (vhm("<image>Q?", "a", note="x" * 10_000_000), "its note is 10,000,000 characters long"),
        (vhm("<image>Q?", "\ud800"), "a character that no text should"),
        (vhm("<image>Q?", "a", id=7), "its id 7 is that of row 1"),
        ({"image": "a.jpg"}, "questions and answers by turns"),
        ({"image": "a.jpg", "conversations": [{"from": "gpt", "value": "a"}] * 2}, '"human"'),
        ("a.jpg", "no JSON object"),
    ],
)
def test_an_ill_formed_row_is_refused_by_file_row_and_line(write, row, words):
    path = write([dict(GOOD, id=7), row])
    path.write_text(path.read_text().replace('}, "', '},\n"').replace("}, {", "},\n{"))
    with pytest.raises(BadData) as caught:
        read_vhm(path, box_scale=1000)
    assert words in str(caught.value)
    assert "rows.json, row 2 (line " in str(caught.value)


def test_the_line_of_a_row_is_counted(write):
    path = write([])
    path.write_text("[\n" + json.dumps(GOOD) + ",\n\n" + json.dumps(vhm("Q?", "a")) + "\n]\n")
    with pytest.raises(BadData, match=r"row 2 \(line 4\)"):
        read_vhm(path)


def test_a_box_without_a_scale_is_refused(write):
    with pytest.raises(BadData, match="give box_scale"):
        read_vhm(write([vhm(VG, "[[1,2,3,4]]")]))


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    draw(tmp_path / "outside.jpg")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").symlink_to(tmp_path / "outside.jpg")
    path = tmp_path / "in" / "rows.json"
    path.write_text(json.dumps([GOOD]))
    with pytest.raises(BadData, match="link that leads out"):
        read_vhm(path)


@pytest.mark.parametrize("rows, words", [({"a": 1}, "a list of rows"), ([], "holds no rows")])
def test_a_file_without_rows_is_refused(write, rows, words):
    with pytest.raises(BadData, match=words):
        read_vhm(write(rows))


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "big"])
def test_only_a_number_or_pixels_is_a_scale(text):
    assert scale_of("1000") == 1000 and scale_of("pixels") == "pixels" and scale_of(None) is None
    with pytest.raises(BadData, match="A box scale is"):
        scale_of(text)


# ---- evaluation JSON


def test_pictures_of_a_benchmark_are_found_where_the_layout_says(tmp_path):
    for folder in ("cls_X", "other", "far"):
        draw(tmp_path / folder / "a.jpg")
    (tmp_path / "json").mkdir()
    question = ("<image>{CLS} Classify the image within one of the given classes: port, beach.", "port")
    rows = [
        vhm(*question),
        vhm(*question, image_path="other"),
        vhm(*question, image_path="other/a.jpg"),
        vhm(*question, image_path=str(tmp_path / "far")),
        vhm(*question, image_path=str(tmp_path / "far" / "a.jpg")),
    ]
    path = tmp_path / "cls_X.json"
    path.write_text(json.dumps(rows))
    folders = [example.picture.parent.name for example in read_evaluation(path, "cls")]
    assert folders == ["cls_X", "other", "other", "far", "far"]
    folders = {example.picture.parent.name for example in read_evaluation(path, "cls", tmp_path / "far")}
    assert folders == {"far"}


def test_tags_are_taken_off_and_types_are_kept(write):
    path = write(
        [
            vhm("<image>\n{VQA} Is a road present?", "yes", type="presence"),
            vhm("<image>\nHow many roads are present?", "3", type=["5", "10"]),
        ]
    )
    closed, counted = read_evaluation(path, "vqa")
    assert closed.question.text == "Is a road present?"
    assert (closed.question.labels, closed.kinds) == (("yes", "no"), ("presence",))
    assert (counted.question.task, counted.kinds) == (Task.COUNTING, ("5", "10"))


def test_boxes_of_a_benchmark_are_pixels_of_its_size(write):
    # 800 wide, 600 high: [height, width] in this layout, which the released scorer exchanges.
    row = vhm("<image>{VG} the ship", "[80,60,400,300]", size=[600, 800])
    (example,) = read_evaluation(write([row]), "grounding")
    assert example.boxes[0].corners() == [100, 100, 500, 500] and example.size == (800, 600)
    (example,) = read_evaluation(write([row]), "grounding", box_scale=1000)
    assert example.boxes[0].corners() == [80, 60, 400, 300]


def test_a_benchmark_without_sizes_is_on_1000_and_a_mixed_one_is_refused(write, tmp_path):
    row = vhm("<image>{VG} the ship", "[[80,60,400,300]]")
    assert read_evaluation(write([row]), "grounding")[0].boxes[0].corners() == [80, 60, 400, 300]
    assert (
        layout_scale(tmp_path, [row]) == 1000 and layout_scale(tmp_path, [dict(row, size=[1, 1])]) == "pixels"
    )
    with pytest.raises(BadData, match="rows with a size and rows without"):
        read_evaluation(write([row, dict(row, size=[600, 800])]), "grounding")


def test_a_true_box_outside_its_picture_is_an_error(write):
    row = vhm("<image>{VG} the ship", "[80,60,400,700]", size=[600, 800])
    with pytest.raises(BadData, match=r"row 1 .*outside the picture"):
        read_evaluation(write([row]), "grounding")


def test_choices_are_read_from_both_layouts_of_lhrs(tmp_path, write):
    asked = CHOOSE.format(question="What is shown?", choices="A. a road B. a river")
    (ours,) = read_evaluation(write([vhm(f"<image>{asked}", "B", type=["1"])]), "choice")
    raw = {
        "data": [
            {
                "filename": "a.jpg",
                "qa_pairs": [
                    {
                        "question": "What is shown?",
                        "choices": "A. a road B. a river",
                        "answer": "B",
                        "type": ["1"],
                    }
                ],
            }
        ],
        "qtype": {"1": "identity"},
    }
    (theirs,) = read_evaluation(write(raw), "choice")
    assert ours == theirs
    assert ours.question.labels == ("A", "B") and ours.kinds == ("1",)


@pytest.mark.parametrize(
    "kind, row, words",
    [
        ("choice", vhm("<image>What is shown?", "B"), "offers no choices"),
        ("vqa", vhm("<image>What is shown?", " "), "its answer is empty"),
        ("vqa", vhm("<image>", "yes"), "its question is empty"),
        ("vqa", vhm("<image>Q?", "yes", image="../a.jpg"), "leads out"),
        ("vqa", vhm("<image>Q?", "yes", image_path="..", image="a.jpg"), "leads out"),
        ("vqa", vhm("<image>Q?", "yes", image_path=7), "no path"),
        ("vqa", vhm("<image>Q?", "yes", size=[0, 5]), "size must be"),
        ("grounding", vhm("<image>the ship", "somewhere"), "holds no box"),
    ],
)
def test_an_ill_formed_row_of_a_benchmark_is_refused(write, kind, row, words):
    with pytest.raises(BadData, match=words):
        read_evaluation(write([row]), kind)


def test_an_unknown_kind_is_refused(write):
    with pytest.raises(BadData, match="kind 'poetry' is unknown"):
        read_evaluation(write([GOOD]), "poetry")


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
    for split, words in (("val", "names object 3, and there are 3"), ("train", "whole number"), ("no", "no file")):
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
