"""An import takes a whole file or nothing, names the row that is wrong, and twice is once."""

import json

import pytest

from annotate.imports import Imported, import_captions
from annotate.store import Refused, Store
from tests.store_parts import check_whole, drawn
from tinyrs.example import Task


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "data" / "tinyrs.db") as opened:
        yield opened
        check_whole(opened)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set" / "a").mkdir(parents=True)
    for i in range(3):
        (tmp_path / "set" / "a" / f"{i}.png").write_bytes(drawn(i))
    (tmp_path / "outside.png").write_bytes(drawn(9))
    return tmp_path / "set"


def row(image="a/0.png", asked="{CLS} Which class: farm, port?", told="port", **more):
    return {
        "image": image,
        "conversations": [
            {"from": "human", "value": f"<image>\n{asked}"},
            {"from": "gpt", "value": told},
        ],
        **more,
    }


def written(folder, rows):
    (folder / "list.json").write_text(json.dumps(rows))
    return folder / "list.json"


def test_rows_become_captions_with_task_reasoning_and_source(store, folder):
    rows = [
        row(),
        row("a/1.png", "{VG} Identify the location of the roof.", "[[1,2,30,40]]"),
        row(["a/1.png"], "How many roofs?", "<reasoning>\n- One.\n- Two. </reasoning> <answer> 2 </answer>"),
    ]
    assert import_captions(store, written(folder, rows)) == Imported(3, 3, 2)
    first, second, third = (store.caption(i) for i in (1, 2, 3))
    assert first["question"].task is Task.CLASSIFICATION
    assert (first["source"], first["revision"]["author"]) == ("list.json", "import:list.json")
    assert (second["question"].task, second["revision"]["answer"]) == (Task.GROUNDING, "[[1,2,30,40]]")
    assert (third["revision"]["reasoning"], third["revision"]["answer"]) == ("- One.\n- Two.", "2")
    assert first["state"] == "annotate"


def test_the_same_file_twice_adds_nothing_and_copies_of_rows_are_one_caption(store, folder):
    file = written(folder, [row(), row(), row("a/1.png")])  # oversampling in the release is literal copies
    assert import_captions(store, file) == Imported(3, 2, 2)
    assert import_captions(store, file) == Imported(3, 0, 2)


def test_boxes_of_another_scale_are_told_and_rewritten(store, folder):
    file = written(folder, [row(asked="{VG} Identify the location of the roof.", told="[[0.1,0.2,0.3,0.4]]")])
    import_captions(store, file, box_scale=1)
    assert store.caption(1)["revision"]["answer"] == "[[100,200,300,400]]"


def test_pictures_may_lie_elsewhere(store, folder, tmp_path):
    file = tmp_path / "list.json"
    file.write_text(json.dumps([row("0.png")]))
    assert import_captions(store, file, images=folder / "a").added == 1


BAD_ROWS = [
    (row("../outside.png"), "leads out of the folder"),
    (row("/etc/passwd"), "absolute path"),
    (row("a/link.png"), "link that leads out"),
    (row("a/0.png\0"), "character"),
    (row("file:///etc/passwd"), "address"),
    (row("a/gone.png"), "no file"),
    (row("a"), "no file"),
    (row("a/text.png"), ""),  # the opener's own sentence
    (row(None), "missing"),
    (row(["a/0.png", "a/1.png"]), "2 pictures"),
    (row(asked="<image> twice?"), "<image>"),
    (row(told="<image>"), "<image>"),
    (row(told=""), "empty"),
    (row(told="<reasoning> </reasoning> <answer> a </answer>"), "reasoning is empty"),
    (row(told="<reasoning> r </reasoning>"), "answer tag is missing"),
    (row(asked="{VG} Identify the location of the roof.", told="[[1,2,1300,40]]"), "outside"),
    (row(asked="{VG} Identify the location of the roof.", told="left"), "no box"),
    (row(told="x" * 9_000), "at most 8,000"),
    (row(told="x" * 10_000_000), "characters long"),
    (row(told="a\ud800"), "character"),
    (row(told="a\x1b[2J"), "not text"),
    (row(task="nonsense"), "task"),
    (row(labels="farm"), "labels"),
    ({"image": "a/0.png"}, "conversations"),
    ({"image": "a/0.png", "conversations": [{"from": "gpt", "value": "x"}] * 2}, "conversations"),
    ("text", "no JSON object"),
]


@pytest.mark.parametrize(("bad", "word"), BAD_ROWS)
def test_a_bad_row_is_named_and_nothing_is_added(store, folder, tmp_path, bad, word):
    (folder / "a" / "link.png").symlink_to(tmp_path / "outside.png")
    (folder / "a" / "text.png").write_text("<svg/>")
    with pytest.raises(Refused) as refusal:
        import_captions(store, written(folder, [row(), bad, row("a/2.png")]))
    assert "list.json, row 2" in str(refusal.value)
    assert word in str(refusal.value)
    assert len(str(refusal.value)) < 500
    assert store.stats()["captions"]["total"] == store.stats()["pictures"] == 0


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "[NaN]", '[{"image": "a/0.png"', "\xff"])
def test_a_file_that_is_no_list_of_rows_is_refused(store, folder, text):
    (folder / "list.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(Refused, match=r"list\.json"):
        import_captions(store, folder / "list.json")
    with pytest.raises(Refused, match="no file"):
        import_captions(store, folder / "gone.json")
