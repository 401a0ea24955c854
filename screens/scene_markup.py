"""The Scene tab's pictures and sentences, as HTML; screens/scene.css and scene.js give it looks and hands.

Numbers go to the browser in data attributes; everything that a file or a person wrote goes through `render.escape`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from tinyrs import geo, render
from tinyrs.example import Box
from tinyrs.image import Facts, Picture
from tinyrs.pace import spoken
from tinyrs.scene import Scene, grid
from tinyrs.sight import Sight
from tinyrs.tiles import WARNING, Step, Tile

POINT = "Point at the picture to read coordinates."


def empty() -> str:
    """What stands where the overview will be."""
    return (
        '<div class="viewer"><div class="drop" data-pick-scene>'
        "<p><b>Drop a GeoTIFF here</b>, or choose a file.</p>"
        "<p>As it comes from the archive: any bands, any type of numbers, hundreds of megapixels.</p></div></div>"
    )


def overview(uri: str, picture: Picture, scene: Scene) -> str:
    """All of the scene with its window, to choose another one on."""
    x1, y1, x2, y2 = (f"{value / 10:.3f}%" for value in _corners(scene.box))
    hidden = ' style="display:none"' if scene.box is None else ""
    stage = (
        f'<div class="stage" style="--w:{picture.width};--h:{picture.height}">'
        f'<img src="{render.escape(uri)}" draggable="false" alt="Overview of {render.escape(scene.name)}">'
        f'<svg class="boxes" aria-hidden="true"><g class="window"{hidden}>'
        f'<rect class="casing" x="{x1}" y="{y1}" width="{_span(x1, x2)}" height="{_span(y1, y2)}"/>'
        f'<rect class="line" x="{x1}" y="{y1}" width="{_span(x1, x2)}" height="{_span(y1, y2)}"/></g></svg></div>'
    )
    return f'<div class="placed overview"{_place(picture)}>{stage}{_below(picture)}</div>'


def window(
    uri: str, picture: Picture, name: str, layers: Mapping[str, Sequence[Box]], models: Mapping[str, str]
) -> str:
    """The window that is asked about, with the boxes of the answers."""
    inner = render.viewer(uri, picture.width, picture.height, layers, models, picture.notes, name)
    return f'<div class="placed"{_place(picture)}>{_below(picture)}{inner}</div>'


def _corners(box: Box | None) -> tuple[float, ...]:
    return (box.x1, box.y1, box.x2, box.y2) if box else (0, 0, 1000, 1000)


def _span(low: str, high: str) -> str:
    return f"{float(high[:-1]) - float(low[:-1]):.3f}%"


def _place(picture: Picture) -> str:
    """What scene.js needs to say where a point lies: in the file, in its own coordinates, and on the Earth."""
    said = {"size": [picture.width, picture.height], "file": picture.to_file}
    points = grid(picture)
    if points:
        code = picture.geo.crs
        said |= {"own": picture.geo.transform, "crs": code if len(code) <= 40 else "", "grid": points}
    return "".join(f' data-{key}="{render.escape(json.dumps(value))}"' for key, value in said.items())


def _below(picture: Picture) -> str:
    """Scale bar and cursor line, as wide as the picture."""
    bar = ""
    try:
        words, share = geo.scale_bar(picture)
        bar = f'<span class="bar" style="--share:{share:.4f}" role="img" aria-label="Scale bar: {words}"></span><span>{words}</span>'
    except geo.NoPlace:
        pass
    return (
        f'<div class="scale" style="--w:{picture.width};--h:{picture.height}">{bar}</div>'
        f'<p class="cursor" style="--w:{picture.width};--h:{picture.height}">{POINT}</p>'
    )


def about(name: str, facts: Facts, notes: Sequence[str]) -> str:
    """What the file says about itself, and what was done to show it."""
    count = len(facts.bands)
    said = [
        f"{facts.size[0]:,} × {facts.size[1]:,} pixels",
        f"{count} {'band' if count == 1 else 'bands'} of {facts.kind}",
        f"no data: {facts.nodata:g}" if facts.nodata is not None else "no value for missing data",
        (facts.crs if len(facts.crs) <= 40 else "a coordinate system of its own") or "not georeferenced",
    ]
    done = "".join(f"<li>{render.escape(note)}</li>" for note in notes)
    return (
        f'<div class="scene-about"><p><b dir="auto">{render.escape(name)}</b> {render.escape(" · ".join(said))}</p>'
        f"<ul>{done}</ul></div>"
    )


def sights(rows: Sequence[tuple[str, str]]) -> str:
    """What each model sees: (its letter, a sentence)."""
    items = "".join(
        f'<li class="side-{letter.lower()}"><b>{letter}</b> {render.escape(words)}</li>'
        for letter, words in rows
    )
    return f'<div role="status"><ul class="sights">{items}</ul></div>'


def sight_words(
    name: str,
    sight: Sight,
    coarse: float,
    metres: float | None,
    seconds: float | None,
    parts: Sequence[Tile] = (),
) -> str:
    """What a model sees, in two or three sentences.

    coarse   pixels of the file along a side for one that the model sees;  metres  of one pixel of the file
    seconds  how long it will take;  parts  the tiles that it is asked about one by one
    """
    tokens = "" if sight.tokens is None else f" ({sight.tokens:,} visual tokens)"
    at = f"{sight.width} × {sight.height} pixels{tokens}"
    said = f"{name} sees the window at {at}."
    if parts:
        count = f"{len(parts):,} {'tile' if len(parts) == 1 else 'tiles'}"
        said = f"{name} is asked about {count} of {parts[0].width} × {parts[0].height} pixels, each seen at {at}."
    ground = "" if metres is None else f", {_metres(metres * coarse)} on the ground"
    said += f" One pixel that it sees is {coarse:.2g} of the scene{ground}."
    return said if seconds is None else f"{said} By its answers so far: about {spoken(seconds)}."


def _metres(length: float) -> str:
    if length >= 1000:
        return f"{length / 1000:.1f} km"
    return f"{length:.1f} m" if length >= 1 else f"{length:.2f} m"


def tile_warning() -> str:
    """What tiles do to the question."""
    return f'<p class="verdict warn">{render.escape(WARNING)}</p>'


def progress(rows: Sequence[tuple[str, str, Step | None, int]]) -> str:
    """How far each model is: (its letter, its name, the last step, how many tiles there are)."""
    items = []
    for letter, name, step, of in rows:
        done, boxes = (step.done, len(step.answer.boxes)) if step else (0, 0)
        found = f"{boxes} {'box' if boxes == 1 else 'boxes'}"
        items.append(
            f'<p class="side-{letter.lower()}" role="status"><b>{letter}</b> {render.escape(name)}: {done} of {of} '
            f'tiles, {found} <progress value="{done}" max="{of}" aria-label="Tiles asked by {letter}"></progress></p>'
        )
    return f'<div class="tile-progress">{"".join(items)}</div>'
