"""A file of captions is looked through to its end: each finding with its row, nothing for sound captions."""

import json

import pytest

from annotate.check import check_file
from annotate.export import export
from annotate.rules import Refused
from annotate.store import Store
from tests.store_parts import ROOF, add_caption, head
from tinyrs.checks import CHECKS

SOUND = (
    "The picture shows open land with straight edges. The plots are green and brown and have no buildings. "
    "This pattern of plots is typical of farmland."
)
DAM = (  # the caption of the paper's Figure 2 whose reasoning and box disagree, shortened
    "Looking at the bottom part of the image, there is a long, straight, grayish structure that looks like a "
    "dam. This structure is surrounded by water on both sides. The coordinates for this bounding box would "
    "start around the left side near 381 pixels horizontally and 825 pixels vertically, extending to about "
    "878 pixels horizontally and 811 pixels vertically."
)
CLASSES = "{CLS} Classify the image within one of the given classes: farmland, port, desert."


def row(told, asked=CLASSES, **more):
    turns = [{"from": "human", "value": f"<image>\n{asked}"}, {"from": "gpt", "value": told}]
    return {"image": "not/looked/at.png", "conversations": turns, **more}


def thought(reasoning, answer):
    return f"<reasoning> {reasoning} </reasoning> <answer> {answer} </answer>"


@pytest.fixture
def found(tmp_path):
    """Write rows and check them: {row: [names of checks]}."""

    def look(*rows, **more):
        (tmp_path / "list.json").write_text(json.dumps(rows))
        names = {}
        for each in check_file(tmp_path / "list.json", **more):
            assert each.check in {*CHECKS, "row"} and each.sentence
            names.setdefault(each.row, []).append(each.check)
        return names

    return look


def test_sound_captions_pass_in_silence(found):
    assert (
        found(row(thought(SOUND, "farmland")), row(thought(SOUND, "farmland"), task="classification")) == {}
    )


def test_a_finding_names_its_row_and_the_rest_is_still_looked_at(found):
    sound = row(thought(SOUND, "farmland"))
    rows = [sound, row(thought(SOUND, "port")), sound, row(thought(SOUND, "jungle")), "text", {"image": 1}]
    names = found(*rows)
    assert names[2] == ["contradiction"]
    assert "label" in names[4]
    assert names[5] == names[6] == ["row"]
    assert set(names) == {2, 4, 5, 6}


def test_the_caption_of_figure_2_whose_reasoning_and_box_disagree_is_found(found):
    dam = row(thought(DAM, "[0.381,0.625,0.876,0.811]"), "{VG} Identify the location of a gray dam.")
    assert found(dam, box_scale=1) == {1: ["numbers"]}
    assert "format" in found(dam)[1]  # and the scale itself, where nobody told it


@pytest.mark.parametrize(
    "told",
    [
        "",
        "farmland",  # beside rows with reasoning
        "<reasoning> </reasoning> <answer> farmland </answer>",
        f"<reasoning> {SOUND} </reasoning>",
        f"{thought(SOUND, 'farmland')} And more.",
        thought(SOUND, ""),
        f"<reasoning> {SOUND} <answer> farmland </answer>",
    ],
)
def test_a_text_that_breaks_its_form_is_a_finding(found, told):
    assert "format" in found(row(thought(SOUND, "farmland")), row(told))[2]


def test_answers_alone_are_checked_as_answers(found):
    assert found(row("farmland"), row("jungle"), row("")) == {2: ["label"], 3: ["format"]}


def test_every_turn_is_looked_at(found):
    two = row(thought(SOUND, "farmland"))
    two["conversations"] += row(thought(SOUND, "port"))["conversations"]
    assert found(two) == {1: ["contradiction"]}


@pytest.mark.parametrize(
    "bad",
    [
        row("farmland", task="nonsense"),
        row("farmland", "{NEW} What is it?"),
        row("farmland", " "),
        row("farmland", labels="farmland"),
        row("farmland", labels=[1]),
        row("farm\ud800land"),
        row("x" * 200_000),
        {"conversations": [{"value": "x"}]},
        {"conversations": [{"value": 1}, {"value": 2}]},
        {"conversations": [1, 2]},
        {"conversations": {}},
        [],
        None,
    ],
)
def test_a_row_that_cannot_be_read_is_a_finding(found, bad):
    assert found(bad) == {1: ["row"]}


@pytest.mark.parametrize("text", ["", "{}", "[]", "7", "[", "\xff"])
def test_a_file_without_rows_is_refused(tmp_path, text):
    (tmp_path / "list.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(Refused):
        list(check_file(tmp_path / "list.json"))


def test_an_export_of_sound_captions_has_no_findings(tmp_path):
    with Store(tmp_path / "a.db") as store:
        sound = (
            "The image shows a bright rectangular roof in the left part. It is the only bright structure "
            "that can be seen, and its edges are clear."
        )
        caption = add_caption(store, sound, "[[80,100,470,520]]", ROOF)
        store.add_review(head(store, caption), "accept", author="Bob")
        export(store, tmp_path / "out")
    assert list(check_file(tmp_path / "out" / "cot_sft.json")) == []
