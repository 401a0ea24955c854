"""Between text and tokens: a question that holds no control tokens, and an answer that comes token by token.

Any tokenizer of transformers will do; nothing here needs the model, or torch.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from tinyrs.engine import Options, Reply, ending
from tinyrs.example import Question
from tinyrs.models import ModelSpec


@dataclass
class Row:
    """One answer of a batch, token by token."""

    tokenizer: object
    spec: ModelSpec
    options: Options
    ends: frozenset[int]
    started: float
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
        return self.options.max_new_tokens or self.spec.max_new_tokens

    def take(self, token: int) -> None:
        """Add one token, and see whether the answer ends with it."""
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
