"""Endless varied rows for the stages P, S and C: which picture, which question, which view, all from one seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from PIL import Image

from tinyrs.prompt import messages, target
from tinyrs.strictjson import BadData
from training.pocket import questions, rsvqa
from training.pocket.pictures import Known, Mixed
from training.pocket.questions import Row
from training.pocket.views import ABOUT_ONE_VIEW, View, view_of

MAKERS: dict[str, Callable] = {
    "classify": questions.classify,
    "describe": questions.describe,
    "locate": questions.locate,
    "locate_all": questions.locate_all,
    "whereabouts": questions.whereabouts,
    "count": questions.count,
    "presence": questions.presence,
    "published": rsvqa.published,
}


class VariedRows:
    """`len` rows an epoch for `training.sft`; row i depends on the seed, the epoch and i, on nothing else.

    mixture   share of each maker of training.pocket.questions
    thinking  with reasoning, under the thinking system prompt
    together  at most so many questions about one view of a picture stand in a row (training.sft.Collator)

    A maker for whose questions no picture is fit is left out; BadData where none is left.
    """

    def __init__(
        self,
        known: Sequence[Known],
        mixture: Mapping[str, float],
        count: int,
        thinking: bool,
        seed: int = 0,
        together: int = 1,
    ):
        self.together = together
        self.known, self.count, self.thinking, self.seed, self.epoch = known, count, thinking, seed, 0
        self.labels = sorted(
            {each.label for each in known if each.label and each.source != "drawn"}
        ) or sorted({each.label for each in known if each.label})
        self.fitting = {
            "classify": [k for k in known if k.label in self.labels],
            "describe": [k for k in known if k.captions],
            "locate": [k for k in known if k.boxes],
            "locate_all": [k for k in known if k.boxes],
            "whereabouts": [k for k in known if k.boxes],
            "count": [k for k in known if k.complete],
            "presence": [k for k in known if k.complete],
            "published": [k for k in known if k.questions],
        }
        self.mixed = {name: Mixed(fitting) for name, fitting in self.fitting.items()}
        self.mixture = {name: share for name, share in mixture.items() if self._carried(name)}
        if not self.mixture:
            raise BadData(f"None of the {len(known)} pictures carries such questions: take more of them.")

    def __len__(self) -> int:
        return self.count

    def set_epoch(self, epoch: int) -> None:
        """Another epoch shows other views."""
        self.epoch = epoch

    def _made(self, name: str, view: View, rng: np.random.Generator) -> Row | None:
        extra = {"labels": self.labels} if name == "classify" else {}
        return MAKERS[name](view, rng, **extra)

    def _carried(self, name: str) -> bool:
        """Whether some picture truly carries a question of that maker, which else would be tried for ever."""
        rng = np.random.default_rng(0)
        return any(self._made(name, view_of(known, rng, name), rng) for known in self.fitting[name] for _ in range(8))

    def view(self, index: int) -> View:
        """What the questions of row `index` are about."""
        return self._first(np.random.default_rng([self.seed, self.epoch, index]))[2]

    def make(self, index: int) -> Row:
        """The first question of row `index` before it is put into chat form."""
        return self._first(np.random.default_rng([self.seed, self.epoch, index]))[0]

    def _first(self, rng: np.random.Generator) -> tuple[Row, str, View]:
        """A question, its maker, and what it was asked of."""
        names = list(self.mixture)
        shares = np.array([self.mixture[name] for name in names])
        while True:
            name = names[int(rng.choice(len(names), p=shares / shares.sum()))]
            known = self.mixed[name].draw(rng)
            for _ in range(4):
                view = view_of(known, rng, name)
                row = self._made(name, view, rng)
                if row is not None:
                    return row, name, view

    def questions(self, index: int) -> list[Row]:
        """All questions of row `index`, about one view."""
        rng = np.random.default_rng([self.seed, self.epoch, index])
        row, name, view = self._first(rng)
        found = {row.question.text: row}
        (alike,) = (group for group in ABOUT_ONE_VIEW if name in group)
        others = [each for each in alike if each in self.mixture]
        # A list of classes is as long as several other questions.
        most = min(2, self.together) if "classify" in alike else self.together
        for _ in range(3 * (most - 1)):
            shares = np.array([self.mixture[each] for each in others])
            name = others[int(rng.choice(len(others), p=shares / shares.sum()))]
            row = self._made(name, view, rng)
            if row is not None and len(found) < most:
                found.setdefault(row.question.text, row)
        return list(found.values())

    def __getitem__(self, index: int) -> dict:
        return self.side_by_side(self.questions(index))

    def side_by_side(self, questions: Sequence[Row]) -> dict:
        """Questions about one view as training.sft takes them."""
        first, *others = map(self.chat, questions)
        if others:
            first["others"] = [{name: each[name] for name in ("prompt", "completion")} for each in others]
        return first

    def chat(self, row: Row) -> dict:
        """`row` as training.sft takes it."""
        said = target(row.reasoning if self.thinking else "", row.answer)
        return {
            "image": Image.fromarray(row.pixels) if isinstance(row.pixels, np.ndarray) else row.pixels,
            "prompt": messages(row.question, thinking=self.thinking),
            "completion": [{"role": "assistant", "content": [{"type": "text", "text": said}]}],
        }

    def texts(self) -> Iterator[str]:
        """What stands in the rows, prompts and completions: for a tokenizer to be made of."""
        for index in range(self.count):
            row = self[index]
            for each in (row, *row.get("others", ())):
                for message in (*each["prompt"], *each["completion"]):
                    yield from (part["text"] for part in message["content"] if part["type"] == "text")

    def counts(self, sample: int = 300) -> Counter:
        """How often each kind comes, over the first `sample` rows."""
        return Counter(row.kind for i in range(min(sample, self.count)) for row in self.questions(i))
