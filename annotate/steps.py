"""Steps and boxes as places in a text: which characters a step or a box takes, and texts with one replaced.

What a step is, `tinyrs.parse.split_steps` says, and what a box is, `tinyrs.parse.boxes`: nothing is read here.
"""

from __future__ import annotations

from collections.abc import Sequence

from tinyrs.example import Box
from tinyrs.parse import box_numbers, boxes, format_boxes, split_steps


def step_spans(reasoning: str) -> list[tuple[int, int]]:
    """(start, end) of each step of `reasoning`, in order: the text between is what the step says."""
    spans, at = [], 0
    for step in split_steps(reasoning):
        start = reasoning.find(step, at)
        if start < 0:  # the parser has joined or trimmed what stands here
            start = at
            spans.append((start, start))
            continue
        at = start + len(step)
        spans.append((start, at))
    return spans


def replace_step(reasoning: str, old: str, new: str) -> str | None:
    """`reasoning` with the step that says `old` saying `new`; None when no step says that any more."""
    for start, end in step_spans(reasoning):
        if reasoning[start:end] == old:
            return reasoning[:start] + " ".join(new.split()) + reasoning[end:]
    return None


def box_spans(text: str) -> list[tuple[int, int, Box]]:
    """(start, end, box) of each box in `text` that the parser can use, on the scale 0..1000."""
    found = [(start, end, boxes(text[start:end])) for start, end, _ in box_numbers(text)]
    return [(start, end, read[0]) for start, end, read in found if len(read) == 1]


def put_box(text: str, index: int | None, corners: Sequence[float] | None) -> str:
    """`text` with its box number `index` (as in `box_spans`) at `corners`, four numbers of 0..1000.

    None for `corners` deletes the box; an `index` of None, or of a box that is not there, adds one behind the
    others. The words around are kept.
    """
    spans = box_spans(text)
    there = index is not None and 0 <= index < len(spans)
    if corners is None:
        return _without(text, *spans[index][:2]) if there else text
    written = format_boxes([Box(*corners)])
    if there:
        start, end, _ = spans[index]
        return text[:start] + written[1:-1] + text[end:]
    if spans and text[spans[-1][1] :].lstrip()[:1] == "]":
        end = spans[-1][1]
        return f"{text[:end]},{written[1:-1]}{text[end:]}"
    return f"{text.rstrip()} {written}".strip()


def _without(text: str, start: int, end: int) -> str:
    # Only the brackets around the box are tidied, never words elsewhere.
    before, after = text[:start].rstrip(), text[end:].lstrip()
    left, right = before[-1:], after[:1]
    if left == "[" and right == "]":
        return f"{before[:-1].rstrip()} {after[1:].lstrip()}".strip()
    if right == ",":
        return before + after[1:].lstrip()
    if left == ",":
        return before[:-1] + after
    return f"{before} {after}".strip()
