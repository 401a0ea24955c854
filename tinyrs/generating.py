"""Plain `generate` of transformers for rows that end each by itself: what models get that cannot go on from a picture that
was read before, and batches on a GPU."""

from __future__ import annotations

from collections.abc import Collection

import torch
from transformers import GenerationConfig, LogitsProcessor, StoppingCriteria

from tinyrs.decoding import Sampler
from tinyrs.engine import Options
from tinyrs.tokens import Row


def generate(model, inputs, rows: list[Row], options: Options, ends: Collection[int], pad: int) -> None:
    """Write the answers of `rows` to `inputs`, what a processor made of as many pairs."""
    processors: list[LogitsProcessor] = [_Held(rows)] if any(row.choices for row in rows) else []
    if options.temperature > 0:
        processors.append(_Drawn(options.temperature, options.seed, len(rows)))
    model.generate(
        **inputs,
        generation_config=GenerationConfig(
            do_sample=False, max_new_tokens=max(row.budget for row in rows), eos_token_id=sorted(ends), pad_token_id=pad
        ),
        stopping_criteria=[_Progress(rows, inputs["input_ids"].shape[1])],
        logits_processor=processors,
    )


class _Progress(StoppingCriteria):
    """Reads every token as it is made, and ends each row where its answer ends or nobody wants it any more."""

    def __init__(self, rows: list[Row], prompt: int) -> None:
        self.rows, self.seen = rows, prompt

    def __call__(self, input_ids, scores, **kwargs):
        for column in input_ids[:, self.seen :].T.tolist():
            for row, token in zip(self.rows, column, strict=True):
                if not row.done:
                    row.take(token)
        self.seen = input_ids.shape[1]
        return torch.tensor([row.over for row in self.rows], device=input_ids.device)


class _Held(LogitsProcessor):
    """Leaves each row only the tokens that it may take."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows

    def __call__(self, input_ids, scores):
        for place, row in enumerate(self.rows):
            if not row.over and (allowed := row.allowed()) is not None:
                only = torch.full_like(scores[place], -torch.inf)
                only[allowed] = scores[place, allowed]
                scores[place] = only
        return scores


class _Drawn(Sampler, LogitsProcessor):
    """`Sampler`, as `generate` takes it."""
