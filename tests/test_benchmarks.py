"""The evaluation layout, made at small size, becomes Examples; the ill-formed is refused by file and row."""

import json

import pytest

from tests.layouts import GOOD, draw, vhm
from tests.layouts import write as write
from tinyrs.benchmarks import layout_scale, read_evaluation
from tinyrs.example import Task
from tinyrs.prompt import CHOOSE
from tinyrs.strictjson import BadData


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
