"""Reviewed captions are mixed in by weight, and what people refused is learnt no more."""

import json
from collections import Counter

import pytest

from annotate.export import export
from annotate.imports import import_captions
from annotate.store import Store
from tests import exports
from tests.store_parts import head
from tests.test_sft import SMOKE
from tinyrs.strictjson import BadData
from training.balance import drawn, epoch_order, weights
from training.checkpoint import weights_digest
from training.corrections import mix
from training.data import read
from training.recipe import BadRecipe, make
from training.sft import main


@pytest.fixture
def base(tmp_path):
    """A data set of eight rows, half of them grounding."""
    return exports.make(tmp_path / "base", 8)


@pytest.fixture
def reviewed(base, tmp_path):
    """The export of what two people said about it: 1 corrected, 2 rejected, 3 accepted as it was, 4 waits."""
    with Store(tmp_path / "tinyrs.db") as store:
        import_captions(store, base / "cot_sft.json")
        better = store.save_correction(
            head(store, 1), reasoning="A house at the upper left.", answer="[[80,110,340,420]]", author="Ann"
        )
        store.add_review(better, "accept", author="Bob")
        store.add_review(head(store, 2), "reject", author="Bob")
        store.add_review(head(store, 3), "accept", author="Bob")
        store.save_correction(head(store, 4), reasoning="Waits.", answer="no", author="Ann")
        export(store, tmp_path / "reviewed")
    return tmp_path / "reviewed"


def test_what_was_refused_or_replaced_is_left_out_and_what_was_accepted_comes_in(base, reviewed):
    examples = read(base)
    rows = mix(examples, reviewed, "tinyrs", True)
    assert (len(rows), rows.corrected, rows.left_out) == (7, 2, 3)
    texts = [(example.picture.name, example.reasoning, example.answer) for example in rows.examples]
    before = [(example.picture.name, example.reasoning, example.answer) for example in examples]
    # Row 4's correction waits for a review, so its old text stays.
    assert texts[:5] == before[3:]
    assert texts[5:] == [(before[0][0], "A house at the upper left.", "[[80,110,340,420]]"), before[2]]
    assert rows.tasks[3:] == ["grounding", "vqa", "grounding, corrected", "grounding, corrected"]


def test_the_same_words_about_another_picture_stay(base, reviewed):
    rows = json.loads((base / "cot_sft.json").read_text())
    rows[5]["image"], rows[1]["image"] = rows[1]["image"], rows[5]["image"]
    exports.seal(base, rows)
    mixed = mix(read(base), reviewed, "tinyrs", True)
    # The refused text "no" was about picture 2, which row 6 asks about now.
    assert mixed.left_out == 3
    named = [example.picture.name for example in mixed.examples]
    assert rows[1]["image"].rpartition("/")[2] in named


def test_reviewed_rows_are_drawn_by_their_weight(base, reviewed):
    tasks = mix(read(base), reviewed, "tinyrs", True).tasks
    counts = Counter(tasks)
    assert counts == {"vqa": 3, "grounding": 2, "grounding, corrected": 2}
    assert weights(counts, balance=False, corrected=4) == {
        "grounding": 1,
        "grounding, corrected": 4,
        "vqa": 1,
    }
    # 3 + 2 + 2 x 4 are 13 parts of an epoch of 7 rows.
    assert drawn(tasks, balance=False, corrected=4) == {"grounding": 1, "grounding, corrected": 4, "vqa": 2}
    # Balanced, the two kinds of grounding are one task: 4 of them against 3.
    assert weights(counts, corrected=2)["grounding, corrected"] == 2
    assert weights(counts, corrected=2)["vqa"] == pytest.approx(4 / 3)
    order = epoch_order(tasks, 0, 0, balance=False, corrected=4)
    assert len(order) == 7 and Counter(tasks[row] for row in order)["grounding, corrected"] == 4


def test_some_of_the_rows_are_still_told_apart(base, reviewed):
    rows = mix(read(base), reviewed, "tinyrs", True).only([0, 4, 6])
    assert rows.tasks == ["vqa", "vqa", "grounding, corrected"]


def test_what_is_no_whole_export_is_refused(base, reviewed, tmp_path):
    examples = read(base)
    for folder in (tmp_path / "nowhere", base / "cot_sft.json"):
        with pytest.raises(BadData, match="no export of kind"):
            mix(examples, folder, "tinyrs", True)
    manifest = json.loads((reviewed / "manifest.json").read_text())
    for refused in ("x", [7], [{"picture": "x"}]):
        (reviewed / "manifest.json").write_text(json.dumps({**manifest, "refused": refused}))
        with pytest.raises(BadData, match="refused"):
            mix(examples, reviewed, "tinyrs", True)
    (reviewed / "manifest.json").write_text(json.dumps({**manifest, "kind": "dpo"}))
    with pytest.raises(BadData, match="no export of kind"):
        mix(examples, reviewed, "tinyrs", True)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"corrections_weight": 0}, "corrections_weight must be"),
        ({"stage": "grpo", "corrections": "x"}, "Stage grpo takes an export"),
        ({"stage": "dpo", "corrections": "x"}, "Stage dpo takes an export"),
    ],
)
def test_nonsense_in_a_recipe_is_refused(values, words):
    with pytest.raises(BadRecipe, match=words):
        make(**values)


def test_a_dry_run_says_what_is_mixed_in_and_left_out(base, reviewed, untrained, tmp_path, capsys):
    args = ["--config", SMOKE, "--data", str(base), "--model", str(untrained), "--dry-run"]
    assert main([*args, "--corrections", str(reviewed), "--corrections_weight", "4"]) == 0
    said = capsys.readouterr().out
    assert "Mixed in: 2 reviewed captions. Left out as refused or reviewed: 3." in said
    assert "grounding, corrected 4 (weight 4)" in " ".join(said.split())
    assert main([*args, "--corrections", str(tmp_path / "nowhere")]) == 2
    assert "no export of kind" in capsys.readouterr().err


@pytest.mark.train
def test_the_stage_trains_on_the_mixture(base, reviewed, untrained, tmp_path):
    args = ["--config", SMOKE, "--data", str(base), "--model", str(untrained), "--max_pixels", "12544"]
    args += ["--max_steps", "2", "--save_steps", "0", "--corrections", str(reviewed)]
    for weight in ("1", "4"):
        flags = ["--output_dir", str(tmp_path / weight), "--corrections_weight", weight]
        assert main([*args, *flags]) == 0
    assert weights_digest(tmp_path / "1") != weights_digest(tmp_path / "4")
