"""An export is used whole or not at all, and every fault is found before the first step."""

import json

import pytest
from PIL import Image

from tests import exports
from tinyrs.example import Task
from tinyrs.prompt import SYSTEM, SYSTEM_THINKING
from tinyrs.strictjson import BadData
from training.checkpoint import open_processor
from training.data import Rows, cautions, lengths, read, summary
from training.recipe import Recipe
from training.sft import Collator


@pytest.fixture
def export(tmp_path):
    return exports.make(tmp_path / "export")


def rows_of(export):
    return json.loads((export / "cot_sft.json").read_text())


def test_an_export_becomes_examples(export):
    grounded, asked, *_ = examples = read(export)
    assert len(examples) == 4
    assert grounded.question.text == "Identify the location of the house."
    assert grounded.boxes[0].corners() == [83, 111, 333, 411]
    assert (asked.question.task, asked.answer) == (Task.VQA, "no")
    assert asked.reasoning == "Something bright lies in the upper left."
    assert read(export / "cot_sft.json") == examples


def test_rows_hold_what_the_model_is_told_in_each_mode(export):
    examples = read(export)
    thinking, plain = Rows(examples, thinking=True)[0], Rows(examples)[0]
    assert thinking["prompt"][0]["content"][0]["text"] == SYSTEM_THINKING
    assert plain["prompt"][0]["content"][0]["text"] == SYSTEM
    asked = {"type": "text", "text": "{VG} Identify the location of the house."}
    assert thinking["prompt"][1]["content"] == [{"type": "image"}, asked]
    text = thinking["completion"][0]["content"][0]["text"]
    assert text == exports.REASONED.format(answer="[[83,111,333,411]]")
    assert plain["completion"][0]["content"][0]["text"] == "[[83,111,333,411]]"
    assert isinstance(thinking["image"], Image.Image) and thinking["image"].size == (120, 90)


def test_pictures_are_opened_only_when_a_row_is_asked_for(export):
    rows = Rows(read(export))
    for path in (export / "pictures").iterdir():
        path.unlink()
    assert rows.chat(0)["prompt"]
    with pytest.raises(BadData, match="cannot be used"):
        rows[0]


def break_manifest(export):
    (export / "manifest.json").unlink()


def break_rows(export):
    path = export / "cot_sft.json"
    path.write_bytes(path.read_bytes()[:-30])


def break_picture(export):
    path = next((export / "pictures").iterdir())
    path.write_bytes(path.read_bytes() + b" ")


def lose_picture(export):
    next((export / "pictures").iterdir()).unlink()


@pytest.mark.parametrize(
    "fault, words",
    [
        (break_manifest, "holds no manifest.json, which is written last"),
        (break_rows, "cot_sft.json is not the file that manifest.json describes"),
        (break_picture, "its checksum differs"),
        (lose_picture, "there is no file 'pictures/"),
        (lambda export: (export / "manifest.json").write_text("[]"), "must hold a JSON object"),
        (lambda export: (export / "manifest.json").write_text('{"files'), "half written"),
        (lambda export: (export / "manifest.json").write_text('{"files": {"a": 1}}'), "sha256 of each"),
        (lambda export: (export / "manifest.json").write_text('{"files": {}}'), "which of its files"),
        (lambda export: exports.seal(export, rows_of(export), count=3), "holds 4 rows; manifest.json says 3"),
        (lambda export: exports.seal(export, {}), "must hold a list of rows"),
        (
            lambda export: exports.seal(export, rows_of(export), files={"../x": "0" * 64}, file="../x"),
            "leads out of the folder",
        ),
    ],
)
def test_an_export_that_is_not_whole_is_refused(export, fault, words):
    fault(export)
    with pytest.raises(BadData) as caught:
        read(export)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda row: row.update(image="pictures/none.png"), "there is no file"),
        (lambda row: row.update(image="../a.png"), "leads out"),
        (lambda row: row["conversations"][0].update(value="<image><image> Q?"), "stands there 2 times"),
        (lambda row: row["conversations"][1].update(value="no"), "its reasoning is empty"),
        (
            lambda row: row["conversations"][1].update(
                value="<reasoning>  </reasoning> <answer> no </answer>"
            ),
            "the reasoning is empty",
        ),
        (
            # a box in words, where no box was asked for
            lambda row: row["conversations"][1].update(
                value=exports.REASONED.format(answer="[[1,2,3,4000]]")
            ),
            "broken or lies outside",
        ),
        (lambda row: row.update(id="caption-0-1"), "its id 'caption-0-1' is that of row 1"),
        (lambda row: row.update(task="poetry"), "task 'poetry' is unknown"),
        (lambda row: row.update(note="x" * 10_000_000), "its note is 10,000,000 characters long"),
    ],
)
def test_an_ill_formed_row_is_refused_by_number_although_the_checksums_fit(export, change, words):
    rows = rows_of(export)
    change(rows[1])
    exports.seal(export, rows)
    with pytest.raises(BadData, match=r"row 2 \(line 1\)") as caught:
        read(export)
    assert words in str(caught.value)


def test_a_picture_that_cannot_be_opened_is_refused(export):
    rows = rows_of(export)
    (export / "pictures" / "broken.png").write_bytes(b"no picture")
    rows[0]["image"] = "pictures/broken.png"
    exports.seal(export, rows)
    with pytest.raises(BadData, match="broken.png cannot be used"):
        read(export)


def test_a_plain_file_needs_its_box_scale_and_sound_pictures(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    turns = [
        {"from": "human", "value": "<image>{VG} the ship"},
        {"from": "gpt", "value": "[[0.1,0.2,0.3,0.4]]"},
    ]
    path = tmp_path / "list.json"
    path.write_text(json.dumps([{"image": "a.png", "conversations": turns}]))
    with pytest.raises(BadData, match="give box_scale"):
        read(path)
    assert read(path, box_scale=1)[0].answer == "[[100,200,300,400]]"
    with pytest.raises(BadData, match="reasoning is empty"):
        read(path, box_scale=1, needs_reasoning=True)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(BadData, match="a.png is no picture"):
        read(path, box_scale=1)


def test_a_heavy_hand_and_self_review_are_pointed_out(export):
    assert cautions(export) == []  # 4 rows are too few to speak of shares
    exports.seal(export, rows_of(export), count=20, authors={"anna": 5, "ben": 4}, self_reviewed=2)
    assert cautions(export) == [
        "anna wrote 5 of 20 rows, more than a fifth.",
        "2 of 20 rows were reviewed by the person who wrote them.",
    ]
    assert cautions(export.parent) == []


def test_the_summary_counts_what_would_be_trained(export, untrained):
    processor = open_processor(untrained, (112 * 112, 280 * 280))
    rows = Rows(read(export), thinking=True)
    measured = lengths(rows, processor)
    # 120 x 90 is enlarged to 140 x 112: 10 x 8 patches, four to a token.
    assert {visual for _, visual in measured} == {5 * 4}
    batch = Collator(processor)([rows[0]])
    assert sum(measured[0]) == batch["input_ids"].shape[1]
    text = summary(rows, measured, Recipe(batch_size=2, num_train_epochs=3))
    counted = dict(line.rsplit(None, 1) for line in text.splitlines()[:5])
    assert counted == {
        "rows": "4",
        "  grounding": "2",
        "  vqa": "2",
        "  with reasoning": "4",
        "  word for word the same": "0",
    }
    assert "balance           off" in text and "pictures          4, none missing" in text
    assert "boxes             2, trained on a scale of 1000" in text and "6 of 2 rows" in text
    assert f"longest row       {max(map(sum, measured))} tokens" in text


def test_the_summary_tells_the_balance_the_copies_and_the_declared_scale_of_a_hand_counted_set(tmp_path, untrained):
    Image.new("RGB", (120, 90)).save(tmp_path / "a.png")
    asked = [("{VQA} Is a road present?", "no")] * 8 + [("{VG} the ship", "[[0.1,0.2,0.3,0.4]]")]
    rows = [
        {"image": "a.png", "conversations": [{"from": "human", "value": f"<image>{q}"}, {"from": "gpt", "value": a}]}
        for q, a in asked
    ]
    path = tmp_path / "list.json"
    path.write_text(json.dumps(rows))
    rows = Rows(read(path, box_scale=1))
    recipe = Recipe(balance=True, data=str(path), box_scale="1", batch_size=3)
    text = summary(rows, lengths(rows, open_processor(untrained, (112 * 112, 280 * 280))), recipe)
    # 8 rows of weight 1 and 1 of weight 5 are 13 parts: 9 x 8/13 = 5.5 and 9 x 5/13 = 3.5; the epoch stays at 9.
    assert "  vqa             6 (weight 1)" in text and "  grounding       3 (weight 5)" in text
    assert "word for word the same  7" in text and "pictures          1, none missing" in text
    assert "1, declared as 0 to 1, trained on a scale of 1000" in text and "3 of 3 rows" in text


def test_all_rows_whose_pictures_are_missing_are_told_at_once(tmp_path):
    turns = [{"from": "human", "value": "<image>{VQA} Q?"}, {"from": "gpt", "value": "a"}]
    path = tmp_path / "list.json"
    path.write_text(json.dumps([{"image": f"{number}.png", "conversations": turns} for number in range(8)]))
    with pytest.raises(BadData) as caught:
        read(path)
    assert "the pictures of 8 rows cannot be used: row 1: there is no file '0.png'; row 2" in str(caught.value)
    assert str(caught.value).endswith("row 5: there is no file '4.png', and 3 more.")
