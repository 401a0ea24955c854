"""VHM's layout, made at small size, becomes Examples; the ill-formed is refused by file and row."""

import json

import pytest

from tests.layouts import GOOD, draw, vhm
from tests.layouts import write as write
from tinyrs.datasets import read_vhm, scale_of
from tinyrs.example import Box, Task
from tinyrs.strictjson import BadData


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
