"""What a model wrote -> Answer: reasoning in steps, answer text, boxes, and what is wrong with its form.

Works on finished texts and on texts that are still streaming, never raises on any text, and takes time in
proportion to its length: models can be made to write anything.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tinyrs.example import BOX_SCALE, Answer, Box
from tinyrs.prompt import ANGLE, PAREN, SQUARE, dialect_of

_BLANK = " \t\r\n\f\v\u00a0\u200b\u200c\u200d\u2060\ufeff"  # what does not count as content
_TAG = re.compile(r"</?(?:reasoning|answer)>")
_TAG_NAMES = ("<reasoning>", "</reasoning>", "<answer>", "</answer>")
_END_MARKS = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "</s>")
_MOST_PROBLEMS = 12  # sentences about boxes; a hostile text could earn a million
_MOST_BOXES = 1000  # what lies behind them is not read


def parse(
    text: str,
    *,
    dialect: str = "tinyrs",
    thinking: bool | None = None,
    finished: bool = True,
    truncated: bool = False,
    box_scale: float | None = None,
    size: tuple[int, int] | None = None,
) -> Answer:
    """Take a model's text apart. Total: no text makes it raise.

    thinking   True: one non-empty `<reasoning>` and then one non-empty `<answer>` is the form (or whatever
               tag the dialect has around its reasoning).
               False: the form is any text without these tags; tags in it stay text.
               None: whichever the text itself uses.
    finished   False while the text still streams: then an unfinished tag or box at its end is held back, and
               only what more text cannot put right is a problem.
    truncated  generation stopped at its token budget.
    box_scale  boxes run from 0 to this; None takes the dialect's own scale.
    size       (width, height): boxes are in pixels of such a picture, whatever `box_scale` says.

    `well_formed` is about the tags alone. Boxes that cannot be used are left out of `.boxes` and each has its
    sentence in `.problems`. Where the answer tag is missing, `.text` is "": ungraded words are no answer.
    With several answers `.text` holds them all, so that hedging equals no single truth.

    Raises ValueError for an unknown dialect or a scale that is not a positive number: a caller's mistake.
    """
    scale = _scale(dialect, box_scale, size)
    marks = dialect_of(dialect).marks
    own = tuple(name.replace("reasoning", dialect_of(dialect).thought) for name in _TAG_NAMES)
    body = _without_end_mark(text)
    if not finished:
        body = _without_partial_tag(body, own + _END_MARKS + marks)
    for name, house in zip(own, _TAG_NAMES, strict=True):
        body = body.replace(name, house)
    if thinking is None:
        thinking = "<reasoning>" in body or "<answer>" in body
    if thinking:
        reasoning, answer, problems, complete = _sections(body, finished)
    else:
        reasoning, answer, problems, complete = "", body, [], False
        if finished and not answer.strip(_BLANK):
            problems.append("The answer is empty.")
        if _TAG.search(body):
            problems.append("The answer holds a tag that only reasoning models write.")
    well_formed = not problems
    truncated = truncated and finished and not complete
    if truncated:
        problems.append("The text stopped at its token budget before it was complete.")

    found, wrong = _boxes(answer, dialect, scale)
    if len(found) + len(wrong) >= _MOST_BOXES:
        wrong.append(f"There are more than {_MOST_BOXES} boxes; the rest was not read.")
    reasoning_found, _ = _boxes(reasoning, dialect, scale)
    partial = _partial_box(answer)
    if partial is not None and finished and _UNFINISHED.search(answer, partial):
        wrong.append(f"A box is not complete: {_clip(answer[partial:])}")
    if not finished and not complete:
        answer, reasoning = _without_partial_box(answer), _without_partial_box(reasoning)
        wrong = _boxes(answer, dialect, scale)[1]
    if len(wrong) > _MOST_PROBLEMS:
        wrong[_MOST_PROBLEMS:] = [f"{len(wrong) - _MOST_PROBLEMS} more boxes have problems."]
    return Answer(
        raw=text,
        text=_without(marks, answer).strip(_BLANK),
        reasoning=split_steps(_without(marks, reasoning)),
        boxes=found,
        reasoning_boxes=reasoning_found,
        well_formed=well_formed,
        truncated=truncated,
        problems=tuple(problems + wrong),
    )


def boxes(
    text: str,
    *,
    dialect: str = "tinyrs",
    scale: float | None = None,
    size: tuple[int, int] | None = None,
) -> tuple[Box, ...]:
    """Every usable box in `text`, on the 0..1000 scale, in order. Arguments as for `parse`."""
    return _boxes(text, dialect, _scale(dialect, scale, size))[0]


def count_boxes(text: str) -> int:
    """How many things in `text` are written like a box, in any dialect's notation, usable or not."""
    return sum(len(numbers) >= 4 for _, _, numbers in box_numbers(text))


def box_numbers(text: str) -> list[tuple[int, int, list[float]]]:
    """(start, end, numbers) of all in `text` that is written like a box, usable or broken, unscaled."""
    return [(group.start, group.start + len(group.text), group.numbers) for group in _groups(text)]


def format_boxes(boxes: Iterable[Box]) -> str:
    """The notation of the TinyRS models: `[[x1,y1,x2,y2]]`, `[[..],[..]]` for several, "" for none.

    Whole units 0..1000; a box thinner than a unit is written one unit wide, so that it can be read again.
    """
    rows = []
    for box in boxes:
        x1, x2 = _whole(box.x1, box.x2)
        y1, y2 = _whole(box.y1, box.y2)
        rows.append(f"[{x1},{y1},{x2},{y2}]")
    return f"[{','.join(rows)}]" if rows else ""


def _whole(low: float, high: float) -> tuple[int, int]:
    first, last = (min(max(round(v), 0), BOX_SCALE) for v in (low, high))
    if first >= last:
        first = min(first, BOX_SCALE - 1)
        last = first + 1
    return first, last


# --- tags -----------------------------------------------------------------------------------------------


@dataclass
class _Section:
    name: str
    text: str
    closed: bool
    nested: bool


def _sections(text: str, finished: bool) -> tuple[str, str, list[str], bool]:
    """(reasoning, answer, problems, complete) of a text that should hold a reasoning and then an answer."""
    sections, gaps, stray = _scan(text)
    reasonings = [s for s in sections if s.name == "reasoning"]
    answers = [s for s in sections if s.name == "answer"]
    problems = []
    if not reasonings and (finished or answers):
        problems.append("The reasoning tag is missing.")
    if not answers and finished:
        problems.append("The answer tag is missing.")
    for name, group in (("reasoning", reasonings), ("answer", answers)):
        if len(group) > 1:
            problems.append(f"There is more than one {name}.")
        # In a streaming text the last section may still grow; one that another follows may not.
        done = [s for s in group if s.closed or finished or s is not sections[-1]]
        if any(not s.closed for s in done):
            problems.append(f"The {name} is not closed.")
        if any(not s.text.strip(_BLANK) for s in done):
            problems.append(f"The {name} is empty.")
    if stray or any(s.nested for s in sections):
        problems.append("A tag stands where none belongs.")
    if reasonings and answers and sections[0].name == "answer":
        problems.append("The answer comes before the reasoning.")
    if sections:
        if gaps[0].strip(_BLANK):
            problems.append(f"Text stands before the {sections[0].name}.")
        if any(gap.strip(_BLANK) for gap in gaps[1:-1]):
            problems.append("Text stands between the reasoning and the answer.")
        if gaps[-1].strip(_BLANK):
            if answers and sections[-1].name == "answer":
                problems.append("Text follows the answer.")
            elif answers:
                problems.append("Text follows the reasoning.")
            elif finished:
                problems.append("Text follows the reasoning without an answer tag.")
    complete = bool(sections) and sections[-1].name == "answer" and sections[-1].closed
    return "\n".join(s.text for s in reasonings), "\n".join(s.text for s in answers), problems, complete


def _scan(text: str) -> tuple[list[_Section], list[str], bool]:
    """The sections of `text`, the texts around them, and whether a closing tag is left over.

    A section runs to its own closing tag; without one, to the next tag. Tags inside it stay its text.
    """
    tags = list(_TAG.finditer(text))
    closers: dict[str, list[int]] = {"reasoning": [], "answer": []}
    for i, tag in enumerate(tags):
        if tag[0].startswith("</"):
            closers[tag[0][2:-1]].append(i)
    sections: list[_Section] = []
    gaps, stray, i, end = [], False, 0, 0
    while i < len(tags):
        tag = tags[i]
        name = tag[0].strip("</>")
        if tag[0].startswith("</"):
            stray, i = True, i + 1
            continue
        own = closers[name]
        at = bisect_left(own, i)
        closed = at < len(own)
        last = own[at] if closed else i + 1
        stop = tags[last].start() if last < len(tags) else len(text)
        gaps.append(text[end : tag.start()])
        sections.append(_Section(name, text[tag.end() : stop], closed, closed and last > i + 1))
        end = tags[last].end() if closed else stop
        i = last + 1 if closed else last
    gaps.append(text[end:])
    return sections, gaps, stray


def _without(marks: tuple[str, ...], text: str) -> str:
    for mark in marks:
        text = text.replace(mark, "")
    return text


def _without_end_mark(text: str) -> str:
    """`text` without the end token that some decoders leave behind it."""
    bare = text.rstrip(_BLANK)
    for mark in _END_MARKS:
        if bare.endswith(mark):
            return bare[: -len(mark)]
    return text


def _without_partial_tag(text: str, tags: tuple[str, ...]) -> str:
    """A streaming text without the beginning of a tag at its end."""
    start = text.rfind("<", max(0, len(text) - 24))
    tail = text[start:] if start >= 0 else ""
    if tail and any(mark.startswith(tail) and mark != tail for mark in tags):
        return text[:start]
    return text


# --- boxes ----------------------------------------------------------------------------------------------

# Every pattern below is bounded in length and cannot match the same text in two ways: a text of a megabyte
# of brackets must not take longer than any other.
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?|[-+]?(?:nan|inf|infinity)", re.I | re.ASCII)
_GROUP = re.compile(
    r"\[(?P<square>[^\[\](){}]{1,160})\]"
    r"|\((?P<paren>[^\[\](){}]{1,80})\)"
    r"|\{\s?(?P<angle>(?:<[^<>{}|]{0,32}>){1,10})(?:\|\s?<(?P<turn>[^<>{}|]{0,32})>)?\s?\}"
)
_SEPARATORS = re.compile(r"[\s,;]+")
_ANGLE_SEPARATORS = re.compile(r"[<>\s]+")
_JOINT = re.compile(r"\s{0,4},?\s{0,4}")
_LABEL = re.compile(
    r"(?:<\|object_ref_start\|>([^<>]{1,200})<\|object_ref_end\|>|<p>([^<>]{1,200})</p>)"
    r"[\s:]{0,4}(?:<\|box_start\|>|<bbox>)?[\s(\[]{0,4}\Z"
)
_BOX_TAIL = re.compile(r"[\[({][\[\](){}<>|,.+\-\d\s]{0,239}\Z", re.ASCII)
_UNFINISHED = re.compile(r"\[\s*\[|\d\s*[,>]", re.ASCII)


@dataclass
class _Group:
    """Numbers that are written together like a box. `numbers` holds floats, finite or not."""

    notation: str
    numbers: list[float]
    start: int
    text: str
    angle: float = 0.0


def _scale(dialect: str, box_scale: float | None, size: tuple[int, int] | None) -> tuple[float, float]:
    own = dialect_of(dialect).box_scale
    scale = size or ((box_scale, box_scale) if box_scale is not None else (own, own))
    if not all(math.isfinite(side) and side > 0 for side in scale):
        raise ValueError(f"The scale of boxes must be a positive number, not {scale[0]}, {scale[1]}.")
    return float(scale[0]), float(scale[1])


def _numbers(text: str, separators: re.Pattern = _SEPARATORS) -> list[float] | None:
    """The numbers of `text`, or None when anything else stands in it."""
    parts = [part for part in separators.split(text) if part]
    if not parts or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    return [float(part) for part in parts]


def _groups(text: str) -> list[_Group]:
    """Everything in `text` that is written like a box or like a broken one, in order."""
    groups: list[_Group] = []
    points: list[tuple[re.Match, list[float]]] = []  # a run of (x,y) that stand side by side

    def flush() -> None:
        if sum(len(numbers) for _, numbers in points) < 3:  # one point is no box
            points.clear()
            return
        pairs = len(points) % 2 == 0 and all(len(numbers) == 2 for _, numbers in points)
        step = 2 if pairs else len(points)
        for i in range(0, len(points), step):
            run = points[i : i + step]
            start, end = run[0][0].start(), run[-1][0].end()
            groups.append(_Group(PAREN, [n for _, numbers in run for n in numbers], start, text[start:end]))
        points.clear()

    for match in _GROUP.finditer(text):
        if len(groups) + len(points) >= _MOST_BOXES:
            break
        if match["paren"]:
            numbers = _numbers(match["paren"])
            if numbers and len(numbers) > 1:
                if points and not _JOINT.fullmatch(text, points[-1][0].end(), match.start()):
                    flush()
                points.append((match, numbers))
            continue
        flush()
        if match["square"]:
            numbers = _numbers(match["square"])
            doubled = text[match.start() - 1 : match.start()] == "["
            if numbers and len(numbers) > (0 if doubled else 2):  # "[1]" and "[3, 4]" are not meant as boxes
                groups.append(_Group(SQUARE, numbers, match.start(), match[0]))
        else:
            numbers = _numbers(match["angle"], _ANGLE_SEPARATORS)
            turn = _numbers(match["turn"] or "0")
            if numbers:
                angle = turn[0] if turn and math.isfinite(turn[0]) else 0.0
                groups.append(_Group(ANGLE, numbers, match.start(), match[0], angle))
    flush()
    return groups


def _boxes(text: str, dialect: str, scale: tuple[float, float]) -> tuple[tuple[Box, ...], list[str]]:
    """The usable boxes of `text`, 0..1000, and one sentence for each box that cannot be used."""
    notations = dialect_of(dialect).notations
    good, wrong = [], []
    for group in _groups(text):
        problem = _problem(group, notations, scale)
        if problem:
            wrong.append(f"{problem}: {_clip(group.text)}")
            continue
        x1, y1, x2, y2 = group.numbers
        sx, sy = BOX_SCALE / scale[0], BOX_SCALE / scale[1]
        label = _LABEL.search(text[max(0, group.start - 300) : group.start])
        name = (label[1] or label[2]).strip() if label else ""
        good.append(Box(x1 * sx, y1 * sy, x2 * sx, y2 * sy, name, group.angle))
    return tuple(good), wrong


def _problem(group: _Group, notations: tuple[str, ...], scale: tuple[float, float]) -> str:
    """What is wrong with a box, without its full stop; "" when it can be used."""
    numbers = group.numbers
    if len(numbers) != 4:
        return f"A box needs four numbers, not {len(numbers)}"
    if group.notation not in notations:
        return "A box is written in the notation of another model"
    if not all(map(math.isfinite, numbers)):
        return "A box holds something that is not a finite number"
    x1, y1, x2, y2 = numbers
    slack = 1e-6  # for 0-1 floats that were rounded on their way
    if min(numbers) < 0 or max(x1, x2) > scale[0] * (1 + slack) or max(y1, y2) > scale[1] * (1 + slack):
        return f"A box lies outside the picture, which runs from 0 to {_span(scale)}"
    if x1 > x2:
        return "x1 and x2 are the wrong way round"
    if y1 > y2:
        return "y1 and y2 are the wrong way round"
    if x1 == x2 or y1 == y2:
        return "A box has no area"
    if max(numbers) <= 1 and min(scale) >= 100:
        return f"A box is written on a scale of 1, where {_span(scale)} was declared"
    return ""


def _span(scale: tuple[float, float]) -> str:
    return f"{scale[0]:g}" if scale[0] == scale[1] else f"{scale[0]:g} x {scale[1]:g}"


def _clip(text: str) -> str:
    text = " ".join(text[:200].split())
    return text if len(text) <= 60 else text[:57] + "..."


def _without_partial_box(text: str) -> str:
    """A streaming text without the beginning of a box at its end."""
    return text[: _partial_box(text)]


def _partial_box(text: str) -> int | None:
    """Where an unfinished box begins, when `text` ends inside one."""
    tail = _BOX_TAIL.search(text[-240:])
    if tail is None:
        return None
    tail, start = tail[0], len(text) - len(tail[0])
    opened: list[int] = []
    points: list[int] = []  # where each closed (x,y) of the run at the end began
    for i, char in enumerate(tail):
        if char in "[({":
            opened.append(i)
        elif char in "])}" and opened:
            first = opened.pop()
            point = char == ")" and "," in tail[first:i] and not set("[{<") & set(tail[first:i])
            points = points + [first] if point else []
    if opened and len(points) % 2 and tail[opened[0]] == "(":
        return start + points[-1]
    if opened:
        return start + opened[0]
    if len(points) % 2 and tail.rstrip(" ,").endswith(")"):
        return start + points[-1]  # (x1,y1) still waits for its (x2,y2)
    return None


# --- steps ----------------------------------------------------------------------------------------------

_WORD = re.compile(r"\S+")
_MARKER = re.compile(r"(?:[-*\u2022\u2013]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|[Ss]tep \d{1,3}\s?[:.)-])(?:\s+|$)")
_MARKER_WORD = re.compile(r"\(?(?:\d{1,3}|[a-zA-Z])[.)]")
_ABBREVIATIONS = frozenset(
    "e.g. i.e. vs. cf. ca. approx. dr. mr. mrs. ms. st. mt. ft. resp. incl. excl.".split()
)
_BEFORE_NUMBERS = frozenset(
    "no. nos. fig. figs. eq. sec. vol. ref. max. min. avg. est. approx. ca. p. pp.".split()
)
_STARTERS = frozenset(
    "the this that these those it its there they a an in on at i if so but and as all based however thus "
    "here we no yes next first second then finally now let looking since given".split()
)
_INITIALS = re.compile(r"(?:[A-Z]\.){2,4}")
_OPENERS = "\"'\u201c\u2018([<*_"
_CLOSERS = "\"'\u201d\u2019)]*_"
_MAY_END = frozenset(".!?\u2026" + _CLOSERS)
_CJK_STOPS = re.compile(r"(?<=[\u3002\uff01\uff1f])(?=.)", re.S)


@lru_cache(maxsize=16)  # the parser, the checks and the store ask for the same text within one import
def split_steps(reasoning: str) -> tuple[str, ...]:
    """The steps of a reasoning: its lines, and the sentences within each, without list markers.

    Decimals, abbreviations and initials do not end a sentence.
    """
    steps: list[str] = []
    for line in reasoning.splitlines():
        for sentence in _sentences(line):
            marker = _MARKER.match(sentence)
            sentence = sentence[marker.end() :].strip(_BLANK) if marker else sentence
            steps.extend(part for part in _CJK_STOPS.split(sentence) if part.strip(_BLANK))
    return tuple(steps)


_ANY_STOP = re.compile(r"(?<=[.!?;])\s+")


def sentences(steps: Sequence[str]) -> list[str]:
    """The sentences of steps, also where the next one begins with a small letter."""
    return [part for step in steps for part in _ANY_STOP.split(step) if part]


def _sentences(line: str) -> list[str]:
    words = list(_WORD.finditer(line))
    found, first = [], 0
    for i, word in enumerate(words):
        last = i + 1 == len(words)
        if last or word[0][-1] in _MAY_END and _ends_sentence(word[0], words[i + 1][0], alone=i == first):
            found.append(line[words[first].start() : word.end()].strip(_BLANK))
            first = i + 1
    return [sentence for sentence in found if sentence]


def _ends_sentence(word: str, following: str, alone: bool) -> bool:
    """Does a sentence end between these two words? `alone`: `word` is the first of its sentence."""
    bare = word.rstrip(_CLOSERS)
    if not bare or bare[-1] not in ".!?\u2026":
        return False
    if alone and _MARKER_WORD.fullmatch(word):
        return False  # "1." opens a step
    if bare[-1] in "!?":
        return True
    follows = following.lstrip(_OPENERS)
    if follows[:1].islower():
        return False
    start = bare.lower().lstrip(_OPENERS)
    if start in _ABBREVIATIONS or (start in _BEFORE_NUMBERS and follows[:1].isdigit()):
        return False
    # Initials ("U.S. Army") end a sentence only before a word that begins one.
    return not _INITIALS.fullmatch(bare.lstrip(_OPENERS)) or follows.rstrip(",.").lower() in _STARTERS
