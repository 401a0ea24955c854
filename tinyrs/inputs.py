"""What a model reads of pictures and questions: text by its chat template, pixels within its budget, tensors, and how long
they are.

    inputs = Inputs(processor)
    for rows in inputs.batches(pairs, spec, 16_000):
        tensors = inputs.of([pairs[row] for row in rows], spec)

Any processor of transformers will do; nothing here needs the model, or torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tinyrs.engine import conversation
from tinyrs.example import Question
from tinyrs.models import ModelSpec
from tinyrs.tokens import plain

if TYPE_CHECKING:
    from PIL.Image import Image

FIXED_SIZE = 1024
"""Tokens that a picture is taken for where the model makes all pictures one size (LLaVA: 576)."""


class Inputs:
    """What `processor` makes of pairs of picture and question, under the system prompt and the pixel budget of a spec."""

    def __init__(self, processor) -> None:
        self.processor = processor

    def of(self, pairs: Sequence[tuple[Image, Question]], spec: ModelSpec):
        """The tensors of all `pairs`, padded on the left."""
        kwargs = self._start(spec)
        if self.by_area:
            kwargs["images_kwargs"] = {"size": {"shortest_edge": spec.min_pixels, "longest_edge": spec.max_pixels}}
        return self.processor(
            text=[self.prompt(question, spec) for _, question in pairs],
            images=[[picture.convert("RGB")] for picture, _ in pairs],
            padding=True,
            return_tensors="pt",
            **kwargs,
        )

    def ids(self, question: Question, spec: ModelSpec) -> list[int]:
        """The prompt's tokens, in which the picture is one."""
        return self.processor.tokenizer(self.prompt(question, spec), **self._start(spec))["input_ids"]

    def prompt(self, question: Question, spec: ModelSpec) -> str:
        """The prompt's text."""
        return self.processor.apply_chat_template(
            conversation(spec, plain(question, self.processor.tokenizer)),
            add_generation_prompt=True,
            tokenize=False,
        )

    def _start(self, spec: ModelSpec) -> dict:
        """What the tokenizer has to be told where the chat template already writes its first token."""
        start = self.processor.tokenizer.bos_token
        return {"add_special_tokens": False} if start and self.prompt(Question(""), spec).startswith(start) else {}

    @property
    def by_area(self) -> bool:
        """Pictures are resized to an area (the Qwen family and its relatives), not to edges."""
        images = self.processor.image_processor
        return "longest_edge" in dict(images.size or {}) and hasattr(images, "merge_size")

    def length(self, picture: Image, question: Question, spec: ModelSpec) -> int:
        """How many tokens the model reads of this pair; about as many where all pictures are made one size."""
        text = len(self.processor.tokenizer(self.prompt(question, spec))["input_ids"])
        images = self.processor.image_processor
        if not self.by_area:
            return text + FIXED_SIZE
        limits = {"min_pixels": spec.min_pixels, "max_pixels": spec.max_pixels}
        patches = images.get_number_of_image_patches(picture.height, picture.width, limits)
        return text - 1 + patches // images.merge_size**2  # in the prompt's text the picture is one token

    def batches(self, pairs: Sequence[tuple[Image, Question]], spec: ModelSpec, most: int) -> Iterator[list[int]]:
        """The numbers of `pairs`, the longest first, in groups that are read at once.

        Rows of like length need little padding, and a group's rows times its longest stay within `most` tokens. The longest first:
        what is too large for the memory fails at once.
        """
        lengths = [self.length(*pair, spec) for pair in pairs] if len(pairs) > 1 else [0] * len(pairs)
        group: list[int] = []
        for row in sorted(range(len(pairs)), key=lambda row: -lengths[row]):
            if group and lengths[group[0]] * (len(group) + 1) > most:
                yield group
                group = []
            group.append(row)
        if group:
            yield group
