"""annotate/lineage.py: from a text to its exports and the checkpoints, and back."""

import hashlib
import json

import pytest

from annotate.__main__ import main
from annotate.export import export
from annotate.lineage import learnt_from, of_caption, of_checkpoint, told
from annotate.rules import NotFound, Refused
from annotate.store import Store
from tests.store_parts import add_caption, head
from training.checkpoint import declare
from training.recipe import Recipe


@pytest.fixture
def made(tmp_path):
    """A store with two exports of one caption, the second of a better text, and a checkpoint of each."""
    with Store(tmp_path / "a.db") as store:
        caption = add_caption(store)
        for name, text in (("one", "The roof is bright. It is wide."), ("two", "The roof is bright and wide.")):
            revision = store.save_correction(head(store, caption), reasoning=text, answer="[[80,100,470,520]]", author="Ada")
            store.add_review(revision, "accept", author="Bob")
            export(store, tmp_path / name)
        base = tmp_path / "base"
        base.mkdir()
        for name in ("one", "two"):
            folder = tmp_path / f"model-{name}"
            folder.mkdir()
            declare(base, folder, Recipe(data=str(tmp_path / name)), (784, 78400))
            base = folder
        yield store, tmp_path


def manifest(folder):
    return hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()


def test_a_checkpoint_remembers_the_exports_of_all_its_stages(made):
    _, folder = made
    assert learnt_from(folder / "model-one") == [manifest(folder / "one")]
    assert learnt_from(folder / "model-two") == [manifest(folder / "one"), manifest(folder / "two")]


def test_a_caption_leads_to_its_exports_and_checkpoints(made):
    store, folder = made
    found = of_caption(store, 1, [folder / "model-one", folder / "model-two"])
    assert [row["author"] for row in found["revisions"]] == ["import:test", "Ada", "Ada"]
    assert [row["verdicts"] for row in found["revisions"]] == [[], ["accept by Bob"], ["accept by Bob"]]
    went = [[(e["export"], e["row"], e["checkpoints"]) for e in row["exports"]] for row in found["revisions"]]
    assert went == [[], [(1, 0, ["model-one", "model-two"])], [(2, 0, ["model-two"])]]
    assert "row 0, learnt by model-one, model-two" in told(found)


def test_a_checkpoint_leads_back_to_the_revisions(made):
    store, folder = made
    found = of_checkpoint(store, folder / "model-two")
    assert [(e["kind"], e["revisions"]) for e in found["exports"]] == [("cot_sft", [2]), ("cot_sft", [3])]
    (folder / "model-two" / "exports.json").write_text(json.dumps({"exports": ["f" * 64]}))
    assert of_checkpoint(store, folder / "model-two")["exports"] == [{"sha256": "f" * 64}]
    assert "not of this store" in told(of_checkpoint(store, folder / "model-two"))


@pytest.mark.parametrize("text", ["{", "[]", '{"exports": 3}', '{"exports": [3]}'])
def test_what_is_no_checkpoint_is_refused(made, text):
    store, folder = made
    (folder / "model-one" / "exports.json").write_text(text)
    with pytest.raises(Refused):
        of_checkpoint(store, folder / "model-one")
    with pytest.raises(Refused):
        of_checkpoint(store, folder)
    with pytest.raises(NotFound):
        of_caption(store, 99)


def test_the_command_says_it(made, capsys):
    store, folder = made
    assert main(["lineage", "--db", str(store.path), "--caption", "1", "--checkpoint", str(folder / "model-two")]) == 0
    assert "learnt by model-two" in capsys.readouterr().out
    assert main(["lineage", "--db", str(store.path), "--checkpoint", str(folder / "model-one"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["exports"][0]["revisions"] == [2]
    assert main(["lineage", "--db", str(store.path)]) == 2
    assert "Say of what" in capsys.readouterr().err
