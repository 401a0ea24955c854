"""Endless varied rows for the stages P, S and C: which picture, which question, which view, all from one seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from PIL import Image

from tinyrs.prompt import messages, target
from tinyrs.strictjson import BadData
from training.pocket.pictures import REAL, Known
from training.pocket.questions import MAKERS, Row


class VariedRows:
    """`len` rows an epoch for `training.sft`; row i depends on the seed, the epoch and i, on nothing else.

    mixture   share of each maker of training.pocket.questions
    thinking  with reasoning, under the thinking system prompt

    A maker for whose questions no picture is fit is left out; BadData where none is left.
    """

    def __init__(
        self, known: Sequence[Known], mixture: Mapping[str, float], count: int, thinking: bool, seed: int = 0
    ):
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
        self.real = {
            name: [k for k in fitting if k.source != "drawn"] for name, fitting in self.fitting.items()
        }
        self.mixture = {name: share for name, share in mixture.items() if self._carried(name)}
        if not self.mixture:
            raise BadData(f"None of the {len(known)} pictures carries such questions: take more of them.")

    def __len__(self) -> int:
        return self.count

    def set_epoch(self, epoch: int) -> None:
        """Another epoch shows other views."""
        self.epoch = epoch

    def _made(self, name: str, known: Known, rng: np.random.Generator) -> Row | None:
        extra = {"labels": self.labels} if name == "classify" else {}
        return MAKERS[name](known, rng, **extra)

    def _carried(self, name: str) -> bool:
        """Whether some picture truly carries a question of that maker, which else would be tried for ever."""
        rng = np.random.default_rng(0)
        return any(self._made(name, known, rng) for known in self.fitting[name] for _ in range(8))

    def make(self, index: int) -> Row:
        """Row `index` before it is put into chat form."""
        rng = np.random.default_rng([self.seed, self.epoch, index])
        names = list(self.mixture)
        shares = np.array([self.mixture[name] for name in names])
        while True:
            name = names[int(rng.choice(len(names), p=shares / shares.sum()))]
            fitting, real = self.fitting[name], self.real[name]
            if len(real) / len(fitting) < REAL and rng.random() < REAL:
                fitting = real or fitting
            known = fitting[int(rng.integers(len(fitting)))]
            for _ in range(4):
                row = self._made(name, known, rng)
                if row is not None:
                    return row

    def __getitem__(self, index: int) -> dict:
        return self.chat(self.make(index))

    def chat(self, row: Row) -> dict:
        """`row` as training.sft takes it."""
        said = target(row.reasoning if self.thinking else "", row.answer)
        return {
            "image": Image.fromarray(row.pixels),
            "prompt": messages(row.question, thinking=self.thinking),
            "completion": [{"role": "assistant", "content": [{"type": "text", "text": said}]}],
        }

    def texts(self) -> Iterator[str]:
        """What stands in the rows, prompts and completions: for a tokenizer to be made of."""
        for index in range(self.count):
            row = self[index]
            for message in (*row["prompt"], *row["completion"]):
                yield from (part["text"] for part in message["content"] if part["type"] == "text")

    def counts(self, sample: int = 300) -> Counter:
        """How often each kind comes, over the first `sample` rows."""
        return Counter(self.make(i).kind for i in range(min(sample, self.count)))
