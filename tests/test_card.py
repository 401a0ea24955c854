"""The card says where a checkpoint comes from and what it was measured to reach; the token stays where it is."""

import json
import subprocess

import pytest

from tests import exports
from tests.test_sft import Told, small
from tinyrs.config import ROOT
from tinyrs.models import resolve
from training import card as module
from training.card import add_scores, card, commit, main, push
from training.data import Rows, read
from training.recipe import BadRecipe, Recipe
from training.sft import run

MEASURED = {"rows": 1000, "steps": 63, "seconds": 5}
CANARY = "hf_canary_77aa"


def test_a_card_names_a_base_of_the_hub_and_no_path_of_this_machine(tmp_path):
    recipe = Recipe(output_dir=str(tmp_path), data=str(tmp_path / "rows.json"))
    text = card(recipe, "owner/base", "mine", MEASURED, [{"loss": 2.0, "step": 1}])
    assert "base_model: owner/base" in text and "1,000 rows, 63 steps" in text
    text = card(recipe, tmp_path, "mine", MEASURED, [])
    assert "base_model" not in text and str(tmp_path) not in text and "| data | rows.json |" in text


def test_a_card_tells_the_data_the_recipe_and_the_commit(tmp_path):
    folder = exports.make(tmp_path / "export", 5)
    rows = Rows(read(folder))
    text = card(Recipe(data=str(folder), learning_rate=3e-5), "owner/base", "mine", MEASURED, [], rows)
    digest = exports.sha256(folder / "cot_sft.json")
    for line in (
        "| rows, grounding | 3 |",
        "| rows, vqa | 2 |",
        f"| checksum of the rows | {rows.identity} |",
        "| data, kind | cot_sft |",
        "| data, authors | 1 |",
        f"| data, sha256 | {digest} |",
        "| learning_rate | 3e-05 |",
    ):
        assert line in text
    head = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True)
    assert (head.stdout.strip() or "commit unknown") in text
    assert "anna" not in text  # how many people, not who


def test_code_without_a_history_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "ROOT", tmp_path)
    assert commit() == "commit unknown"


# ---- scores


def scores(folder, benchmark, strict, **more):
    folder.mkdir(parents=True)
    told = {
        "benchmark": benchmark,
        "n": 50,
        "strict": strict,
        "strict_interval": [strict - 0.1, strict + 0.1],
    }
    (folder / "scores.json").write_text(json.dumps({**told, "majority": 0.25, "reference": 0.9, **more}))
    return folder


def test_scores_stand_in_the_card_and_beside_the_checkpoint(checkpoint, tmp_path, capsys):
    (checkpoint / "README.md").write_text(card(Recipe(), "owner/base", "mine", MEASURED, []))
    first = scores(tmp_path / "runs" / "aid", "cls_AID", 0.5, well_formed=0.99)
    assert main([str(checkpoint), "--scores", str(first)]) == 0
    assert "| cls_AID | 50 | 50.0 | 40.0 to 60.0 | - | 99.0 | 25.0 |" in capsys.readouterr().out
    scores(tmp_path / "runs" / "aid" / "more", "cls_AID", 0.6)
    scores(tmp_path / "runs" / "vg", "VG", 0.2, mean_iou=0.345)
    assert main([str(checkpoint), "--scores", str(tmp_path / "runs")]) == 0
    text = (checkpoint / "README.md").read_text()
    # The newer number has taken the place of the older, and the rest of the card stands.
    assert text.count("| cls_AID |") == 1 and "| VG | 50 | 20.0 | 10.0 to 30.0 | 0.345 | - | 25.0 |" in text
    assert "Not measured" not in text and "## Recipe" in text and text.count(module.START) == 1
    measured = resolve(str(checkpoint)).measured
    assert measured["VG"] == {
        "n": 50, "strict": 0.2, "strict_interval": pytest.approx([0.1, 0.3]), "majority": 0.25, "mean_iou": 0.345
    }  # fmt: skip


def test_a_card_that_somebody_else_wrote_is_kept(checkpoint, tmp_path):
    (checkpoint / "README.md").write_text("# Mine\n\nMy words.\n")
    add_scores(checkpoint, [scores(tmp_path / "aid", "cls_AID", 0.5)])
    text = (checkpoint / "README.md").read_text()
    assert text.startswith("# Mine\n\nMy words.\n") and "| cls_AID |" in text


@pytest.mark.parametrize(
    ("name", "words"),
    [("nothing", "holds no scores.json"), ("unscored", "holds no strict score"), ("broken", "is no JSON")],
)
def test_what_is_no_score_is_one_sentence_and_changes_nothing(checkpoint, tmp_path, capsys, name, words):
    (tmp_path / "nothing").mkdir()
    scores(tmp_path / "unscored", "captions", 0.5, n=None)
    scores(tmp_path / "broken", "x", 0.5)
    (tmp_path / "broken" / "scores.json").write_text('{"n": 1')
    before = (checkpoint / "tinyrs.json").read_text()
    assert main([str(checkpoint), "--scores", str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert words in said and len(said.strip().splitlines()) == 1
    assert (checkpoint / "tinyrs.json").read_text() == before
    assert main([str(tmp_path / "nothing")]) == 2
    assert "no finished checkpoint" in capsys.readouterr().err


# ---- the hub


@pytest.fixture
def hub(monkeypatch):
    """A hub that notes what it is sent; `hub.fails` is what it raises."""

    class Hub:
        fails, sent, created, tokens = None, [], [], []

        def __init__(self, token=None):
            self.tokens.append(token)

        def create_repo(self, name, **settings):
            if Hub.fails:
                raise Hub.fails
            self.created.append((name, settings))

        def upload_folder(self, *, repo_id, folder_path, ignore_patterns, commit_message):
            from huggingface_hub.utils import filter_repo_objects

            paths = [str(path.relative_to(folder_path)) for path in folder_path.rglob("*") if path.is_file()]
            self.sent.append(sorted(filter_repo_objects(paths, ignore_patterns=ignore_patterns)))
            return f"https://hub/{repo_id}"

    Hub.sent, Hub.created, Hub.tokens = [], [], []
    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    return Hub


def test_what_is_sent_is_the_checkpoint_and_nothing_of_the_run(checkpoint, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", CANARY)
    for name in ("run.json", "completions.jsonl", "judge/1.json", "checkpoint-2/model.safetensors"):
        (checkpoint / name).parent.mkdir(exist_ok=True)
        (checkpoint / name).write_text("{}")
    assert push(checkpoint, "me/mine") == "https://hub/me/mine"
    assert hub.created == [("me/mine", {"private": True, "exist_ok": True})] and hub.tokens == [CANARY]
    (sent,) = hub.sent
    assert {"model.safetensors", "config.json", "tinyrs.json"} <= set(sent)
    assert not [name for name in sent if name.startswith(("run", "completions", "judge", "checkpoint-"))]


def test_without_a_token_nothing_is_trained_and_nothing_is_sent(checkpoint, hub, tmp_path, capsys):
    with pytest.raises(BadRecipe, match="HF_TOKEN"):
        run(small(push_to_hub="me/mine"), Told(), model=checkpoint, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert main([str(checkpoint), "--push_to_hub", "me/mine"]) == 2
    assert main([str(checkpoint), "--push_to_hub", "nonsense"]) == 2
    assert "must be owner/name" in capsys.readouterr().err and not hub.tokens


def test_a_hub_that_refuses_is_one_sentence_without_the_token(checkpoint, hub, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", CANARY)
    hub.fails = RuntimeError(f"401: Bearer {CANARY} is not welcome\nTraceback")
    assert main([str(checkpoint), "--push_to_hub", "me/mine"]) == 2
    said = capsys.readouterr()
    assert "me/mine was not sent to the hub: 401" in said.err and CANARY not in said.err + said.out


@pytest.mark.train
def test_a_run_sends_what_it_made_once_it_is_whole(untrained, tmp_path, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", CANARY)
    out = run(
        small(max_steps=1, push_to_hub="me/mine"),
        Told(),
        model=untrained,
        output=tmp_path / "out",
        quiet=True,
    )
    assert {"README.md", "model.safetensors", "tinyrs.json"} <= set(hub.sent[0])
    for path in out.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes()
