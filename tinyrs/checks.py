"""What looks wrong in a caption: the findings that an annotator sees before saving, and that bulk runs count.

A finding is a suspicion in one sentence for a person to judge, not a verdict; the rules are made to be silent
where they are not sure. Run over a file: `python -m annotate check FILE`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tinyrs import (
    alternatives,
    conclusions,
    coordinates,
    extents,
    outcomes,
    places,
    repeats,
    sentences,
    sides,
    tally,
)
from tinyrs.example import Box, Question, Task
from tinyrs.metrics import equal, label_of, number_of, pair
from tinyrs.parse import boxes as boxes_in
from tinyrs.parse import parse, split_steps
from tinyrs.prompt import choices, is_choice, phrase_of
from tinyrs.yes_no import yes_or_no

CHECKS = {
    "format": "empty parts, tags inside, a reasoning that breaks off, a box that cannot be used",
    "label": "an answer that is none of the classes, letters or words that the question leaves",
    "given": "an answer that differs from the one that the data set gives",
    "contradiction": "a reasoning that comes to another answer",
    "counts": "a reasoning that counts to another number than the answer gives, or its boxes",
    "numbers": "coordinates or places in the reasoning that do not fit the box",
    "leak": "a reasoning that shows it was told the answer",
    "language": "words that are not English, or unreadable characters",
    "length": "a reasoning or answer that is much too short or too long",
    "repetition": "a step that says what another one said",
}
"""The name of every check and what it finds."""

SHORTEST, LONGEST = 8, 600
"""Words of a reasoning. The paper's samples have 110 to 210."""

# What is read. A longer reasoning is a finding by its length alone, and a hostile one must not cost time.
_READ, _LONGEST_STEP, _MOST_BOXES = 40_000, 2_000, 100


@dataclass(frozen=True)
class Finding:
    """One thing that looks wrong: `check` is a key of CHECKS, `sentence` says it to the annotator."""

    check: str
    sentence: str


def check(
    question: Question,
    reasoning: str,
    answer: str,
    *,
    boxes: Sequence[Box] = (),
    given: str = "",
    box_scale: float | None = None,
    size: tuple[int, int] = (0, 0),
) -> tuple[Finding, ...]:
    """Everything that looks wrong in one caption, at most one finding of each check but "format".

    boxes      the boxes of the answer, 0..1000; () reads them from `answer`
    given      the data set's own answer, "" when there is none
    box_scale  what boxes in `answer` and `given` run to; None is 0..1000
    size       (width, height) of the picture in pixels, for reasonings that speak of pixels

    Total: no text makes it raise. An empty reasoning is only a finding of "format", so captions of models
    that do not reason are checked by leaving those out.
    """
    reasoning, whole = reasoning[:_READ], reasoning
    answer, given = answer[:_READ], given[:_READ]
    steps = tuple(step[:_LONGEST_STEP] for step in split_steps(reasoning)[: repeats.MOST_STEPS])
    boxes = tuple(boxes) or boxes_in(answer, scale=box_scale)
    found = [*_format(question, reasoning, answer, boxes, box_scale)]
    for name, sentence in (
        ("label", _label(question, answer)),
        ("given", _given(question, answer, given, boxes, box_scale)),
        ("contradiction", _contradiction(question, steps, answer)),
        ("counts", _counts(question, steps, answer, boxes)),
        ("numbers", _numbers(question, steps, boxes, size)),
        ("leak", _leak(steps)),
        ("language", _language(steps, answer, question)),
        ("length", _length(question, whole, answer)),
        ("repetition", _repetition(question, steps, reasoning)),
    ):
        if sentence:
            found.append(Finding(name, sentence))
    return tuple(found)


def _quote(text: str) -> str:
    text = " ".join(text[:400].split())
    return f'"{text}"' if len(text) <= 120 else f'"{text[:117]}..."'


# --- format ---------------------------------------------------------------------------------------------

_SPECIAL = re.compile(r"</?(?:reasoning|answer|think|image)>|<\|[a-z_]{2,30}\|>", re.I)
_PLACEHOLDER = re.compile(
    r"\b(?:reasoning process here|answer here|lorem ipsum|todo|tbd|"
    r"(?:insert|add|write|put|your) (?:your |the |an? )?(?:reasoning|answer|explanation|text|thoughts?|steps) (?:goes )?here)\b",
    re.I,
)
_DANGLING = re.compile(
    r"(?:,|\b(?:the|a|an|of|and|or|to|in|on|at|is|are|with|from|that|this|which|for|by|as|it|its|was|has|have|were|be|been|can|could|will|"
    r"would|should|may|might|must|we|i|you|they|so|because|but|if|when|while|whereas|where|than|into|onto|between|along|towards?|very|"
    r"these|those|their|our|my|like|such|both|either|whose|therefore|thus|hence|also|no))\s*$"
    r"|\b(?:an?|the|some|several|many|another|and|with|of|no) (?:very )?(?:large|small|long|short|wide|narrow|big|tall|white|black|"
    r"gray|grey|green|blue|red|brown|dark|bright|light|clear|visible|distinct|round|circular|rectangular|square|straight|curved|main|single)\s*$",
    re.I,
)


def _format(question: Question, reasoning: str, answer: str, boxes: Sequence[Box], scale: float | None):
    if not reasoning.strip():
        yield Finding("format", "The reasoning is empty.")
    elif _DANGLING.search(reasoning[-60:]):
        yield Finding("format", f"The reasoning breaks off: {_quote('...' + reasoning[-60:])}")
    if not any(char.isalnum() for char in answer):
        yield Finding("format", "The answer is empty.")
    for name, text in (("reasoning", reasoning), ("answer", answer)):
        inside = _SPECIAL.search(text) or _PLACEHOLDER.search(text)
        if inside:
            yield Finding("format", f"The {name} holds {_quote(inside[0])}.")
    problems = parse(answer, thinking=False, box_scale=scale).problems
    yield from (
        Finding("format", sentence) for sentence in problems if "box" in sentence or "wrong way" in sentence
    )
    if (
        question.task is Task.GROUNDING
        and not is_choice(question)
        and not boxes
        and not problems
        and answer.strip()
    ):
        yield Finding("format", "The question asks for a place, and the answer holds no box.")


# --- the answer against the question and against the data set ---------------------------------------------

_YES_NO = re.compile(r"^(?:is|are|was|were|does|do|did|has|have|can)\b(?!.{0,200}\bor\b)", re.I)
_WORD_OF_TAG = re.compile(r"^\s*\{[A-Z]{2,3}\}\s*")


def _yes_no(question: Question, tasks: tuple[Task, ...] = (Task.VQA,)) -> bool:
    text = _WORD_OF_TAG.sub("", question.text.strip())
    return question.task in tasks and not question.labels and bool(_YES_NO.match(text))


def _label(question: Question, answer: str) -> str:
    if not answer.strip():
        return ""
    labels = tuple(question.labels)
    if is_choice(question):
        letters = labels or tuple(letter for letter, _ in choices(question.text))
        if not any(equal(answer, letter, letters) for letter in letters):
            return f"The answer {_quote(answer)} is none of the letters {', '.join(letters)}."
    elif labels and question.task in (Task.CLASSIFICATION, Task.VQA):
        if label_of(answer, labels) is None:
            return f"The answer {_quote(answer)} is none of the classes that the question gives."
    elif _yes_no(question) and not any(equal(answer, word) for word in ("yes", "no")):
        return f"The question wants yes or no, and the answer is {_quote(answer)}."
    elif question.task is Task.COUNTING and number_of(answer) is None:
        return f"The question wants a number, and the answer is {_quote(answer)}."
    return ""


def _given(question: Question, answer: str, given: str, boxes: Sequence[Box], scale: float | None) -> str:
    if not given.strip():
        return ""
    true = boxes_in(given, scale=scale)
    if true:
        met = sum(overlap >= 0.9 for _, _, overlap in pair(boxes[:_MOST_BOXES], true[:_MOST_BOXES]))
        same = len(true) == len(boxes) and met == min(len(true), _MOST_BOXES)
        return "" if same else f"The data set gives another box: {_quote(given)}."
    if question.task in (Task.OPEN, Task.CAPTIONING) and not is_choice(question):
        return ""  # other words may say the same
    return (
        ""
        if equal(answer, given, question.labels)
        else f"The data set gives another answer: {_quote(given)}."
    )


# --- the reasoning against the answer ---------------------------------------------------------------------


_AREAS = ("rural", "urban")


_NO_DENIAL = re.compile(r",?\s*\b(?:no doubt|without (?:any |a |much )?(?:doubt|hesitation|question)|no question)(?: (?:about|of) (?:it|that|this))?\b", re.I)


def _contradiction(question: Question, steps: Sequence[str], answer: str) -> str:
    steps = [_NO_DENIAL.sub("", step) for step in steps]  # "no" and "without" deny nothing there
    if is_choice(question):
        return _other_choice(question, steps, answer)
    asks_area = all(area in question.text.lower() for area in _AREAS) and any(equal(answer, area) for area in _AREAS)
    labels = tuple(question.labels) or (_AREAS if asks_area else ())
    if labels and sorted(map(str.lower, labels)) != [*_AREAS]:
        at = label_of(answer, labels)
        other = None if at is None else alternatives.offered(labels, steps, at)
        return "" if other is None else f'The reasoning comes to "{labels[other]}", the answer is {_quote(answer)}.'
    if labels:
        affirmed, verdict = conclusions.classes(steps, labels)
        wrong = verdict or (
            min(affirmed) if affirmed and not any(equal(answer, a, labels) for a in affirmed) else ""
        )
        if not affirmed and not verdict:
            urban = outcomes.urban(steps)
            wrong = "" if urban is None else "urban" if urban else "rural"
        if wrong and not equal(answer, wrong, labels):
            return f'The reasoning comes to "{wrong}", the answer is {_quote(answer)}.'
        return ""
    if _yes_no(question, (Task.VQA, Task.OPEN)):
        text = _WORD_OF_TAG.sub("", question.text.strip())
        verdict = yes_or_no(text, steps)
        said = "yes" if equal(answer, "yes") else "no" if equal(answer, "no") else ""
        if said and verdict is not None and verdict != (said == "yes"):
            return f"The reasoning comes to {'yes' if verdict else 'no'}, the answer is {said}."
    return ""


def _other_choice(question: Question, steps: Sequence[str], answer: str) -> str:
    offered = choices(question.text)
    letters = tuple(letter for letter, _ in offered) or tuple(question.labels)
    names = tuple(words for _, words in offered) or letters
    at = label_of(answer, letters)
    other = None if at is None else alternatives.offered(names, steps, at, letters)
    return "" if other is None else f"The reasoning comes to {letters[other]}, the answer is {_quote(answer)}."


def _counts(question: Question, steps: Sequence[str], answer: str, boxes: Sequence[Box]) -> str:
    if question.task is Task.GROUNDING and boxes:
        return _boxes_counted(question, steps, len(boxes))
    truth = number_of(answer)
    if question.task is not Task.COUNTING or truth is None:
        return ""
    other = alternatives.count(question.text, steps, int(truth)) if truth == int(truth) else None
    return "" if other is None else f"The reasoning comes to {other}, the answer is {_quote(answer)}."


_ALONE = re.compile(r"\b(?:only|single|sole|lone)\b", re.I)
_EVERY = re.compile(r"^(?:all|every|each|both|any)\b", re.I)


def _boxes_counted(question: Question, steps: Sequence[str], boxes: int) -> str:
    """Where all of some things are asked for, as many boxes as the reasoning counts things."""
    phrase = places.head_of(phrase_of(question.text))
    last = (phrase.split() or [""])[-1]
    several = _EVERY.search(phrase) or tally.stem_of(last) != last and not last.endswith(("ss", "us", "is"))
    if not several and boxes == 1:
        return ""
    said = tally.counted(steps, phrase)
    if not said or any(low <= boxes <= high for low, high in said):
        return ""
    alone = boxes > 1 and all(high == 1 for _, high in said) and _ALONE.search(" ".join(steps))
    if not several and not alone:
        return ""  # one of several is asked for
    return f"The reasoning counts {tally.told(said)}, the answer holds {boxes} box{'es' * (boxes != 1)}."


def _numbers(question: Question, steps: Sequence[str], boxes: Sequence[Box], size: tuple[int, int]) -> str:
    if question.task is not Task.GROUNDING or not boxes:
        return ""
    at = "; ".join(str(box.corners()) for box in boxes[:3])
    phrase = phrase_of(question.text)
    step = places.misplaced(steps, boxes, size, phrase) or coordinates.misfit(steps, boxes, phrase) or extents.wrong_size(steps, boxes, phrase)
    if step:
        return f"These numbers do not fit the box {at}: {_quote(step)}"
    step = sides.wrong_side(steps, boxes, phrase)
    return f"This is not where the box {at} lies: {_quote(step)}" if step else ""


# --- leaks ------------------------------------------------------------------------------------------------


def _leak(steps: Sequence[str]) -> str:
    told = next((step for step in steps if sentences.leaks(step) > 0), "")
    return f"This reads as if the answer had been told: {_quote(told)}" if told else ""


# --- language ---------------------------------------------------------------------------------------------

_FOREIGN_SCRIPT = re.compile(
    r"[^\W\d_a-zA-Z\u00aa\u00ba\u00b5\u00c0-\u024f\u1e00-\u1eff\u0370-\u03ff]{2,}"
    r"|[\u3040-\u9fff\uac00-\ud7af]"
)
_GREEK = re.compile(r"[\u0370-\u03ff]{3,}")  # two letters may be a formula
_BROKEN = re.compile("\ufffd|\u00c3[\u0080-\u00bf]|\u00e2\u20ac")
_ENGLISH = frozenset(
    "the of and to in is are it this that with for on as at by from be not no there which i we you an or but "
    "so can see image its has have was were these those one two more most also only between around near into "
    "over than then other what where how if they their them my me let look would likely here".split()
)
# Words of Spanish, Portuguese, Italian, French, German, Dutch, Turkish, Indonesian, Polish and Swedish that
# are frequent there and rare or unknown in English.
_FOREIGN = frozenset(
    word
    for word in """
    el los las una del que en por con para pero está están hay muy aquí imagen puente se ve su
    uma não os dos das com mais imagem são é o
    il della delle degli nel nella sono che di immagine questa questo è per
    le les des du est une et dans sur avec pas il y qui cette ce nous voit l'image sont aux
    der das und ist nicht ein eine einen dem den mit auf im zu sich wir sehe bild sieht es für von auch
    het een van niet zijn wij zien beeld voor naar dat op die
    bir ve bu için görüntüde var olan ile de görülüyor yok gibi
    yang dan di ini adalah dengan gambar ada tidak pada untuk dari terlihat
    jest nie na w z się obrazie oraz widać
    och att det som på är av för bilden med inte og er ikke bildet billedet
    și este cu pe într imaginea sunt ja ei kuva kuvassa az és egy nem kép je v na se jsou obrázku
    la le lo ce é à
    ang ng mga sa ay ito ya wa kwa ni katika picha hii
    por lo al un unos unas sus también desde hasta entre donde tanto muchas muchos varios varias corresponde tiene hacia
    um uma há ao aos portanto muitas muitos pelo pela também seus está estão tem várias vários onde
    si gli un uno questi queste molte molti numerose quindi perché lungo dal dalla alla alle sul sulla tra diversi diverse poiché
    au donc plusieurs où ainsi entre leur ces cet elle nombreux nombreuses puisque forme
    werden wird sind oder aus bei einer einem eines daher hier viele mehrere zwischen über durch liegt weil deshalb sowie kein
    aan daarom veel zie langs tussen deze wordt geen omdat
    itu oleh banyak serta terdapat sebuah tersebut adalah karena oleh beberapa antara
    joka on siis koska ovat useita näkyy
    trong có là và của một các nhiều với không
    więc oraz wiele przez jest między
    därför finns många mellan längs genom där
    çok daha arasında birçok vardır
    """.split()
    if len(word) > 1 or not word.isascii()
)
_WORDS = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")


def _language(steps: Sequence[str], answer: str, question: Question) -> str:
    for text in (*steps, answer):
        plain = text.isascii()
        if not plain and _BROKEN.search(text):
            return f"Unreadable characters: {_quote(text)}"
        strange = None if plain else _FOREIGN_SCRIPT.search(text) or _GREEK.search(text)
        if strange and strange[0] not in question.text:
            return f"Not English: {_quote(text)}"
        words = [word.lower() for word in _WORDS.findall(text[:_LONGEST_STEP])]
        foreign = sum(map(_FOREIGN.__contains__, words))
        if foreign >= 2 and foreign > sum(map(_ENGLISH.__contains__, words)) and foreign >= 0.15 * len(words):
            return f"Not English: {_quote(text)}"
        marked = 0 if plain else sum(not word.isascii() for word in words)  # the names of places are a few of many words
        if marked >= 3 and marked >= 0.2 * len(words) or marked >= 2 and marked >= 0.25 * len(words) and not _ENGLISH.intersection(words):
            return f"Not English: {_quote(text)}"
    words = [word.lower() for word in _WORDS.findall(" ".join(steps))]
    if len(words) >= 15 and sum(word in _ENGLISH or word == "a" for word in words) < 0.06 * len(words):
        return f"Not English: {_quote(steps[0])}"
    return ""


# --- length and repetition --------------------------------------------------------------------------------


def _length(question: Question, reasoning: str, answer: str) -> str:
    words = len(reasoning.split())
    if 0 < words < SHORTEST:
        return f"The reasoning has only {words} words."
    if words > LONGEST or len(reasoning) > 12 * LONGEST:
        return f"The reasoning has {words} words."
    short = question.task in (Task.CLASSIFICATION, Task.VQA, Task.COUNTING)
    said = len(answer.split())
    if said > (15 if short else 300) and not question.labels:
        return f"The answer has {said} words."
    return ""


def _repetition(question: Question, steps: Sequence[str], reasoning: str) -> str:
    said = repeats.twice(steps, reasoning, question.text)
    return f"Said twice: {_quote(said)}" if said else ""
