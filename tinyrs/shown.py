"""What one visitor sees of a comparison: picture, question, and two sides as far as they have answered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tinyrs.compare import Event
from tinyrs.engine import Reply
from tinyrs.example import BOX_SCALE, Answer, Question
from tinyrs.metrics import equal, iou

SIDES = ("A", "B")

LONGEST_LOG = 30
"""Earlier questions about a picture that are kept."""


@dataclass(frozen=True)
class Shown:
    """What one visitor's Compare tab shows. Kept by the server, per browser tab.

    path, name, sha256, size, notes   the picture;  run is the id of the stored run, "" until it is kept
    blind     which model is which has not been shown yet
    max_pixels  the area, in pixels, that the models were allowed to see; None is each one's own budget
    earlier   what was asked about the same picture before, oldest first; each with no `earlier` of its own
    """

    path: str
    name: str
    sha256: str
    size: tuple[int, int]
    notes: tuple[str, ...]
    question: Question | None = None
    models: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    replies: dict[str, Reply] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    run: str = ""
    blind: bool = False
    max_pixels: int | None = None
    earlier: tuple[Shown, ...] = ()

    @property
    def asked(self) -> bool:
        return self.question is not None

    @property
    def layers(self) -> dict[str, tuple]:
        """The boxes of each side that has answered."""
        return {side: self.answers[side].boxes for side in SIDES if side in self.answers}

    def after(self, event: Event, cancelled: bool) -> Shown:
        """What is shown once `event` has come."""
        side, answers = event.side, dict(self.answers)
        state = "streaming"
        if event.done:
            finished = event.error or (event.reply and event.reply.finished)
            state = "stopped" if cancelled and not finished else "done"
            answers.setdefault(side, Answer(""))
        if event.answer:
            answers[side] = event.answer
        return replace(
            self,
            states={**self.states, side: state},
            answers=answers,
            replies={**self.replies, side: event.reply} if event.reply else self.replies,
            errors={**self.errors, side: event.error} if event.error else self.errors,
        )

    def next(
        self, question: Question, models: dict[str, str], blind: bool = False, max_pixels: int | None = None
    ) -> Shown:
        """The same picture with another question; what was answered before goes to `earlier`."""
        asked = (question, models, max_pixels)
        earlier = [one for one in self.earlier if one._asked != asked]
        if self.answers and self._asked != asked:
            earlier.append(replace(self, earlier=()))
        return replace(
            self, question=question, models=models, answers={}, replies={}, errors={}, run="", blind=blind,
            states=dict.fromkeys(SIDES, "waiting"), max_pixels=max_pixels, earlier=tuple(earlier[-LONGEST_LOG:]),
        )  # fmt: skip

    @property
    def _asked(self) -> tuple:
        """What makes two exchanges about a picture the same one."""
        return self.question, self.models, self.max_pixels

    def back(self, index: int) -> Shown:
        """The exchange `earlier[index]` as it was; this one takes a place in its log. Raises IndexError."""
        chosen = self.earlier[index]
        others = [one for one in self.earlier if one is not chosen] + [replace(self, earlier=())]
        return replace(chosen, earlier=tuple(others[-LONGEST_LOG:]))

    def overlap(self) -> float | None:
        """IoU of the sides' first boxes; None unless both have one."""
        first = [boxes[0] for boxes in self.layers.values() if boxes]
        return iou(*first) if len(first) == 2 else None

    def same(self) -> bool | None:
        """Whether both say the same; None unless both answered in words."""
        texts = [
            self.answers[side].text for side in SIDES if side in self.answers and not self.errors.get(side)
        ]
        if len(texts) < 2 or not all(texts) or any(self.layers.values()):
            return None
        return equal(texts[0], texts[1], self.question.labels)

    def as_json(self) -> dict:
        """The run as a person may want to keep it."""
        sides = {}
        for side, answer in self.answers.items():
            reply = self.replies.get(side, Reply(""))
            sides[side] = {
                "model": self.models[side],
                "reasoning": list(answer.reasoning),
                "answer": answer.text,
                "boxes": [box.corners() for box in answer.boxes],
                "box_scale": BOX_SCALE,
                "well_formed": answer.well_formed,
                "truncated": answer.truncated,
                "problems": list(answer.problems),
                "error": self.errors.get(side, ""),
                "first_token": reply.first_token,
                "seconds": reply.seconds,
                "tokens": reply.tokens,
                "raw": answer.raw,
            }
        picture = {"name": self.name, "sha256": self.sha256, "width": self.size[0], "height": self.size[1]}
        question = {"text": self.question.text, "task": self.question.task.value}
        seen = {} if self.max_pixels is None else {"max_pixels": self.max_pixels}
        return {"picture": picture, "question": question, **seen, "answers": sides, "iou": self.overlap()}
