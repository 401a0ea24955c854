"""Single sentences: what is read in them, on writers whose sentences the weights have not seen, and how the weights are made."""

import json
from pathlib import Path

import pytest

from tinyrs import sentences, sides
from tinyrs.example import Box
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


SPANS = {"left": (30, 190), "middle": (440, 560), "right": (800, 960), "top": (30, 190), "bottom": (800, 960)}
OPPOSITE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}


def box(x: str, y: str) -> Box:
    return Box(SPANS[x][0], SPANS[y][0], SPANS[x][1], SPANS[y][1])


def test_places_of_unseen_writers_are_held_against_the_box():
    def doubted(row, x, y):
        steps = ("Let me look carefully.", "Much is green or grey.", row["sentence"])
        return bool(sides.wrong_side(steps, [box(x, y)], "the target object"))

    plain = [row for row in of("place") if row["lot"] == 2 and (row["x"] in OPPOSITE or row["y"] in OPPOSITE)]

    def right(row):
        return doubted(row, row["x"] or "middle", row["y"] or "middle")

    def wrong(row):
        return doubted(row, OPPOSITE.get(row["x"], row["x"] or "middle"), OPPOSITE.get(row["y"], row["y"] or "middle"))

    assert share(plain, right) <= 0.06
    assert share(plain, wrong) >= 0.85


def test_what_is_read_of_a_place_is_a_probability_for_each_side():
    told = sentences.where("The ship lies near the upper left corner of the image.")
    assert told["x"]["left"] > 0.5 and told["y"]["top"] > 0.5
    for axis, names in sentences.SIDES.items():
        assert tuple(told[axis]) == names and sum(told[axis].values()) <= 1
    nothing = sentences.where("The roofs are red.")
    assert all(sum(nothing[axis].values()) < 0.5 for axis in sentences.SIDES)


@pytest.mark.parametrize("text", ["", " ", "...", "\x00", "\ud800", "桥", "7 7 7", "x" * 10_000])
def test_any_text_can_be_read(text):
    assert isinstance(sentences.leaks(text), float) and set(sentences.where(text)) == {"x", "y"}


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
        right = 0
        for row in rows:
            leak, *places = model.sums(row["sentence"])
            assert sentences.leaks(row["sentence"]) == pytest.approx(leak - 0.25, abs=1e-3)
            assert trainer.claimed([leak, *places]) == {
                axis: max(told, key=told.get)
                for axis, told in sentences.where(row["sentence"]).items()
                if max(told.values()) >= trainer.DOUBT
            }
            right += (leak > 0) == (row["kind"] == "leak")
        assert right / len(rows) > 0.95, "it has learnt what it was shown"
    finally:
        sentences._weights.cache_clear()


def test_a_lot_is_judged_by_a_model_that_has_not_seen_it(monkeypatch):
    seen = []

    class Blank:
        table: dict = {}

        def sums(self, sentence):
            return [0.0] * 7

    monkeypatch.setattr(trainer, "train", lambda rows: seen.append({row["lot"] for row in rows}) or Blank())
    rows = [{"lot": lot, "kind": kind, "sentence": f"{lot} {kind}"} for lot in range(1, 9) for kind in ("leak", "sound")]
    told = trainer.unseen(rows, lambda line: None)
    assert len(told) == len(rows) and len(seen) == trainer.FOLDS
    for at, (row, _) in enumerate(told):
        assert row["lot"] not in seen[at * trainer.FOLDS // len(told)]
