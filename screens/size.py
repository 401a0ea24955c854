"""How large the models see a picture: the choice on the page, what it comes to, and how long it will take.

A picture that is seen smaller is answered sooner, because it makes fewer visual tokens; small things vanish from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import gradio as gr

from tinyrs.engine import Options, Reply, capped
from tinyrs.models import ModelSpec
from tinyrs.pace import Pace, spoken
from tinyrs.render import escape
from tinyrs.sight import seen

if TYPE_CHECKING:
    from screens.page import Page

SHARES = {"full": 1.0, "half": 0.5, "quarter": 0.25}
CHOICES = [("As large as they take", "full"), ("Half", "half"), ("A quarter", "quarter")]


def chips(elem_id: str) -> gr.Radio:
    """The choice, as it stands on the page."""
    return gr.Radio(
        CHOICES,
        value="full",
        label="How large the models see a picture",
        elem_classes="chips",
        elem_id=elem_id,
    )


def options(specs: Iterable[ModelSpec], size: object) -> Options:
    """How to answer at `size` (of SHARES; anything else is "full"): a share of the area that the roomiest of these
    models takes, and never less than any of them needs."""
    specs, share = list(specs), SHARES.get(size, 1.0) if isinstance(size, str) else 1.0
    if share == 1 or not specs:
        return Options()
    area = share * max(spec.max_pixels for spec in specs)
    return Options(max_pixels=max(int(area), *(spec.min_pixels for spec in specs)))


def learn(page: Page, spec: ModelSpec, how: Options, size: tuple[int, int], reply: Reply | None) -> None:
    """Remember how long an answer took."""
    tokens = seen(*size, capped(spec, how)).tokens
    if reply is not None and tokens:
        page.pace.learn(spec.name, tokens, reply)


def words(page: Page, specs: Mapping[str, ModelSpec], size: object, picture: tuple[int, int]) -> str:
    """At what size each side's model will see a picture of `picture` pixels, and how long it may take, as HTML."""
    how = options(specs.values(), size)
    items = "".join(
        f'<li class="side-{side.lower()}"><b>{escape(side)}</b> {escape(_sentence(page.pace, spec, how, picture))}</li>'
        for side, spec in specs.items()
    )
    return f'<div role="status"><ul class="sights">{items}</ul></div>'


def _sentence(pace: Pace, spec: ModelSpec, how: Options, picture: tuple[int, int]) -> str:
    sight = seen(*picture, capped(spec, how))
    said = f"{spec.name} sees {sight.width} × {sight.height} pixels"
    if sight.tokens is None:
        return f"{said} or fewer, as its server likes."
    seconds = pace.estimate(spec.name, sight.tokens)
    time = "" if seconds is None else f", about {spoken(seconds)} by its answers so far"
    return f"{said}: {sight.tokens:,} visual {'token' if sight.tokens == 1 else 'tokens'}{time}."
