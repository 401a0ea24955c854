"""Photograph every state of every screen, at 1280 and 390 pixels, light and dark, and put them on sheets to look at.

    python -m dev.screenshots                                     everything, into docs/screenshots/ (kept out of git)
    python -m dev.screenshots OUT --only scene --only 390-dark    the walks and looks whose names hold the words

A picture is named WALK-STATE-WIDTH-SCHEME.png; sheets/WIDTH-SCHEME-NUMBER.png hold many of them. The walks are in
tests/states.py: models that say what is written there answer. Needs what requirements-dev.txt installs and a chromium
on the PATH.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from PIL import Image, ImageDraw

from dev.served import chromium
from tinyrs.config import ROOT

SCHEMES = ("light", "dark")
SHEET = 1500, 2000
"""Pixels of a sheet: wide enough for four telephones or two desks beside each other."""
SHOWN = {"1280": 740, "390": 366}
"""How wide a picture of each width is shown on a sheet, in pixels."""


def take(out: Path, only: Callable[[str], bool] = lambda name: True) -> list[Path]:
    """Photograph what `only` says of "WALK-WIDTH-SCHEME"; the pictures, in order."""
    from tests.states import WALKS
    from tests.visitor import SIZES, Visitor

    made = []
    with chromium() as browser:
        for (name, walk), size, scheme in itertools.product(WALKS.items(), SIZES, SCHEMES):
            if not only(f"{name}-{size}-{scheme}"):
                continue
            looks = {"viewport": SIZES[size], "color_scheme": scheme, "reduced_motion": "reduce"}
            with tempfile.TemporaryDirectory() as folder:
                with closing(walk(partial(Visitor, browser, **looks), Path(folder))) as states:
                    for visitor, state in states:
                        made.append(out / f"{name}-{state}-{size}-{scheme}.png")
                        visitor.page.screenshot(path=made[-1], full_page=True)
                        print(made[-1], flush=True)
                for card in Path(folder).glob("share-card.png"):
                    made.append(out / f"{name}-share-card-{size}-{scheme}.png")
                    shutil.copy(card, made[-1])
    return made


def sheets(pictures: Sequence[Path], out: Path) -> list[Path]:
    """Pictures of one look many to a sheet, each under its name; long ones go on in the next column."""
    made, looks = [], {picture: tuple(picture.stem.rsplit("-", 2)[1:]) for picture in pictures}
    for size, scheme in dict.fromkeys(looks.values()):
        look, wide = f"{size}-{scheme}", SHOWN[size]
        parts = [
            part for picture in pictures if looks[picture] == (size, scheme) for part in _parts(picture, wide)
        ]
        for number, sheet in enumerate(_laid_out(parts, wide), 1):
            made.append(out / f"{look}-{number:02}.png")
            sheet.save(made[-1])
    return made


def _parts(picture: Path, wide: int) -> Iterator[Image.Image]:
    """The picture that wide, with its name above, in parts that a sheet is high enough for."""
    image = Image.open(picture).convert("RGB")
    image = image.resize((wide, round(image.height * wide / image.width)))
    step = SHEET[1] - 20
    for top in range(0, image.height, step):
        shown = image.crop((0, top, wide, min(top + step, image.height)))
        part = Image.new("RGB", (wide, shown.height + 20), "white")
        ImageDraw.Draw(part).text((4, 4), picture.stem + (" (goes on)" if top else ""), "black")
        part.paste(shown, (0, 20))
        yield part


def _laid_out(parts: Sequence[Image.Image], wide: int) -> Iterator[Image.Image]:
    """Sheets with the parts in columns."""
    sheet, x, y = None, 0, 0
    for part in parts:
        if sheet is not None and y + part.height > SHEET[1]:
            x, y = x + wide + 8, 0
        if sheet is None or x + wide > SHEET[0]:
            if sheet is not None:
                yield sheet
            sheet, x, y = Image.new("RGB", SHEET, "#888"), 0, 0
        sheet.paste(part, (x, y))
        y += part.height + 8
    if sheet is not None:
        yield sheet


def main(arguments: Sequence[str] | None = None) -> int:
    """Photograph and lay out."""
    parser = argparse.ArgumentParser(prog="python -m dev.screenshots", description=__doc__.split("\n\n")[0])
    parser.add_argument("out", nargs="?", type=Path, default=ROOT / "docs" / "screenshots", help="where they go")
    parser.add_argument("--only", action="append", default=[], metavar="WORD",
                        help="take those whose WALK-WIDTH-SCHEME holds the word; may be given again")
    args = parser.parse_args(arguments)
    for folder in (args.out, args.out / "sheets"):
        folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    taken = take(args.out, lambda name: all(word in name for word in args.only))
    if not taken:
        print("No walk has such a name.", file=sys.stderr)
        return 2
    for sheet in sheets(taken, args.out / "sheets"):
        print(sheet)
    return 0


if __name__ == "__main__":
    sys.exit(main())
