"""How a visitor wants a window looked at: which models, at once or by tiles, at what budget; and what that comes to.

`Wish.of` makes sense of what the page sent, `planned` says what each model will see, `look_through` gets it ready.
No Gradio in here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from screens import scene_markup as markup
from screens.page import Sentence
from tinyrs import geo
from tinyrs.engine import Engine, Options, capped
from tinyrs.example import Question
from tinyrs.image import Picture
from tinyrs.lens import Tiled
from tinyrs.models import ModelSpec
from tinyrs.scene import Scene
from tinyrs.shown import SIDES
from tinyrs.sight import TOKEN_SIDE, seen
from tinyrs.tiles import Tile, check_question, tile_side, tiles

if TYPE_CHECKING:
    from screens.page import Page

ONCE, TILES = "once", "tiles"


@dataclass(frozen=True)
class Wish:
    """How to look. `tokens`: budget of visual tokens; `side` (pixels) and `overlap` (a share) are of the tiles."""

    models: tuple[str, ...]
    tiled: bool
    tokens: int
    side: int
    overlap: float

    @classmethod
    def of(cls, models: object, way: object, tokens: object, side: object, overlap: object) -> Wish:
        """What the page's controls say; `overlap` in per cent. Raises Sentence."""
        models = [models] if isinstance(models, str) else models
        if not isinstance(models, list) or not 1 <= len(models) <= len(SIDES):
            raise Sentence("Choose one or two models.")
        if not all(isinstance(number, (int, float)) for number in (tokens, side, overlap)):
            raise Sentence("Budget, side and overlap of the tiles are numbers.")
        return cls(tuple(models), way == TILES, int(tokens), int(side), overlap / 100)

    def options(self, page: Page) -> Options:
        """The budget as the engines take it: never less than any of the models needs."""
        least = (page.spec(name).min_pixels for name in self.models)
        return Options(max_pixels=max(self.tokens * TOKEN_SIDE**2, *least))


def budget(page: Page, models: list[str]) -> int:
    """The most visual tokens that any of these models takes."""
    return max(page.spec(name).max_pixels for name in models) // TOKEN_SIDE**2


def usual_side(page: Page, models: list[str]) -> int:
    """The side of a tile that the coarsest of these models sees as it is."""
    return min(tile_side(page.spec(name)) for name in models)


def planned(page: Page, scene: Scene, wish: Wish) -> str:
    """What each model will see, how long that takes, and what tiles do to the question, as HTML.

    Raises BadTiles, BadImage, or Sentence.
    """
    part = scene.part()
    size = scene.full_size(page.config.max_pixels) if wish.tiled else part.image.size
    parts = tiles(*size, wish.side, wish.overlap) if wish.tiled else [Tile(0, 0, *size)]
    try:
        metres = geo.metres_per_pixel(part) * part.width / scene.extent[0]  # of one pixel of the file
    except geo.NoPlace:
        metres = None
    said, how = [], wish.options(page)
    for letter, name in zip(SIDES, wish.models):
        spec = capped(page.spec(name), how)
        sight = seen(parts[0].width, parts[0].height, spec)
        coarse = sight.shrunk * scene.extent[0] / size[0]
        one = page.pace.estimate(spec.name, sight.tokens) if sight.tokens else None
        seconds = None if one is None else one * len(parts)
        said.append(
            (letter, markup.sight_words(name, sight, coarse, metres, seconds, parts if wish.tiled else ()))
        )
    return markup.sights(said) + (markup.tile_warning() if wish.tiled else "")


def look_through(
    page: Page, scene: Scene, question: Question, wish: Wish
) -> tuple[Picture, dict[str, Engine | ModelSpec]]:
    """The picture that is asked about, and the engine of each side, with its tiles."""
    specs = [page.spec(name) for name in wish.models]
    if wish.tiled:  # before the window is read at its full size
        check_question(question)
        tiles(*scene.full_size(page.config.max_pixels), wish.side, wish.overlap)
    picture = scene.full() if wish.tiled else scene.part()
    engines = {}
    for letter, spec in zip(SIDES, specs):
        engine = page.open_engine(spec)
        if wish.tiled:
            engine = Tiled(engine, tiles(picture.width, picture.height, wish.side, wish.overlap))
        engines[letter] = engine
    return picture, engines
