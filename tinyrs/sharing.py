"""Questions that arrive while a model is busy are answered together.

    queue = Queue(engine.answer_all)
    reply = queue.ask(Asked((picture, question), Options()))      # from any thread

The first one is answered at once and alone; nobody waits for others to come. Whoever has the model next takes
everything that has gathered with the same options. Nothing in here needs a model, or torch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tinyrs.engine import EngineFailure, Options, Reply

if TYPE_CHECKING:
    from PIL.Image import Image

    from tinyrs.example import Question

TOGETHER = 8
"""Questions that are answered at once, at most: the first words of all of them wait until every picture was read."""


@dataclass(eq=False)
class Asked:
    """One question on its way to a model. `publish` gets the answer as it grows, `stop` ends it."""

    pair: tuple[Image, Question]
    options: Options = Options()
    stop: threading.Event = field(default_factory=threading.Event)
    publish: Callable[[Reply], None] | None = None
    reply: Reply | None = None
    error: EngineFailure | None = None

    @property
    def over(self) -> bool:
        """It was answered, or could not be."""
        return self.reply is not None or self.error is not None


class Queue:
    """Questions in the order in which they came. `answer` answers several with the same options, or raises EngineFailure."""

    def __init__(self, answer: Callable[[Sequence[Asked]], list[Reply]]) -> None:
        self._answer = answer
        self._waiting: list[Asked] = []
        self._guard, self._turn = threading.Lock(), threading.Lock()

    def ask(self, asked: Asked) -> Reply:
        """The reply, once it has ended. Raises EngineFailure."""
        with self._guard:
            self._waiting.append(asked)
        while not asked.over:
            with self._turn:
                if not asked.over:
                    self._serve(self._next())
        if asked.error is not None:
            raise asked.error
        return asked.reply

    def _next(self) -> list[Asked]:
        """The oldest question and those that can be answered with it, no longer waiting. Who left is not asked for."""
        with self._guard:
            for asked in self._waiting:
                if asked.stop.is_set():
                    asked.reply = Reply("")
            left = [each for each in self._waiting if not each.over]
            group = [each for each in left if each.options == left[0].options][:TOGETHER]
            self._waiting = [each for each in left if each not in group]
        return group

    def _serve(self, group: list[Asked]) -> None:
        try:
            for asked, reply in zip(group, self._answer(group), strict=True):
                asked.reply = reply
        except EngineFailure as error:
            if len(group) == 1:
                group[0].error = error
        except BaseException as error:  # whoever waits must not wait for ever
            for asked in group:
                asked.error = EngineFailure("The model stopped with an error; the log says why.")
            raise error
        # What was too much for all of them at once may do for each, and nobody fails by another's picture.
        for asked in group:
            if not asked.over:
                self._serve([asked])
