"""Single sentences: what is read in them, on writers whose sentences the weights have not seen, and how the weights are made."""

import json
from pathlib import Path

import pytest

from tinyrs import sentences
from training import sentences as trainer

UNSEEN = [
    json.loads(line)
    for line in Path(__file__).with_name("sentences_unseen.jsonl").read_text("utf-8").splitlines()
]


def of(kind: str) -> list[dict]:
    return [row for row in UNSEEN if row["kind"] == kind]


def share(rows, holds) -> float:
    return sum(map(holds, rows)) / len(rows)


def test_none_of_the_unseen_sentences_was_trained_on():
    known = {row["sentence"].lower() for row in trainer.read()}
    assert not [row for row in UNSEEN if row["sentence"].lower() in known]


def test_leaks_of_unseen_writers_are_found_and_ordinary_sentences_are_not_doubted():
    def told(row):
        return sentences.leaks(row["sentence"]) > 0

    assert share(of("leak"), told) >= 0.95
    assert share(of("place") + of("elsewhere"), told) <= 0.02
    assert share(of("sound"), told) <= 0.15, "most were written to look like leaks"


@pytest.mark.parametrize("text", ["", " ", "...", "\x00", "\ud800", "桥", "7 7 7", "x" * 10_000])
def test_any_text_can_be_read(text):
    assert isinstance(sentences.leaks(text), float)


def test_numbers_endings_and_quotes_make_no_difference():
    one = sentences.pieces('The label "3" was given.')
    assert one == sentences.pieces("the labels 47 was given.") and "# was" in one


def test_what_is_trained_is_what_is_read_afterwards(tmp_path, monkeypatch):
    rows = [row for row in trainer.read() if row["lot"] in (1, 2)][::6]
    model = trainer.train(rows)
    path = tmp_path / "sentences.json"
    trainer.write(model, 0.25, path)
    monkeypatch.setattr(sentences, "WEIGHTS", path)
    sentences._weights.cache_clear()
    try:
        for row in rows:
            assert sentences.leaks(row["sentence"]) == pytest.approx(model.leaks(row["sentence"]) - 0.25, abs=1e-3)
        right = [(model.leaks(row["sentence"]) > 0) == (row["kind"] == "leak") for row in rows]
        assert sum(right) / len(right) > 0.95, "it has learnt what it was shown"
    finally:
        sentences._weights.cache_clear()


def test_a_lot_is_judged_by_a_model_that_has_not_seen_it(monkeypatch):
    seen = []

    class Blank:
        table: dict = {}

        def leaks(self, sentence):
            return 0.0

    monkeypatch.setattr(trainer, "train", lambda rows: seen.append({row["lot"] for row in rows}) or Blank())
    rows = [{"lot": lot, "kind": kind, "sentence": f"{lot} {kind}"} for lot in range(1, 9) for kind in ("leak", "sound")]
    told = trainer.unseen(rows, lambda line: None)
    assert len(told) == len(rows) and len(seen) == trainer.FOLDS
    for at, (row, _) in enumerate(told):
        assert row["lot"] not in seen[at * trainer.FOLDS // len(told)]
