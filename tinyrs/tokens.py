"""Between text and tokens: a question that holds no control tokens, and an answer that comes token by token.

Any tokenizer of transformers will do; nothing here needs the model, or torch.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from tinyrs.engine import Options, Reply, ending
from tinyrs.example import Question
from tinyrs.models import ModelSpec


@dataclass
class Row:
    """One answer of a batch, token by token.

    limit    tokens after which it is cut off
    stop     set from outside when nobody wants the answer any more
    publish  gets the answer after every token
    choices  the answers that there are, as tokens: nothing else is written. Empty where anything may be
    """

    tokenizer: object
    spec: ModelSpec
    options: Options
    ends: frozenset[int]
    started: float
    limit: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    publish: Callable[[Reply], None] | None = None
    choices: Sequence[tuple[int, ...]] = ()
    ids: list[int] = field(default_factory=list)
    text: str = ""
    first: float | None = None
    seconds: float = 0.0
    done: bool = False
    truncated: bool = False
    kept: bool = False  # the picture had been read before
    _known: int = 0  # ids[:_known] are in `text`
    _context: int = 0  # decoding starts here, so that the tokenizer sees what precedes a new token

    @property
    def budget(self) -> int:
        return self.limit or self.options.max_new_tokens or self.spec.max_new_tokens

    @property
    def over(self) -> bool:
        """No further token is wanted."""
        return self.done or self.stop.is_set()

    def allowed(self) -> list[int] | None:
        """The tokens that some choice goes on with, or ends with; None where any token may come."""
        if not self.choices:
            return None
        going = {choice[len(self.ids)] for choice in self._possible() if len(choice) > len(self.ids)}
        ended = self.ends if tuple(self.ids) in self.choices else ()
        return sorted(going | set(ended))

    def _possible(self) -> list[tuple[int, ...]]:
        return [choice for choice in self.choices if list(choice[: len(self.ids)]) == self.ids]

    def take(self, token: int) -> None:
        """Add one token, and see whether the answer ends with it."""
        self._take(token)
        if self.choices and not self.done and len(left := self._possible()) == 1:
            for token in (*left[0][len(self.ids) :], min(self.ends)):  # nothing is left to choose
                if not self.done:
                    self._take(token)
        if self.publish is not None:
            self.publish(self.reply())

    def _take(self, token: int) -> None:
        self.seconds = time.perf_counter() - self.started
        if self.first is None:
            self.first = self.seconds
        if token in self.ends:
            self._read(all_of_it=True)
            self.done = True
            return
        self.ids.append(token)
        before = len(self.text)
        self._read(all_of_it=len(self.ids) >= self.budget)
        if (cut := ending(self.spec, self.text, self.options.stop, before)) is not None:
            self.text, self.done = cut, True
        elif len(self.ids) >= self.budget:
            self.done = self.truncated = True

    def _read(self, all_of_it: bool) -> None:
        """Decode the newest tokens: a few of them, not all again, and no half characters until the end."""
        old = self._decode(self.ids[self._context : self._known])
        new = self._decode(self.ids[self._context :])
        waiting = len(self.ids) - self._known
        if new.endswith("\ufffd") and waiting < 8 and not all_of_it:  # a character has at most 4 bytes
            return
        self.text += new[len(old) :]
        self._context, self._known = self._known, len(self.ids)

    def _decode(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def reply(self) -> Reply:
        return Reply(
            self.text, len(self.ids), self.first, self.seconds, self.done, self.truncated, self.kept
        )


def plain(question: Question, tokenizer) -> Question:
    """`question` with every control token of this tokenizer broken by an invisible character.

    `prompt.defuse` knows their usual form, `<...>`; a tokenizer may have others ("[INST]").
    """
    text = question.text
    for token in _control_tokens(tokenizer):
        text = text.replace(token, f"{token[0]}\u200b{token[1:]}")
    return replace(question, text=text)


def _control_tokens(tokenizer) -> set[str]:
    added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return {token for token in added | set(tokenizer.all_special_tokens) if len(token) > 1}
