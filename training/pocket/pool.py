"""The ablations' rows and questions at pocket scale: a pool with rare and common tasks, and benchmarks of kept-out pictures.

    rows = Pool(known, TASKS_AS_THEY_COME, 4800, thinking=False, seed=0)     # for training.sft, and .tasks for balance
    rows = Pool(known, REWARDED, 320, thinking=True, seed=0, asked=True)     # for training.grpo
    files = write_benchmarks(kept, DIR, 200)                                 # {file: kind} for training.evaluate

The paper does not say how many rows each of VHM's tasks has. In `TASKS_AS_THEY_COME` scenes and yes-or-no questions are
rare, as its Table 4 suggests: those are what balancing helped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tinyrs.example import Question, Task
from tinyrs.prompt import CHOOSE, messages, tag_of
from tinyrs.strictjson import BadData
from tinyrs.whole import write_whole
from training.grpo import truth
from training.pocket.pictures import Known
from training.pocket.questions import Row
from training.pocket.rows import VariedRows
from training.pocket.views import view_of

TASKS_AS_THEY_COME = {
    "describe": 0.3,
    "locate": 0.35,
    "locate_all": 0.15,
    "classify": 0.08,
    "presence": 0.04,
    "published": 0.04,
    "count": 0.04,
}
"""Stages S and C, before they are balanced."""

REWARDED = {"classify": 0.35, "locate": 0.35, "presence": 0.12, "published": 0.1, "count": 0.08}
"""Stage R: what can be judged by rule."""

TASKS = {
    "classify": Task.CLASSIFICATION,
    "describe": Task.CAPTIONING,
    "locate": Task.GROUNDING,
    "locate_all": Task.GROUNDING,
    "whereabouts": Task.VQA,
    "count": Task.COUNTING,
    "presence": Task.VQA,
    "published": Task.VQA,
}
"""The task of each maker, by which rows are balanced."""

BENCHMARKS = {
    "scenes": ("cls", {"classify": 1.0}),
    "yes_or_no": ("vqa", {"presence": 0.5, "published": 0.5}),
    "places": ("grounding", {"locate": 1.0}),
    "choices": ("choice", {"classify": 1.0}),
}
"""File -> (kind, makers). `choices` puts scenes in LHRS-Bench's form, which no stage has shown."""


class Pool:
    """`count` rows of which each has a maker and so a task for good; the view and the words vary with the epoch.

    asked     rows of stage R, with the truth beside the prompt, instead of a completion
    """

    def __init__(
        self,
        known: Sequence[Known],
        shares: Mapping[str, float],
        count: int,
        *,
        thinking: bool,
        seed: int,
        asked: bool = False,
    ):
        self.known, self.count, self.thinking, self.seed, self.asked = known, count, thinking, seed, asked
        fitting = VariedRows(known, shares, count, thinking, seed).mixture
        self.makers = {name: VariedRows(known, {name: 1.0}, count, thinking, seed) for name in fitting}
        # Places on a line: every maker gets its share of them to within one row.
        edges = np.cumsum([fitting[name] for name in fitting]) / sum(fitting.values())
        places = (np.arange(count) + 0.5) / max(1, count)
        kinds = np.minimum(np.searchsorted(edges, places), len(fitting) - 1)
        self.kinds = [list(fitting)[kind] for kind in np.random.default_rng(seed).permutation(kinds)]

    def __len__(self) -> int:
        return self.count

    def set_epoch(self, epoch: int) -> None:
        """Another epoch shows other views."""
        for maker in self.makers.values():
            maker.set_epoch(epoch)

    @property
    def tasks(self) -> list[str]:
        """The task of each row, for balancing."""
        return [TASKS[kind].value for kind in self.kinds]

    @property
    def identity(self) -> str:
        """A checksum over which pictures and rows these are; a few are made, so that new makers tell, too."""
        digest = hashlib.sha256(pictures_digest(self.known).encode())
        digest.update(repr((self.kinds, self.thinking, self.seed, self.asked)).encode())
        for index in range(min(8, self.count)):
            made = self.make(index)
            digest.update(made.pixels.tobytes())
            digest.update(repr((made.question, made.reasoning, made.answer)).encode())
        return digest.hexdigest()

    def make(self, index: int) -> Row:
        """Row `index` before it is put into chat form."""
        return self.makers[self.kinds[index]].make(index)

    def __getitem__(self, index: int) -> dict:
        row = self.make(index)
        if not self.asked:
            return self.makers[self.kinds[index]].chat(row)
        return {
            "image": Image.fromarray(row.pixels),
            "prompt": messages(row.question, thinking=self.thinking),
            "example": truth(row.question, row.answer),
        }


def pictures_digest(known: Sequence[Known]) -> str:
    """A checksum over pictures and what is known of them; each picture is read once."""
    digest = hashlib.sha256()
    for each in known:
        digest.update(each.pixels.tobytes())
        digest.update(repr((each.source, each.label, each.captions, each.boxes, each.questions)).encode())
    return digest.hexdigest()


def split(known: Sequence[Known], one_in: int = 5) -> tuple[list[Known], list[Known]]:
    """(pictures for P, S and C, pictures for R): told apart by content, so that R sees none that they saw."""
    contents = [hashlib.sha256(each.pixels.tobytes()).digest() for each in known]
    rewarded = set(sorted(set(contents))[::one_in])
    sides: tuple[list[Known], list[Known]] = ([], [])
    for each, content in zip(known, contents, strict=True):
        sides[content in rewarded].append(each)
    return sides


# ---- questions about kept-out pictures


def write_benchmarks(kept: Sequence[Known], folder: Path, count: int) -> dict[Path, str]:
    """`count` questions of each kind about `kept`, in the published evaluation layout: {file: kind}.

    The same pictures give the same files, whatever the seed of a run is.
    """
    files = {}
    for name, (kind, shares) in BENCHMARKS.items():
        try:
            rows = VariedRows(kept, shares, count, False, 1)
        except BadData:  # no picture carries them
            continue
        path = folder / f"{name}.json"
        files[path] = kind
        if path.exists():  # written last
            continue
        (folder / name).mkdir(parents=True, exist_ok=True)
        made = []
        for index in range(count):
            row = _choice(rows, index) if kind == "choice" else rows.make(index)
            Image.fromarray(row.pixels).save(folder / name / f"{index}.png")
            tag = tag_of(row.question)
            asked = f"<image>\n{tag} {row.question.text}" if tag else f"<image>\n{row.question.text}"
            turns = [{"from": "human", "value": asked}, {"from": "gpt", "value": row.answer}]
            made.append({"image": f"{index}.png", "conversations": turns})
        write_whole(path, json.dumps(made))
    return files


def _choice(rows: VariedRows, index: int) -> Row:
    """A scene among four, in LHRS-Bench's form."""
    rng = np.random.default_rng([rows.seed, index])
    known = rows.fitting["classify"][int(rng.integers(len(rows.fitting["classify"])))]
    others = [label for label in rows.labels if label != known.label]
    offered = rng.permutation([known.label, *rng.permutation(others)[:3].tolist()]).tolist()
    choices = " ".join(f"{letter}. {label}" for letter, label in zip("ABCD", offered, strict=False))
    text = CHOOSE.format(question="What does the image show?", choices=choices)
    letter = "ABCD"[offered.index(known.label)]
    return Row(view_of(known, rng, "classify").pixels, Question(text, Task.OPEN, tuple("ABCD")), letter, "", "choice")
