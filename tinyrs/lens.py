"""An engine that shows a model the picture tile by tile.

    engine = Tiled(engine, tiles(picture.width, picture.height, side))
    for event in compare({"A": engine}, picture.image, question): ...

It is an engine itself, so that `compare` runs, stops and fails it like any other. A spec is opened when the first
question comes, in the thread that asks it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tinyrs.engine import Engine, Options, Reply, open_engine
from tinyrs.models import ModelSpec
from tinyrs.tiles import Step, Tile, ground

if TYPE_CHECKING:
    from PIL.Image import Image

    from tinyrs.example import Question


class Tiled:
    """An engine that is asked a grounding question of every tile (tinyrs/tiles.py).

    Its text is the merged boxes so far, in whole thousandths; `step` has them exactly.
    """

    def __init__(self, engine: Engine | ModelSpec, parts: Sequence[Tile]):
        self._engine = engine
        self.spec: ModelSpec = engine if isinstance(engine, ModelSpec) else engine.spec
        self.parts = parts
        self.step: Step | None = None

    def _open(self) -> Engine:
        if isinstance(self._engine, ModelSpec):
            self._engine = open_engine(self._engine)
        return self._engine

    def look(self, picture: Image, options: Options = Options(), cancelled: threading.Event | None = None) -> None:
        """Nothing: what is asked of are the tiles."""

    def close(self) -> None:
        """Nothing: the engine below is everybody's."""

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
