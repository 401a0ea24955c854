"""Engines that show a model the picture in another way: at a smaller budget of pixels, or tile by tile.

    engine = Budget(engine, 64)                 # at most 64 visual tokens
    engine = Tiled(engine, tiles(picture.width, picture.height, side))
    for event in compare({"A": engine}, picture.image, question): ...

Both are engines themselves, so that `compare` runs, stops and fails them like any other. A spec is opened when the
first question comes, in the thread that asks it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from PIL.Image import Resampling

from tinyrs.containers import MIN_SIDE as TOKEN_SIDE
from tinyrs.engine import Engine, Options, Reply, open_engine
from tinyrs.models import ModelSpec
from tinyrs.sight import resized
from tinyrs.tiles import Step, Tile, ground

if TYPE_CHECKING:
    from PIL.Image import Image

    from tinyrs.example import Question


def limited(spec: ModelSpec, tokens: int) -> ModelSpec:
    """`spec` with a budget of at most so many visual tokens: never above its own, never below its least."""
    return replace(spec, max_pixels=max(spec.min_pixels, min(spec.max_pixels, int(tokens) * TOKEN_SIDE**2)))


class _Lens:
    def __init__(self, engine: Engine | ModelSpec):
        self._engine = engine
        self.spec: ModelSpec = engine if isinstance(engine, ModelSpec) else engine.spec

    def _open(self) -> Engine:
        if isinstance(self._engine, ModelSpec):
            self._engine = open_engine(self._engine)
        return self._engine

    def close(self) -> None:
        """Nothing: the engine below is everybody's."""


class Budget(_Lens):
    """An engine whose pictures have at most `tokens` visual tokens, of 28 x 28 pixels each."""

    def __init__(self, engine: Engine | ModelSpec, tokens: int):
        super().__init__(engine)
        self.spec = limited(self.spec, tokens)

    def _fit(self, picture: Image) -> Image:
        # The size that the model's own processor would choose with this budget; it leaves it as it is.
        size = resized(*picture.size, self.spec.min_pixels, self.spec.max_pixels)
        return picture.resize(size, Resampling.BICUBIC)

    def stream(
        self,
        picture: Image,
        question: Question,
        options: Options = Options(),
        cancelled: threading.Event | None = None,
    ) -> Iterator[Reply]:
        return self._open().stream(self._fit(picture), question, options, cancelled)

    def batch(self, pairs: Sequence[tuple[Image, Question]], options: Options = Options()) -> list[Reply]:
        return self._open().batch([(self._fit(picture), question) for picture, question in pairs], options)


class Tiled(_Lens):
    """An engine that is asked a grounding question of every tile (tinyrs/tiles.py).

    Its text is the merged boxes so far, in whole thousandths; `step` has them exactly.
    """

    def __init__(self, engine: Engine | ModelSpec, parts: Sequence[Tile]):
        super().__init__(engine)
        self.parts = parts
        self.step: Step | None = None

    def stream(
        self,
        picture: Image,
        question: Question,
        options: Options = Options(),
        cancelled: threading.Event | None = None,
    ) -> Iterator[Reply]:
        first = None
        for step in ground(self._open(), picture, question, self.parts, options, cancelled):
            self.step = step
            first = step.seconds if first is None else first
            over, cut = step.done == step.of, step.truncated > 0
            yield Reply(step.answer.text, step.tokens, first, step.seconds, over, over and cut)
