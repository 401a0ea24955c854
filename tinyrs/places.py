"""Where a written reasoning puts a thing, held against the boxes of the answer.

The paper's own Figure 2 shows why: its reasoning runs from 825 down to 811, its box from 625 to 811.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tinyrs.example import BOX_SCALE, Box
from tinyrs.parse import box_numbers

EXACT, ROUGH = 30.0, 50.0
"""How far (of 1000) a number may be off, and how far a round one or one that is called approximate may be."""

_N = r"(-?\d{1,5}(?:\.\d{1,6})?)"
_UNIT = r"\s?(?:px\b|pixels?\b|units?\b|%|percent\b)?"
_AXIS = {
    "x": r"(?:horizontally|across|from the left|from left to right|along the width|of (?:the|its) (?:\w+ )?width|of the way across|"
    r"(?:on|along|in) (?:the )?(?:x\b|horizontal)[- ]?\w*)",
    "y": r"(?:vertically|down|from the top|from top to bottom|along the height|of (?:the|its) (?:\w+ )?height|of the way down|"
    r"(?:on|along|in) (?:the )?(?:y\b|vertical)[- ]?\w*)",
}
_ABOUT = r"(?:about |around |approximately |roughly )?"
_RANGE = rf"(?:from|between)?\s?{_ABOUT}{_N}{_UNIT}\s?(?:to|and|-|\u2013|until)\s?{_ABOUT}{_N}{_UNIT}"
_SPREADS = r"\b(?:covers?|spans?|reach(?:es)?|occup(?:y|ies)|stretch(?:es)?|runs?|extends?|goes|takes(?: up)?|lies|is)\b"
# "its top left corner sits at 130, 540": a point without brackets
_CORNER = re.compile(rf"(\b(?:corners?|cent(?:er|re)|foot|base|tip|position)\b[^.;\d(\[]{{0,25}}|\b(?:at|around|near)\s(?:about |around )?){_N}{_UNIT}\s?,\s?{_N}{_UNIT}(?!\s?(?:,|and)\s?\d|\.?\d)", re.I)
_POINT = re.compile(rf"[(\[]\s?{_N}{_UNIT}\s?,\s?{_N}{_UNIT}\s?[)\]]")


def _ranges(letter: str, word: str, extent: str) -> re.Pattern:
    """ "from 10 to 20 horizontally", "x runs from 10 to 20", "x = 10 to 20"."""
    lead = rf"\b(?:{letter}|{letter}[- ](?:axis|coordinates?|values?|range)|{word}(?:ly)?|{extent})\b[^.;\d]{{0,40}}?"
    lines = "columns?" if letter == "x" else "rows?"
    bare = rf"\b(?:{letter}(?: values?)?|{lines})\s?[:=]?\s?{_RANGE}"
    return re.compile(rf"{_RANGE}\s?{_AXIS[letter]}|{lead}(?:\bfrom|\bbetween|\bof|\bare(?: at)?|[=:]|{_SPREADS})\s?{_RANGE}|{bare}", re.I)


def _edges(name: str, words: str) -> re.Pattern:
    """ "left edge near 10", "x1 = 10", "the top is at 10"; but "at the right, 10 across" is no edge."""
    link = r"(?:\s|is|are|lies|at|near|about|around|approximately|roughly|of|value|to be|[:=~\u2248])*"
    nouns = r"(?:edge|side|boundary|border|end|limit)"
    axis = rf"(?:{_AXIS['x']}|{_AXIS['y']})"
    least = "min" if name[1] == "1" else "max"
    return re.compile(
        rf"(?:\b(?:{name[0]}_?{name[1]}|{name[0]}[-_ ]?{least}|(?:{words})(?:most)?[- ]{nouns})[,\s]?{link}"
        rf"|\b(?:{words}){link})(?<!\d){_N}(?!\d|\.\d|{_UNIT}\s?{axis})",
        re.I,
    )


_RANGES = {"x": _ranges("x", "horizontal", "width"), "y": _ranges("y", "vertical", "height")}
_EDGES = {
    "x1": _edges("x1", "left"),
    "x2": _edges("x2", "right"),
    "y1": _edges("y1", "top|upper"),
    "y2": _edges("y2", "bottom|lower"),
}
_LOOSE = {
    axis: re.compile(rf"{_N}{_UNIT}\s?{words}|\b{axis}(?:[- ](?:center|centre|coordinate|position|value))?\s?(?:=|:|~|\u2248|(?:is |at )?(?:about|around|approximately|roughly|near)|is|at)\s?{_N}", re.I)
    for axis, words in _AXIS.items()
}
_SIZES = {
    "x": re.compile(rf"{_N}{_UNIT}\s?(?:wide|in width)\b|\bwidth (?:of|is) (?:about |around )?{_N}", re.I),
    "y": re.compile(
        rf"{_N}{_UNIT}\s?(?:tall|high|in height)\b|\bheight (?:of|is) (?:about |around )?{_N}", re.I
    ),
}
_SPANS = re.compile(
    r"\b(?:spans?|spanning|measur\w+|covers?|covering|size)\b(?![^.;]*\b(?:from|between|at)\b)", re.I
)
_ABOUT_BOX = re.compile(
    r"\b(?:bounding box|box|coordinates?|corners?|edges?|spans?|spanning|extend\w*|starts?|starting|ends?|"
    r"ending|ranges?|ranging|reach\w*|located|lies|position\w*|target|pixels?|base|foot|tip|cent(?:er|re)|middle)\b",
    re.I,
)
_ELSEWHERE = re.compile(r"\b(?:other|another|next(?! to)|second|(?<!upper )(?<!lower )(?<!left )(?<!right )(?<!middle )(?<!top )(?<!bottom )third|neighbou?r\w*|not the|instead)\b", re.I)
_LISTED = re.compile(
    r";\s*(?=(?:and )?(?:one|another|the (?:other|second|third))\b)|\bone (?=at|around|near)", re.I
)
_APPROXIMATE = re.compile(
    r"\b(?:about|around|approximately|approx|roughly|near|nearly|almost|some)\b|~|\u2248", re.I
)
# the second half of what the sentence before began
_GOES_ON = re.compile(r"(?:and |while )?(?:vertical|horizontal|(?:in|on|along) (?:the )?(?:vertical|horizontal|[xy]\b)|its (?:height|width))", re.I)
_DIGIT = re.compile(r"\d")
_PICTURE_SIZES = (224, 256, 336, 400, 448, 500, 512, 600, 640, 800, 1024)


@dataclass(frozen=True)
class _Claim:
    """One thing said about a place: `fits(box, scale, slack)` tells whether it is true of a box."""

    values: tuple[float, ...]
    fits: Callable[[Box, tuple[float, float], float], bool]


def misplaced(
    steps: Sequence[str], boxes: Sequence[Box], size: tuple[int, int] = (0, 0), phrase: str = ""
) -> str:
    """The first sentence of `steps` whose coordinates fit none of `boxes`; "" when all of them fit.

    Coordinates may be written on 0-1000, 0-1, in per cent or in pixels of `size`: one of these must fit
    throughout. Where `size` is not known and pixels are spoken of, the usual sizes of pictures are tried.
    `phrase` is what is looked for: sentences that are plainly about something else are not read.
    """
    if not boxes:
        return ""
    about = _about(phrase)
    read = [
        (at, step, segments)
        for at, step in enumerate(steps)
        if _DIGIT.search(step) and (segments := list(_told(step, about)))
    ]
    last = read[-1][0] if read else -1
    more = bool(read) and _GOES_ON.match(read[-1][1])
    told = [
        (step, segments)
        for at, step, segments in read
        if (at == last or _ABOUT_BOX.search(step) and (about.search(step) or more and at == last - 1))
        # Of several things that are looked for the other one is one, too.
        and not (_ELSEWHERE.search(step) and len(boxes) == 1)
    ]
    if not told:
        return ""
    failures = [
        next((step for step, segments in told if not _holds(step, segments, boxes, scale)), "")
        for scale in _scales(" ".join(step for step, _ in told), told, size)
    ]
    return "" if "" in failures else failures[0]


def _about(phrase: str) -> re.Pattern:
    """Finds what a sentence about the thing holds: its name, "it", its box."""
    return re.compile(
        rf"\b\w{{0,8}}(?:{re.escape(head(phrase))}|\bits?\b|\bbox\b|\bcorner|coordinate|target)", re.I
    )


def head(phrase: str) -> str:
    """The noun of a phrase, without its plural ending: "the red cars near the gate" -> "car"."""
    words = re.findall(r"[a-z]+", head_of(phrase))
    return words[-1].rstrip("s") if words else "target"


def _holds(step: str, segments: list[list[_Claim]], boxes: Sequence[Box], scale: tuple[float, float]) -> bool:
    """Is one of the things that the sentence lists one of the boxes?"""
    loose = bool(_APPROXIMATE.search(step))

    def fits(claim: _Claim, box: Box) -> bool:
        rough = loose or all(round(value * scale[0]) % 50 == 0 for value in claim.values)
        return claim.fits(box, scale, ROUGH if rough else EXACT)

    return any(all(fits(claim, box) for claim in claims) for claims in segments for box in boxes)


def _scales(text: str, told: list, size: tuple[int, int]) -> Iterator[tuple[float, float]]:
    """What written numbers may have to be multiplied with, per axis, to stand on 0..1000."""
    values = [abs(v) for _, segments in told for claims in segments for claim in claims for v in claim.values]
    if max(values) <= 1:
        yield float(BOX_SCALE), float(BOX_SCALE)
        return
    yield 1.0, 1.0
    if "%" in text or re.search(r"\bpercent\b", text):
        yield BOX_SCALE / 100, BOX_SCALE / 100
    if all(size):
        yield BOX_SCALE / size[0], BOX_SCALE / size[1]
    elif re.search(r"\b(?:px|pixels?)\b|\dpx\b", text, re.I):
        yield from ((BOX_SCALE / side, BOX_SCALE / side) for side in _PICTURE_SIZES)


def _told(step: str, about: re.Pattern) -> Iterator[list[_Claim]]:
    """The places that a sentence speaks of: a list of claims for each of the things that it lists.

    Where it gives each its own box and names the one that is looked for, that one alone is read.
    """
    step = step[:2000]
    ends = [end for _, end, numbers in box_numbers(step) if len(numbers) == 4]
    if len(ends) > 1:
        parts = [step[start:end] for start, end in zip([0, *ends], ends)]
        # "Three tanks at [..], [..] and [..]" names them all.
        named = [part for part in parts if (found := about.search(part)) and part[found.end() : found.end() + 1] != "s"]
        parts = named or parts
    else:
        parts = _LISTED.split(step)
    for segment in parts:
        claims = list(_claims(segment))
        if claims:
            yield claims


def _claims(text: str) -> Iterator[_Claim]:
    for start, end, numbers in reversed(box_numbers(text)):
        if len(numbers) == 4:
            yield _box_claim(numbers)
        text = text[:start] + " " * (end - start) + text[end:]
    text = _CORNER.sub(r"\1(\2, \3)", text)
    points = [tuple(map(float, m.groups())) for m in _POINT.finditer(text)]
    text = _POINT.sub(" ", text)
    if len(points) == 2:
        (x1, x2), (y1, y2) = map(sorted, zip(*points))
        yield _box_claim([x1, y1, x2, y2])
    elif len(points) == 1:
        yield _axis_claim("x", points[0][:1])
        yield _axis_claim("y", points[0][1:])
    for axis, pattern in _SIZES.items():
        text, found = _take(pattern, text)
        yield from (_size_claim(axis, value) for (value,) in found)
    spans = bool(_SPANS.search(text))
    for axis, pattern in _RANGES.items():
        text, found = _take(pattern, text)
        yield from (_axis_claim(axis, values) for values in found)
    for edge, pattern in _EDGES.items():
        text, found = _take(pattern, text)
        yield from (_edge_claim(edge, value) for (value,) in found)
    for axis, pattern in _LOOSE.items():
        text, found = _take(pattern, text)
        values = tuple(value for (value,) in found)
        if spans:
            yield from (_size_claim(axis, value) for value in values[:1])
        elif values:
            yield _axis_claim(axis, values[:2])


def _take(pattern: re.Pattern, text: str) -> tuple[str, list[tuple[float, ...]]]:
    """`text` without what `pattern` finds, and the numbers of each find."""
    found = [tuple(float(n) for n in match.groups() if n is not None) for match in pattern.finditer(text)]
    return (pattern.sub(" ", text) if found else text), found


def _sides(box: Box, axis: str) -> tuple[float, float]:
    return (box.x1, box.x2) if axis == "x" else (box.y1, box.y2)


def _box_claim(numbers: Sequence[float]) -> _Claim:
    values = tuple(numbers)

    def fits(box: Box, scale: tuple[float, float], slack: float) -> bool:
        corners = (box.x1, box.y1, box.x2, box.y2)
        return all(
            abs(v * scale[i % 2] - corner) <= slack for i, (v, corner) in enumerate(zip(values, corners))
        )

    return _Claim(values, fits)


def _axis_claim(axis: str, values: tuple[float, ...]) -> _Claim:
    """Two values run from the lower side to the upper one; one alone is a side or the middle."""

    def fits(box: Box, scale: tuple[float, float], slack: float) -> bool:
        low, high = _sides(box, axis)
        said = [value * scale[axis == "y"] for value in values]
        if len(said) == 2:
            return abs(said[0] - low) <= slack and abs(said[1] - high) <= slack and said[0] <= said[1]
        return min(abs(said[0] - side) for side in (low, high, (low + high) / 2)) <= slack

    return _Claim(values, fits)


def _edge_claim(edge: str, value: float) -> _Claim:
    def fits(box: Box, scale: tuple[float, float], slack: float) -> bool:
        return abs(value * scale[edge[0] == "y"] - getattr(box, edge)) <= slack

    return _Claim((value,), fits)


def _size_claim(axis: str, value: float) -> _Claim:
    def fits(box: Box, scale: tuple[float, float], slack: float) -> bool:
        low, high = _sides(box, axis)
        return abs(value * scale[axis == "y"] - (high - low)) <= max(slack, 0.15 * (high - low))

    return _Claim((value,), fits)


# --- phrases

_AFTER_HEAD = re.compile(
    r"\b(?:on|in|at|near|with|next|of|to|by|close|beside|from|that|which|above|below|under|is|are|was|has|have|parked|docked|"
    r"moored|located|standing|lying|surrounded|made)\b"
)


def head_of(phrase: str) -> str:
    """The words of a phrase up to what says where the thing is: "the red car near the gate" -> "the red car"."""
    return _AFTER_HEAD.split(phrase.lower(), maxsplit=1)[0].strip(" .")
