"""The only judge of right and wrong: rewards, evaluation and the page all call `score`.

Two numbers stand side by side. `value` is the strict one and the headline. `reference` repeats what the
released evaluation of TinyRS-R1 computes, faults included, and is only good for standing beside the paper's
Table 1: there an empty answer counts as right, and boxes that cannot be read leave the denominator.
"""

from __future__ import annotations

import math
import re
import statistics
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tinyrs.example import BOX_SCALE, Answer, Box, Example, Task
from tinyrs.numerals import NUMERALS
from tinyrs.parse import count_boxes, format_boxes
from tinyrs.prompt import dialect_of, is_choice

IOU_RIGHT = 0.5
"""A box is right from this IoU on (the paper's P@0.5)."""


@dataclass(frozen=True)
class Score:
    """How good one answer is. See `score` for what each task means by `value`.

    value      0..1, strict; None where nobody but a judge can say, or the example holds no truth
    reference  what the released evaluation gives; None where it has no score or drops the sample
    parsed     the answer has the kind of content that was asked for: a box, a number, one of the labels, ...
    iou        overlap with the true boxes, 0..1; None for other tasks than grounding
    """

    value: float | None
    reference: float | None
    parsed: bool
    iou: float | None = None


def score(example: Example, answer: Answer, dialect: str = "tinyrs") -> Score:
    """Judge `answer` against the truth in `example`.

    grounding       value 1.0 when there are as many boxes as true ones and each matches its own at
                    IoU >= 0.5, else 0.0. So one wrong extra box costs everything, and so does a box that
                    cannot be used. iou is the mean over the pairs, where a box without a partner counts 0.
                    A missing or unreadable box is 0.0 and stays in the denominator.
    classification, vqa, counting
                    value 1.0 when `equal` holds, else 0.0.
    multiple choice (any task; see prompt.is_choice)
                    value 1.0 when the answer names the true letter and no other.
    captioning, open
                    value None: that needs a judge.

    `dialect` only matters to `reference`: the released evaluation drops unreadable boxes of TinyRS and VHM
    and counts those of the other models as wrong. Its exchange of height and width for pictures that are
    not square is not repeated here (it depends on a field of its JSON, and no benchmark shows it).
    """
    if example.question.task is Task.GROUNDING and not is_choice(example.question):
        return _score_boxes(example, answer, dialect)
    text = answer.text
    parsed = bool(_key(text))
    if is_choice(example.question):
        truth = _letter(example.answer)
        letter = _letter(text)
        if truth is None:
            return Score(None, None, parsed)
        return Score(
            float(letter == truth), _reference_choice(answer.raw, example.answer), letter is not None
        )
    if example.question.task in (Task.OPEN, Task.CAPTIONING) or not _key(example.answer):
        return Score(None, None, parsed)
    labels = example.question.labels
    if labels:
        parsed = any(equal(text, label) for label in labels)
    elif number_of(example.answer) is not None:
        parsed = number_of(text) is not None
    return Score(
        float(equal(text, example.answer, labels)), _reference_text(answer.raw, example.answer), parsed
    )


# --- boxes ----------------------------------------------------------------------------------------------


def iou(a: Box, b: Box) -> float:
    """Intersection over union, 0..1. A box without area, reversed or not finite overlaps nothing."""
    area_a, area_b = _area(a), _area(b)
    if not (area_a > 0 and area_b > 0):
        return 0.0
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    if not (width > 0 and height > 0):
        return 0.0
    shared = width * height
    return min(1.0, shared / (area_a + area_b - shared))


def _area(box: Box) -> float:
    width, height = box.x2 - box.x1, box.y2 - box.y1
    # Two negative sides would multiply to a fine area.
    return width * height if width > 0 and height > 0 and math.isfinite(width * height) else 0.0


def pair(found: Sequence[Box], true: Sequence[Box]) -> list[tuple[int, int, float]]:
    """One-to-one pairs (index in `found`, index in `true`, iou), best overlap first."""
    overlaps = ((iou(f, t), i, j) for i, f in enumerate(found) for j, t in enumerate(true))
    pairs, used_found, used_true = [], set(), set()
    for overlap, i, j in sorted((o for o in overlaps if o[0] > 0), key=lambda o: (-o[0], o[1], o[2])):
        if i not in used_found and j not in used_true:
            pairs.append((i, j, overlap))
            used_found.add(i)
            used_true.add(j)
    return pairs


def _score_boxes(example: Example, answer: Answer, dialect: str) -> Score:
    if not example.boxes:
        return Score(None, None, bool(answer.boxes))
    # Boxes that were written but cannot be used count as boxes too: they are no way to hedge.
    written = max(len(answer.boxes), count_boxes(answer.text))
    if not answer.boxes:
        return Score(0.0, _reference_boxes(example, answer, dialect), False, 0.0)
    pairs = pair(answer.boxes, example.boxes)
    right = written == len(example.boxes) == sum(overlap >= IOU_RIGHT for _, _, overlap in pairs)
    overlap = sum(overlap for _, _, overlap in pairs) / max(written, len(example.boxes))
    return Score(float(right), _reference_boxes(example, answer, dialect), True, overlap)


# --- texts ----------------------------------------------------------------------------------------------

_INVISIBLE = dict.fromkeys((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))
_LEAD = re.compile(r"(?:[^\w.+-]|_|[.+-](?!\.?\d))+")  # "- road", "(road", but not the sign of "-3 m"
_TRAIL = " \t\r\n\f\v\"'`\u2018\u2019\u201c\u201d.,;:!?()[]{}<>*_#-\u2013\u2014"
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_JOINTS = re.compile(r"(?:[\s_/\u2010-\u2015]|(?<=\w)-|-(?!\d))+")
_SPACE = re.compile(r"(?<!\d) | (?!\d)")  # between digits a space stays: "1 5" is not "15"
_ARTICLE = re.compile(r"(?:a|an|the) ")
_LIST = re.compile(r" ?[,;] ?(?:and |or )?| and ", re.I)
_DIGITS = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|[-+]?\.\d+", re.ASCII)
_CHOICE = re.compile(r"\(?([A-Za-z])(?:\)|\.|:)?(?:\)|\.|:)?(?P<rest>\s.*)?", re.S)
_OTHER_CHOICE = re.compile(r"(?:^|[\s(,/])[A-Z][.):]|(?:\b(?:or|and|nor)\b|[,/&])\s*\(?[A-Z]\b")
_READ = 20_000  # characters of an answer that are compared; a longer one equals nothing short anyway



def equal(pred: str, truth: str, labels: Sequence[str] = ()) -> bool:
    """Do two answers say the same?

    Case, outer punctuation, a leading article, CamelCase, and spaces against hyphens or underscores do not
    count. Numbers are compared as numbers ("two" = "2" = "2.0", but "15" is not "1.5"). Lists are compared
    without order. Where the labels are A, B, C, ... or the truth is one letter, the letter alone is compared
    ("B", "(B)", "B. a river"). With `labels`, an answer must be one of them, so several never match.
    An answer without a letter or digit ("", ".") equals nothing.
    """
    if len(pred) > _READ or not _key(pred) or not _key(truth):
        return False
    letters = len(labels) > 1 and all(_is_letter(label) for label in labels)
    if letters or (not labels and _is_letter(truth)):
        letter = _letter(pred)
        return letter is not None and letter == _letter(truth)
    number = number_of(truth)
    if number is not None:
        return number_of(pred) == number
    if _key(pred) == _key(truth):
        return True
    if labels and any(_key(label) == _key(pred) for label in labels):
        return False  # a label that holds a comma is one label, not a list
    wanted = _items(truth)
    return len(wanted) > 1 and sorted(_items(pred)) == sorted(wanted)


@lru_cache(maxsize=64)
def label_of(answer: str, labels: tuple[str, ...]) -> int | None:
    """The place of the label that an answer names; None where it names none. Kept: several checks of one caption ask."""
    if answer in labels:
        return labels.index(answer)
    return next((at for at, label in enumerate(labels) if equal(answer, label, labels)), None)


def _key(text: str) -> str:
    """What is compared: no case, punctuation around, article, or spaces; "" when nothing is left."""
    text = unicodedata.normalize("NFKC", text[:_READ].translate(_INVISIBLE)).rstrip(_TRAIL)
    lead = _LEAD.match(text)
    text = text[lead.end() :] if lead else text
    text = _JOINTS.sub(" ", _CAMEL.sub(" ", text)).casefold()
    return _SPACE.sub("", _ARTICLE.sub("", text, count=1) if _ARTICLE.match(text) else text)


def _items(text: str) -> list[str]:
    text = " ".join(text[:_READ].replace("\n", ",").split())
    return [key for key in map(_item_key, _LIST.split(text)) if key]


def _item_key(item: str) -> str:
    number = number_of(item)
    return _key(item) if number is None else f"{number:g}"


def number_of(text: str) -> float | None:
    """The number that a text is, in digits or words; None when it is anything else."""
    if len(text) > 200:
        return None
    text = text.translate(_INVISIBLE).replace("\u2212", "-").strip(" \t\r\n\"'`*()").rstrip(".")
    if _DIGITS.fullmatch(text):
        return float(text.replace(",", ""))
    total = None
    for word in re.split(r"[\s-]+", text.lower()):
        if word == "and" and total is not None and total >= 100:
            continue
        if word == "hundred" and total in range(1, 10):
            total *= 100
        elif word in NUMERALS:
            value = NUMERALS[word]
            # "twenty one" and "one hundred five" add up; "two one" is not a number.
            room = total is None or (total % 100 == 0 and total > 0) or (total % 100 >= 20 and 0 < value < 10)
            if not room or (total is not None and total % 10):
                return None
            total = (total or 0) + value
        else:
            return None
    return None if total is None else float(total)


def _is_letter(text: str) -> bool:
    bare = text.strip(" .():")
    return len(bare) == 1 and "A" <= bare <= "Z"


def _letter(text: str) -> str | None:
    """The letter that a multiple-choice answer names ("B", "(b)", "B. a river"); None for two or none."""
    text = text[:_READ].translate(_INVISIBLE).strip(" \t\r\n\"'`*")
    found = _CHOICE.fullmatch(text)
    if not found:
        return None
    rest = found["rest"] or ""
    marked = not text[: -len(rest)].isalpha() if rest else True
    if rest and (not marked or _OTHER_CHOICE.search(rest)):
        return None  # "A bridge" is no letter, and "A. or B." is two
    return found[1].upper()


# --- the released evaluation ----------------------------------------------------------------------------


def _reference_tags(raw: str) -> str:
    if "<reasoning>" in raw and "</reasoning>" in raw.split("<reasoning>")[1]:
        raw = raw.split("<reasoning>")[1].split("</reasoning>")[1]
    if "<answer>" in raw:
        raw = raw.split("<answer>")[1].split("</answer>")[0]
    return raw


def _reference_text(raw: str, truth: str) -> float:
    """Classification and VQA there: the first word or clause is *contained* in the truth."""
    pred = _reference_tags(raw).replace(" ", "").split(".")[0].split(",")[0].strip().lower()
    return float(pred in truth.replace(" ", "").strip().lower())


def _reference_choice(raw: str, truth: str) -> float:
    """LHRS-Bench there: as above, but a line break counts."""
    pred = _reference_tags(raw).split(".")[0].replace(" ", "").lower()
    return float(pred in truth.replace(" ", "").replace(".", "").lower())


_REFERENCE_SQUARE = re.compile(r"\[\[(\d{1,20})[,\s]{1,20}(\d{1,20})[,\s]{1,20}(\d{1,20})[,\s]{1,20}(\d{1,20})\]\]")
_DECIMAL = r"(\d{1,20}(?:\.\d{1,20})?)"
_REFERENCE_PAREN = re.compile(rf"\({_DECIMAL},{_DECIMAL}\),\({_DECIMAL},{_DECIMAL}\)")
_REFERENCE_THINK = re.compile(rf"\[{_DECIMAL},\s{{0,20}}{_DECIMAL},\s{{0,20}}{_DECIMAL},\s{{0,20}}{_DECIMAL}\]")
_REFERENCE_ANGLE = re.compile(rf"{{<{_DECIMAL}><{_DECIMAL}><{_DECIMAL}><{_DECIMAL}>\|<\d{{1,20}}>}}")
_REFERENCE_BBOX = re.compile(rf"<bbox>\[{_DECIMAL},{_DECIMAL},{_DECIMAL},{_DECIMAL}\]</bbox>")
_REFERENCE_BOXES = {
    "tinyrs": (_REFERENCE_SQUARE,),
    "vhm": (_REFERENCE_SQUARE,),
    "qwen2-vl": (_REFERENCE_PAREN,),
    "qwen2-vl-think": (_REFERENCE_PAREN, _REFERENCE_THINK),
    "geochat": (_REFERENCE_ANGLE,),
    "skysensegpt": (_REFERENCE_ANGLE,),
    "lhrs": (_REFERENCE_BBOX,),
}
"""What is a box there, by dialect: the first pattern that finds any. Fullness of form counts: no blanks, no signs."""


def _reference_boxes(example: Example, answer: Answer, dialect: str) -> float | None:
    """P@0.5 there: each dialect's own pattern; only the first boxes are paired, extra ones ignored."""
    text, unit = _reference_tags(answer.raw)[:_READ], BOX_SCALE / dialect_of(dialect).box_scale
    rows = next((rows for each in _REFERENCE_BOXES[dialect] if (rows := each.findall(text))), [])
    boxes = [Box(*(unit * float(number) for number in row)) for row in rows]
    if not boxes:
        return None if dialect in ("tinyrs", "vhm") else 0.0
    hits = [iou(found, true) >= IOU_RIGHT for found, true in zip(boxes, example.boxes)]
    return sum(hits) / len(hits)


# --- over many answers ----------------------------------------------------------------------------------


def format_ok(answer: Answer, thinking: bool = True) -> bool:
    """Does the text keep to the form that was asked for? The format reward; what it says does not matter.

    `thinking` asks for one reasoning and one answer, each with content; else for an answer without tags.
    """
    return answer.well_formed and bool(answer.text) and bool(answer.reasoning) == thinking


def wilson(right: float, n: int) -> tuple[float, float]:
    """The 95 % interval (Wilson score) of a share of `right` out of `n`; (0, 1) for none at all."""
    if n <= 0:
        return 0.0, 1.0
    z = 1.959963984540054
    share = min(max(right / n, 0.0), 1.0)
    middle = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def summarise(scores: Iterable[Score], answers: Iterable[Answer] = ()) -> dict:
    """The numbers of one benchmark. Shares are 0..1, and None where nothing could be counted.

    n                samples with a strict value: all of them are in the denominator
    unscored         samples that need a judge or hold no truth
    strict, strict_interval   mean of `value`, and its Wilson 95 % interval
    reference, reference_interval, reference_n   the same over the samples that the released evaluation
                              would keep, and how many these are
    parsed           share of all samples whose answer has the kind of content that was asked for
    iou              mean overlap, grounding only
    truncated, well_formed    shares of `answers`, where these are given
    """
    scores, answers = list(scores), list(answers)
    values = [s.value for s in scores if s.value is not None]
    references = [s.reference for s in scores if s.reference is not None]
    overlaps = [s.iou for s in scores if s.iou is not None]
    return {
        "n": len(values),
        "unscored": len(scores) - len(values),
        "strict": _mean(values),
        "strict_interval": wilson(sum(values), len(values)),
        "reference": _mean(references),
        "reference_interval": wilson(sum(references), len(references)),
        "reference_n": len(references),
        "parsed": _mean([s.parsed for s in scores]),
        "iou": _mean(overlaps),
        "truncated": _mean([a.truncated for a in answers]),
        "well_formed": _mean([a.well_formed for a in answers]),
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def majority(examples: Sequence[Example]) -> tuple[str, float | None]:
    """The best answer that ignores the picture, and its strict score: what a model must beat.

    The commonest true answer; for grounding the box of median corners. ("", None) where nothing is scored.
    """
    boxed = [e for e in examples if e.question.task is Task.GROUNDING and len(e.boxes) == 1]
    if boxed:
        corners = zip(*((e.boxes[0].x1, e.boxes[0].y1, e.boxes[0].x2, e.boxes[0].y2) for e in boxed))
        box = Box(*map(statistics.median, corners))
        if not _area(box):
            box = Box(0, 0, BOX_SCALE, BOX_SCALE)
        best = Answer(raw=format_boxes([box]), text=format_boxes([box]), boxes=(box,))
    else:
        closed = [e.answer for e in examples if score(e, Answer(raw="")).value is not None]
        if not closed:
            return "", None
        keys = Counter(map(_item_key, closed))
        common = keys.most_common(1)[0][0]
        text = next(answer for answer in closed if _item_key(answer) == common)
        best = Answer(raw=text, text=text)
    values = [s.value for s in (score(e, best) for e in examples) if s.value is not None]
    return best.text, _mean(values)
