"""What people see: boxes on pictures, answer cards, and the only place that escapes text for HTML.

Pure functions from values to strings (HTML) or to a picture (`draw`). Everything a model, a visitor or a
file wrote goes through `escape`; no function here takes HTML from outside. Colour, dash pattern and letter
of a side are declared once, in LOOKS, and tinyrs/page.css uses the same class names.
"""

from __future__ import annotations

import base64
import html
import io
import json
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from tinyrs.example import Answer, Box
from tinyrs.results import title

if TYPE_CHECKING:
    from tinyrs.engine import Reply
    from tinyrs.models import ModelSpec

PREVIEW_SIDE = 1280
"""The longest side, in pixels, of the picture that is sent to the browser."""

PREVIEW_BYTES = 600_000
"""A PNG preview above this many bytes is sent as JPEG instead."""


@dataclass(frozen=True)
class Look:
    """How one layer of boxes is drawn: "#rrggbb", dash lengths in pixels (empty = solid), how the key calls it."""

    colour: str
    dash: tuple[int, ...]
    stroke: str


LOOKS = {
    "A": Look("#3b8eff", (), "solid blue"),
    "B": Look("#ff9a3c", (9, 5), "dashed orange"),
    "C": Look("#3ddc84", (2, 4), "dotted green"),
}
"""A and B are the two models, C is a person's correction."""

# What must not reach a page: controls (NUL breaks JSON readers), lone surrogates (no UTF-8 for them), and
# the marks that reorder text, with which a label could be made to read as something else.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def escape(text: object) -> str:
    """`text` as it may stand in HTML, between tags or in a quoted attribute. The only HTML escape there is."""
    return html.escape(_UNFIT.sub("\ufffd", str(text)), quote=True)


def plain(text: object) -> str:
    """`text` as it may stand in a text field: not escaped, without what no field can hold."""
    return _UNFIT.sub("\ufffd", str(text))


# Pictures


def preview(image: Image.Image) -> str:
    """A data: URI of `image`, at most PREVIEW_SIDE pixels long, made by us from pixels (never the upload)."""
    small = image.convert("RGB")
    small.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.LANCZOS)
    kind, out = "png", io.BytesIO()
    small.save(out, "PNG")
    if out.tell() > PREVIEW_BYTES:
        kind, out = "jpeg", io.BytesIO()
        small.save(out, "JPEG", quality=88)
    return f"data:image/{kind};base64,{base64.b64encode(out.getvalue()).decode()}"


def draw(image: Image.Image, layers: Mapping[str, Sequence[Box]]) -> Image.Image:
    """A copy of `image` with each layer's boxes in its colour, dash and letter, for downloading.

    Boxes are 0..1000; line and letter grow with the picture. Letters that are not in LOOKS raise KeyError.
    """
    with warnings.catch_warnings():
        # supervision works without OpenCV and says so on every import.
        warnings.filterwarnings("ignore", message="OpenCV", category=UserWarning)
        import numpy as np
        from supervision.draw import utils as sv_draw
        from supervision.draw.color import Color
        from supervision.geometry.core import Point, Rect

    scene = np.array(image.convert("RGB"))[:, :, ::-1].copy()  # supervision draws in BGR
    width, height = image.size
    line = max(2, round(max(width, height) / 350))
    tags = []
    for letter, boxes in layers.items():
        look = LOOKS[letter]
        colour, dark = Color.from_hex(look.colour), Color.from_hex("#10151c")
        for box in boxes:
            x1, y1, x2, y2 = _inside(box, width, height)
            path = ((x1, y1, x2, y1), (x2, y1, x2, y2), (x2, y2, x1, y2), (x1, y2, x1, y1))
            # A dark line under the coloured one keeps both visible on snow and on water.
            for thickness, ink, dash in ((line + 2, dark, ()), (line, colour, look.dash)):
                for x, y, to_x, to_y in path:
                    for a, b, c, d in _dashes(x, y, to_x, to_y, [n * line / 2 for n in dash]):
                        scene = sv_draw.draw_line(scene, Point(a, b), Point(c, d), ink, thickness)
            side = min(10 * line, height, width)
            # The same corners as on the page, so that boxes that nearly agree do not hide one another's letter.
            left = max(0, x2 - side) if letter == "B" else min(x1, width - side)
            top = min(y2, height - side) if letter == "C" else max(0, y1 - side)
            tags.append((letter, colour, Rect(x=left, y=top, width=side, height=side)))
    # Last, so that no line goes through a letter.
    for letter, colour, tag in tags:
        scene = sv_draw.draw_filled_rectangle(scene, tag, colour)
        # A letter is drawn a little below what it is told is its middle.
        middle = Point(tag.x + tag.width / 2, tag.y + 0.42 * tag.height)
        scene = sv_draw.draw_text(
            scene, letter, middle, dark, text_scale=tag.width / 34, text_thickness=max(1, line // 2)
        )
    return Image.fromarray(scene[:, :, ::-1])


def _inside(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """The corners in whole pixels of the picture; what lies outside is cut off."""
    x1, y1, x2, y2 = box.to_pixels(width, height)
    clip = lambda v, most: min(max(round(v), 0), most - 1)  # noqa: E731
    return clip(x1, width), clip(y1, height), clip(x2, width), clip(y2, height)


def _dashes(x1: float, y1: float, x2: float, y2: float, dash: Sequence[float]):
    """The pieces of a line that are drawn, given the lengths of dash and gap; the whole line for no dash."""
    length = max(abs(x2 - x1), abs(y2 - y1))
    if not dash or not length:
        yield x1, y1, x2, y2
        return
    at = 0.0
    while at < length:
        a, b = at / length, min(at + dash[0], length) / length
        yield x1 + (x2 - x1) * a, y1 + (y2 - y1) * a, x1 + (x2 - x1) * b, y1 + (y2 - y1) * b
        at += dash[0] + dash[1]


def viewer(
    uri: str,
    width: int,
    height: int,
    layers: Mapping[str, Sequence[Box]] | None = None,
    names: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    name: str = "",
) -> str:
    """The picture with its boxes: an <img>, an SVG over it, a switch per side that has boxes, and the notes.

    uri     from `preview`
    layers  boxes (0..1000) by letter;  names: what each letter stands for, shown beside its switch
    notes   plain sentences about what was done to the picture
    name    its file name, "" for none
    """
    layers = {letter: tuple(boxes) for letter, boxes in (layers or {}).items()}
    if not any(layers.values()):
        layers = {}
    names = names or {}
    switches, shapes = [], []
    for letter, boxes in layers.items():
        label = escape(names.get(letter, ""))
        count = f"{len(boxes)} {'box' if len(boxes) == 1 else 'boxes'}"
        # The switch comes before the stage so that CSS alone can hide its boxes.
        switches.append(
            f'<label class="switch side-{letter.lower()}"><input type="checkbox" class="toggle" checked '
            f'aria-label="Show the boxes of {letter}"{"" if boxes else " disabled"}>'
            f'<svg class="sample" width="26" height="12" aria-hidden="true"><line x1="1" y1="6" x2="25" y2="6"/></svg>'
            f'<b>{letter}</b> <span class="model">{label}</span> <span class="count">{count}</span></label>'
        )
        shapes += [(box, letter, names.get(letter, "")) for box in boxes]
    # Small boxes last, so that they can be pointed at where they lie inside large ones.
    shapes.sort(key=lambda s: -abs((s[0].x2 - s[0].x1) * (s[0].y2 - s[0].y1)))
    drawn = "".join(_shape(*shape) for shape in shapes)
    facts = [f"{width} × {height} px", *notes]
    what = f"{escape(name)}, {width} × {height} pixels" if name else f"{width} × {height} pixels"
    return (
        f'<div class="viewer" data-boxes="{len(shapes)}">'
        f'<div class="switches" role="group" aria-label="Boxes shown on the picture">{"".join(switches)}</div>'
        f'<div class="stage" style="--w:{int(width)};--h:{int(height)}">'
        f'<img src="{escape(uri)}" alt="The picture that was asked about: {what}">'
        f'<svg class="boxes" role="group" aria-label="Boxes: {len(shapes)}">{drawn}</svg></div>'
        f'<p class="facts">{" · ".join(escape(fact) for fact in facts)}</p></div>'
    )


def _shape(box: Box, letter: str, model: str) -> str:
    """One box of the SVG, in per cent of the picture, so that strokes and letters keep their size on screen."""
    x1, x2 = sorted(min(max(v, 0.0), 1000.0) / 10 for v in (box.x1, box.x2))
    y1, y2 = sorted(min(max(v, 0.0), 1000.0) / 10 for v in (box.y1, box.y2))
    rect = f'x="{x1:.2f}%" y="{y1:.2f}%" width="{x2 - x1:.2f}%" height="{y2 - y1:.2f}%"'
    says = " · ".join(part for part in (letter, model, box.label, str(box.corners())) if part)
    # Each letter has a corner of its own: A upper left, B upper right, C lower left.
    corner, edge = (x2 if letter == "B" else x1), (y2 if letter == "C" else y1)
    inward = edge > 92 if letter == "C" else edge < 8
    top = (-20 if inward else 0) if letter == "C" else (0 if inward else -20)
    left, right = (-20 if letter == "B" else 0), corner > 55
    return (
        f'<g class="box side-{letter.lower()}" tabindex="0" role="img" aria-label="{escape(says)}">'
        f'<rect class="edge" {rect}/><rect class="casing" {rect}/><rect class="line" {rect}/>'
        f'<svg class="tag" x="{corner:.2f}%" y="{edge:.2f}%" overflow="visible">'
        f'<rect x="{left}" y="{top}" width="20" height="20"/><text x="{left + 10}" y="{top + 15}">{letter}</text>'
        f'<text class="tip{" right" if right else ""}" x="{left - 6 if right else left + 26}" y="{top + 15}">'
        f"{escape(says)}</text></svg></g>"
    )


def no_picture() -> str:
    """What stands where the picture will be: page.js makes it open the file chooser and take drops."""
    return (
        '<div class="viewer"><div class="drop" data-pick>'
        '<svg viewBox="0 0 48 48" width="44" height="44" aria-hidden="true"><path d="M6 34l11-12 8 8 6-6 11 10M6 8h36'
        'v32H6zM33 17a3 3 0 1 1-6 0 3 3 0 0 1 6 0z"/></svg>'
        "<p><b>Drop a satellite picture here</b>, paste one, or choose a file.</p>"
        "<p>PNG, JPEG, WebP, GIF, TIFF or GeoTIFF; 8-bit, 16-bit or float, up to 13 bands.</p></div></div>"
    )


# Answers


def answer_card(
    side: str,
    answer: Answer | None = None,
    reply: Reply | None = None,
    *,
    state: str = "empty",
    error: str = "",
    hint: str = "",
    running: str = "",
) -> str:
    """One side's answer.

    state   "empty" (nothing asked), "waiting" (asked, no word yet), "streaming", "done", "stopped", or "blind" (done,
            and nothing but its words may be told)
    error   the fixed sentence for the person when this side failed; what was written before stays visible
    hint    what stands there while nothing is written
    running while either side is written: "named", or "blind" where nobody may see which model is which
    """
    parts = []
    reasoning = answer.reasoning if answer else ()
    text = answer.text if answer else ""
    live = state in ("waiting", "streaming")
    if reasoning:
        open_now = live and not text
        steps = "".join(f"<li>{escape(step)}</li>" for step in reasoning)
        count = f"{len(reasoning)} {'step' if len(reasoning) == 1 else 'steps'}"
        parts.append(
            f'<details class="reasoning"{" open" if open_now else ""}>'
            f'<summary aria-expanded="{"true" if open_now else "false"}">Reasoning <span>{count}</span></summary>'
            f"<ol>{steps}</ol></details>"
        )
    if text:
        parts.append(_answer(text))
    elif live:
        parts.append(f'<p class="pending">{escape(hint or "Writing")}<i></i><i></i><i></i></p>')
    elif state == "empty":
        parts.append(f'<p class="nothing">{escape(hint)}</p>')
    elif not error and answer is not None and answer.raw.strip() and not reasoning:
        parts.append(_answer(answer.raw))
    elif not error and state != "stopped":
        parts.append(f'<p class="nothing">{"No answer" if reasoning else "Nothing"} was written.</p>')
    if error:
        parts.append(f'<p class="error" role="alert">{escape(error)}</p>')
    if state in ("done", "stopped") and answer is not None and (answer.raw or not error):
        parts.append(form_line(answer, stopped=state == "stopped"))
    if reply is not None:
        parts.append(costs(reply))
    busy = ' aria-busy="true"' if live else ""
    busy += f' data-running="{escape(running)}"' if running else ""
    return f'<div class="card side-{side.lower()}" data-state="{escape(state)}"{busy}>{"".join(parts)}</div>'


def _answer(text: str) -> str:
    """The words of an answer; a long one scrolls, and can then be reached by keyboard."""
    long = ' tabindex="0"' if len(text) > 500 else ""
    return f'<p class="answer" dir="auto"{long}>{escape(text)}</p>'


def form_line(answer: Answer, *, stopped: bool = False) -> str:
    """Well-formed, stopped, truncated, or what is wrong with the form of an answer."""
    if stopped:
        return '<p class="verdict warn">Stopped before it was finished.</p>'
    boxes = len(answer.boxes)
    if answer.well_formed and not answer.truncated:
        more = f", {boxes} {'box' if boxes == 1 else 'boxes'}" if boxes else ""
        return f'<p class="verdict good">Well-formed{more}</p>'
    said = list(answer.problems)
    if answer.truncated and not said:
        said = ["It reached its token limit before the answer was complete."]
    said = said or ["The text does not keep to the model's form."]
    word = "Truncated" if answer.truncated else "Not well-formed"
    return f'<div class="verdict warn"><b>{word}</b><ul>{"".join(f"<li>{escape(s)}</li>" for s in said)}</ul></div>'


def costs(reply: Reply) -> str:
    """Time to the first token, seconds and tokens of a reply, as a list of three; and whether its picture had been read before
    the question came, which is not in these times."""
    first = "–" if reply.first_token is None else _seconds(reply.first_token)
    picture = "<div><dt>Picture</dt><dd>read before</dd></div>" if reply.kept else ""
    return (
        f'<dl class="costs"><div><dt>First token</dt><dd>{first}</dd></div>'
        f"<div><dt>Total</dt><dd>{_seconds(reply.seconds)}</dd></div>"
        f"<div><dt>Tokens</dt><dd>{int(reply.tokens)}</dd></div>{picture}</dl>"
    )


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"


def agreement(same: bool | None, iou: float | None) -> str:
    """How the two answers relate: the overlap of their boxes if both have one, else whether they say the same."""
    if iou is not None:
        word = (
            "the same place" if iou >= 0.5 else "partly the same place" if iou > 0.1 else "different places"
        )
        return (
            f'<p class="agreement"><span class="meter" style="--v:{iou:.3f}" aria-hidden="true"></span> '
            f"<b>IoU {iou:.2f}</b> between the boxes of A and B: {word}.</p>"
        )
    if same is None:
        return ""
    return f'<p class="agreement">A and B {"give the same answer" if same else "<b>disagree</b>"}.</p>'


# The page around them


def side_head(side: str, spec: ModelSpec | None = None) -> str:
    """A side's letter and how its model answers; None: which model it is stays hidden."""
    how = "one of the two models" if spec is None else "reasons, then answers" if spec.thinking else "answers at once"
    return f'<div class="side-head"><h2>{escape(side)}</h2><span>{how}</span></div>'


def about_model(spec: ModelSpec) -> str:
    """Which model answers, in its own table's words, and how good it was measured to be."""
    # Two say enough beside an answer; the rest stands in the README and beside the checkpoint.
    first = list((spec.measured or {}).items())[:2]
    numbers = measured({title(name) if name.startswith(("cls_", "VG_")) else name: told for name, told in first})
    said = f"Measured: {numbers}." if numbers else "Nobody has measured it here."
    about = f"{spec.about.rstrip('.')}. " if spec.about else ""
    return f'<p class="about">{escape(about + said)}</p>'


def measured(numbers: Mapping) -> str:
    """Measurements as one line: {"AID": 0.41, "DIOR-RSVG": {"strict": 0.2, "n": 300}} ->
    "AID 0.41, DIOR-RSVG 0.20 (n=300)"."""
    said = []
    for name, value in dict(numbers or {}).items():
        n = None
        if isinstance(value, Mapping):
            n = value.get("n")
            keys = ("strict", "value", "mean_iou", "iou")
            value = next((value[key] for key in keys if key in value), None)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        shown = f"{value:.2f}" if isinstance(value, float) else str(value)
        said.append(f"{name} {shown}" + (f" (n={n})" if n else ""))
    return ", ".join(said)


def notice(sentence: str, kind: str = "error") -> str:
    """A sentence for the person, or nothing for "". kind: "error", "good" or "info"."""
    if not sentence:
        return ""
    role = "alert" if kind == "error" else "status"
    return f'<p class="notice {escape(kind)}" role="{role}">{escape(sentence)}</p>'


def share(run: str, saved: str = "") -> str:
    """The link to a stored run, with a button that copies it (page.js makes it absolute)."""
    link = f"?record={escape(run)}"
    return (
        f'<p class="notice good" role="status">{escape(saved)} <a href="{link}">Link to this comparison</a> '
        f'<button type="button" class="copy" data-copy-link="{link}">Copy link</button></p>'
    )


def json_fold(value: object) -> str:
    """`value` as JSON in a fold, with a button that copies it."""
    text = escape(json.dumps(value, indent=2, ensure_ascii=False))
    return (
        '<details class="json"><summary aria-expanded="false">As JSON</summary>'
        f'<button type="button" class="copy" data-copy-next>Copy</button><pre tabindex="0">{text}</pre></details>'
    )


# The annotator's page


def flags(rows: Sequence[Mapping]) -> str:
    """Why a caption is in the queue: the reasons of its flags, each with how often it was given, and the notes."""
    if not rows:
        return ""
    counted = Counter(reason for row in rows for reason in row["reasons"])
    reasons = "".join(
        f'<li class="reason">{escape(reason)}{f" ×{times}" if times > 1 else ""}</li>'
        for reason, times in counted.most_common()
    )
    notes = dict.fromkeys(row["note"] for row in rows if row.get("note"))
    said = "".join(f'<p><q dir="auto">{escape(note)}</q></p>' for note in notes)
    return f'<div class="flags"><h3>Flagged as</h3><ul>{reasons}</ul>{said}</div>'


def asked(question: str, task: str) -> str:
    """The question of a caption, with its task."""
    return f'<p class="asked" dir="auto"><span>Question · {escape(task)}</span>{escape(question)}</p>'


def conflict(author: str, reasoning: str, answer: str) -> str:
    """Another person's text, saved first, beside which one's own has to be judged."""
    steps = "".join(f"<li>{escape(line)}</li>" for line in reasoning.splitlines() if line.strip())
    return (
        f'<div class="conflict" role="alert"><b>{escape(author)} saved another version first.</b> '
        f"Yours is still in the fields below; saving again puts it on top of theirs.<ol>{steps}</ol>"
        f'<p class="answer" dir="auto">{escape(answer)}</p></div>'
    )


def progress(waiting: int, done: int) -> str:
    """How many captions wait and how many this person has finished in this sitting."""
    word = "caption waits" if waiting == 1 else "captions wait"
    more = f" · {done} done by you in this sitting" if done else ""
    return f'<p class="progress" role="status"><b>{waiting}</b> {word}{more}</p>'
