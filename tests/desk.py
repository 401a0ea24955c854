"""A person at the Annotate tab: captions to work on, the tab opened, and what the store says of the work."""

from __future__ import annotations

import io

from playwright.sync_api import expect

from annotate import marks
from annotate.store import NewCaption
from tests.pages import harbour
from tests.visitor import Visitor
from tinyrs.example import Question, Task
from tinyrs.image import open_picture

SHIP = Question("Identify the location of the long ship.", Task.GROUNDING)
REASONED = (
    "Water covers the left half of the picture and land the right half.\n"
    "A long white hull lies on the water at [[100,330,400,430]].\n"
    "It is moored to a red crane, so it must be a container ship."
)
OFF, TRUE = "[[120,300,380,560]]", "[[100,330,400,430]]"


def keep_picture(store, width=320, height=240) -> str:
    out = io.BytesIO()
    harbour(width, height).save(out, "PNG")
    return store.add_picture(open_picture(out.getvalue()), out.getvalue())


def captions(store, number: int, reasoned: str = REASONED, **more) -> list[int]:
    """Grounding captions whose box is a little off."""
    picture = keep_picture(store, **more)
    new = [
        NewCaption(picture, SHIP, f"{reasoned} Row {i}.", OFF, "import:test", given=TRUE)
        for i in range(number)
    ]
    return store.add_captions(new)[0]


def opened(browser, url, name="Ada", **options) -> Visitor:
    visitor = Visitor(browser, url, **options)
    visitor.annotate(name)
    expect(visitor["#steps li"].first).to_be_focused()
    return visitor


def verdicts(store, revision, name="Ada"):
    said = marks.current(store, revision, name)
    return {step: (mark["verdict"], mark["reason"], mark["rewrite"]) for step, mark in said.items()}


def state(visitor, step):
    return visitor[f"#steps li[data-step='{step}']"]


def drawn_box(visitor, where="answer", index=0):
    return visitor[f"#annotate-viewer g.box[data-key=C-{where}-{index}]"]
