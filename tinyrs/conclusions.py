"""What a written reasoning comes to: a class, yes or no, a number, a letter, a place in the picture.

checks.py holds these against the answer. Everything here is a reading by rule of English sentences: it says
None (or nothing) where it is not sure, because a false alarm costs a reviewer more than a miss.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tinyrs.metrics import number_of

_NUMBER_WORD = (
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|"
    "seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
)
NUMBER = (
    rf"(?:\d{{1,3}}(?:,\d{{3}})+|\d{{1,9}}(?:\.\d{{1,6}})?|(?:{_NUMBER_WORD})(?:[- ](?:{_NUMBER_WORD}))?)"
)
"""A number in digits or words, as a pattern."""

_THEREFORE = re.compile(
    r"\b(?:therefore|thus|hence|so|consequently|overall|in conclusion|conclude|finally|in summary|answer|"
    r"best|most likely|must be|strongly suggests?|this means|clearly|that makes|in total|fits?|matches)\b",
    re.I,
)
_NOT = re.compile(
    r"\b(?:not|no|nor|neither|never|without|rather than|instead of|unlike|than|other than|as opposed to|"
    r"opposed to|ruled? out|ruling out|exclud\w+|eliminat\w+|differs? from|different from|lacks?|absence of|"
    r"cannot|would be|could be|might be|may be|\w+n['\u2019]t)\b",
    re.I,
)
_WOULD = re.compile(r"\s+(?:\w+ ){0,2}(?:would|wouldn['\u2019]t|usually|normally|typically)\b", re.I)
_NEW_CLAUSE = re.compile(
    r"[;:\u2014]|\b(?:but|so|therefore|thus|hence|however|because|since|while|whereas)\b"
    r"|, (?:it|this|that|the|there|i|which|what|and (?:it|this|the))\b",
    re.I,
)


# --- classes --------------------------------------------------------------------------------------------

_VERDICT = re.compile(
    r"\b(?:class|category|label|answer|classification|option|choice|match|fit|candidate|description)\b"
    r"[^.;]{0,80}?(?:\b(?:is|are|was|be|as|:)(?=\s)|[:=])"
    r"|\b(?:classif|categori[sz]|identif|label)\w*\b[^.;]{0,40}? as\b"
    r"|\b(?:conclude|confirm|confident|suggest|indicat\w*|point)s?\b[^.;]{0,30}?\b(?:that|to|is|as|an?)\b"
    r"|\b(?:think|believe|say|guess|assume)\b[^.;]{0,12}?\b(?:it|this|that)(?: is|['\u2019]s)? (?:an?\b)?"
    r"|\bit['\u2019]s (?:an?\b|the\b)"
    r"|\b(?:this|it|the (?:image|scene|picture|area|place|view|photo))"
    r" (?:(?:is|must be|seems? to be|appears? to be) (?:most likely |clearly |likely |probably |indeed )?"
    r"(?:an?\b|the\b)?|shows|depicts|represents|fits|matches|belongs to|corresponds to|looks like)"
    r"|\b(?:typical|characteristic)s? (?:of|for)\b|\bmust be\b|\b(?:fits|matches|choose|pick|select)\b",
    re.I,
)


def _pattern(label: str) -> str:
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_]+", label) or [label]
    return r"[\s_-]?".join(map(re.escape, words)) + r"(?:e?s)?"


class _Mentions:
    """Finds labels in sentences, longest first, so that "farmland" is not seen in "rectangular farmland"."""

    def __init__(self, labels: Iterable[str]) -> None:
        # Group names cannot be labels, so the position in this list names them.
        self.labels = sorted({label for label in labels if label.strip()}, key=len, reverse=True)[:300]
        inner = "|".join(f"({_pattern(label)})" for label in self.labels)
        self._any = re.compile(rf"\b(?:{inner})(?!\w)", re.I) if inner else None

    def __call__(self, sentence: str) -> list[tuple[str, int]]:
        """(label, where) for each label that the sentence affirms; those it denies are left out."""
        found = []
        for match in self._any.finditer(sentence) if self._any else ():
            label = self.labels[match.lastindex - 1]
            before = sentence[max(0, match.start() - 300) : match.start()]
            clause = before[max((m.end() for m in _NEW_CLAUSE.finditer(before)), default=0) :]
            if not _NOT.search(clause) and not _WOULD.match(sentence[match.end() :][:60]):
                found.append((label, match.start()))
        return found


def classes(steps: Sequence[str], labels: Iterable[str]) -> tuple[frozenset[str], str]:
    """(the labels that the conclusion affirms, the one that it names as its verdict or "").

    The conclusion is the last sentence that affirms a label, if it stands among the last three or draws a
    conclusion in words.
    """
    mentions = _Mentions(labels)
    for back, step in enumerate(reversed(steps)):
        found = mentions(step)
        if not found:
            continue
        if back > 2 and not _THEREFORE.search(step):
            continue
        verdicts = (
            next((label for label, at in found if cue.end() <= at <= cue.end() + 40), "")
            for cue in _VERDICT.finditer(step)
        )
        named = [label for label in verdicts if label]
        return frozenset(label for label, _ in found), named[-1] if named else ""
    return frozenset(), ""


# --- letters --------------------------------------------------------------------------------------------

_LETTER = re.compile(
    r"\b(?:answer|option|choice|letter)s?\b(?: (?:is|would be|must be|should be))?:?\s+(?:option |choice )?"
    r"[\"'(*]{0,2}([A-J])\b(?![\w'])",
)


def letter(steps: Sequence[str]) -> str | None:
    """The letter that the reasoning of a multiple choice settles on: the last that is called the answer."""
    for step in reversed(steps[-4:]):
        found = [m[1] for m in _LETTER.finditer(step) if not _NOT.search(step[: m.start()])]
        if found:
            return found[-1]
    return None


# --- yes or no ------------------------------------------------------------------------------------------

_SAID = re.compile(
    r"\banswer\b[^.;]{0,30}?\b(yes|no)\b"
    r"|(?:^|\b(?:so|therefore|thus|hence),? )[\"'\u201c]?(yes|no)[\"'\u201d]?(?=\s*(?:[,.!;]|$))",
    re.I,
)
_DENIES = re.compile(
    r"\b(?:no|not|none|nothing|never|without|absent|absence|cannot|lacks?|lacking|fails?|neither|nor|devoid|"
    r"missing|\w+n['\u2019]t)\b",
    re.I,
)
_NO_DENIAL = re.compile(
    r"\b(?:no doubt|no question|not only|not just|no other|nothing else|no more|no further|not far|"
    r"no (?:mistak\w+|mistake)|cannot be (?:missed|mistaken|anything)|can't be missed|no additional)\b",
    re.I,
)
_CONCEDES = re.compile(r"\b(?:although|though|even if|even though|while)\b[^,;.]{0,200}[,;]", re.I)
_AFFIRMS = re.compile(
    r"\b(?:is|are|there|see|seen|visible|present|contains?|shows?|appears?|confirms?|found|find|have|has|exists?|"
    r"includes?|spot|notice|one)\b",
    re.I,
)
_ASKED = re.compile(
    r"^(?:is|are|was|were|does|do|has|have|can)\b(?: (?:there|you|the image|this image|it|we))?"
    r"(?: (?:see|show|contain|have|any|an?|the|some))*(.*?)"
    r"(?:\b(?:present|visible|shown|seen)\b.*|\b(?:in|on|at|next to|near|close to) .*|\?|$)",
    re.I,
)
_COMPARED = re.compile(r"\bthere (more|less|fewer) (.+?) than (.+?)(?: in the \w+)?\s?\??$", re.I)
_EQUATED = re.compile(
    r"\bnumber of (.+?) (?:equal to|the same as) the number of (.+?)(?: in the \w+)?\s?\??$", re.I
)


def yes_or_no(question: str, steps: Sequence[str]) -> bool | None:
    """What the reasoning to a yes-or-no question comes to; None when it is not clear."""
    for step in reversed(steps[-2:]):
        said = _SAID.findall(step)
        if said:
            return (said[-1][0] or said[-1][1]).lower() == "yes"
    compared, equated = _COMPARED.search(question), _EQUATED.search(question)
    if compared:
        order = _order(steps, compared[2], compared[3])
        if order is None:
            return None
        return order > 0 if compared[1].lower() == "more" else order < 0
    if equated:
        if any(_OTHER.search(step) for step in steps[-2:]):
            return False
        order = _order(steps, equated[1], equated[2])
        return None if order is None else order == 0
    return _presence(question, steps)


def _stem(phrase: str) -> str:
    """The last word without its plural: what a sentence about the phrase will hold."""
    words = re.findall(r"[a-z]+", phrase.lower())
    word = words[-1] if words else ""
    return re.sub(r"(?<=[sxzh])es$|(?<=[a-rt-z])s$", "", word)


def _presence(question: str, steps: Sequence[str]) -> bool | None:
    asked = _ASKED.match(question.strip())
    stem = _stem(asked[1]) if asked else ""
    for step in reversed(steps[-3:]):
        if (
            stem
            and not re.search(rf"\b{re.escape(stem)}", step, re.I)
            and not re.search(r"\b(?:it|one|any|none|nothing|them|such)\b", step, re.I)
        ):
            continue
        bare = _CONCEDES.sub("", _NO_DENIAL.sub("", step))
        denials = len(_DENIES.findall(bare))
        if denials == 1:
            return False
        if denials == 0 and _AFFIRMS.search(bare):
            return True
        if denials:
            return None if denials == 2 else False
    return None


_SAME = re.compile(r"\b(?:equal|same|as many|match(?:es)?|identical)\b", re.I)
_OTHER = re.compile(
    r"\b(?:not (?:equal|the same|identical|as many)|unequal|differs?|different|isn't equal|aren't equal)\b",
    re.I,
)
_MORE = re.compile(r"\b(more|greater|larger|higher|fewer|less|smaller|lower|outnumber\w*|exceeds?)\b", re.I)


def _order(steps: Sequence[str], left: str, right: str) -> int | None:
    """Sign of left minus right, as the last sentences count or compare them; None when it is not clear."""
    a, b = _phrase_pattern(left, right), _phrase_pattern(right, left)
    for step in reversed(steps[-3:]):
        at_a, at_b = re.search(a, step, re.I), re.search(b, step, re.I)
        word = _MORE.search(step)
        if _OTHER.search(step) and not word:
            return _counts(steps, a, b)
        if at_a and at_b and word and not _DENIES.search(step):
            sign = 1 if at_a.start() < at_b.start() else -1
            return -sign if word[1].lower() in ("fewer", "less", "smaller", "lower") else sign
        if _SAME.search(step) and not word and not _DENIES.search(step):
            return 0
    return _counts(steps, a, b)


def _phrase_pattern(phrase: str, other: str) -> str:
    """A pattern for `phrase` that does not fit `other`, which may end in the same word."""
    words = re.findall(r"[a-z]+", phrase.lower())
    if not words:
        return r"(?!)"
    lead = words[:-1] if _stem(phrase) == _stem(other) or len(words) < 3 else []
    return r"\b" + r"\s+".join([*map(re.escape, lead), re.escape(_stem(phrase))]) + r"\w{0,3}\b"


def _counts(steps: Sequence[str], a: str, b: str) -> int | None:
    numbers = []
    for pattern in (a, b):
        told = " ".join(steps[-8:])
        found = re.findall(rf"\b({NUMBER}|no)\s+(?:\w+\s+)?{pattern}", told, re.I)
        found = found or re.findall(rf"{pattern}\s?[:=]\s?({NUMBER})\b", told, re.I)
        value = (0.0 if found[-1].lower() == "no" else number_of(found[-1])) if found else None
        if value is None:
            return None
        numbers.append(value)
    return (numbers[0] > numbers[1]) - (numbers[0] < numbers[1])


# --- numbers --------------------------------------------------------------------------------------------

_ABOUT = (
    r"(?:(?:about|around|approximately|roughly|exactly|only|just|at least|a total of|indeed|precisely|"
    r"clearly) ){0,3}"
)
_COUNTED = (
    re.compile(
        rf"\b(?:total|number|count|sum)\b[^.;]{{0,90}}?\b(?:is|are|of|to|be|equals|=|:) {_ABOUT}({NUMBER})\b",
        re.I,
    ),
    re.compile(rf"\b({NUMBER})(?: [a-z]+){{0,4}},? (?:in total|altogether|in all|overall)\b", re.I),
    re.compile(
        rf"\b(?:making|makes|giving|gives|leaves|adds up to|amounts? to|totals) {_ABOUT}({NUMBER})\b", re.I
    ),
    re.compile(
        rf"\b({NUMBER})(?! of)(?: [a-z]+){{1,4}} (?:is|are|can be) (?:visible|present|seen|counted)\b", re.I
    ),
    re.compile(rf"\banswer\b[^.;]{{0,30}}?(?:\bis|:) {_ABOUT}({NUMBER})\b", re.I),
    re.compile(
        rf"\b(?:there (?:is|are)|i (?:can )?(?:clearly )?(?:count|see|find|identify)|we (?:count|see)|"
        rf"i counted|image (?:shows|contains|has)|contains|shows|counting) {_ABOUT}({NUMBER})\b"
        rf"(?! other| more| of)",
        re.I,
    ),
)
_NONE = re.compile(
    r"\b(?:there (?:is|are) no|i (?:can )?see no|see none|find none|none (?:is|are|of)|cannot see any|"
    r"can't see any|no [a-z ]{1,40} (?:is|are|can be) (?:visible|present|seen|found))\b"
    r"(?! other| more| additional)",
    re.I,
)
_OTHERS = re.compile(r"\bno (?:other|more|additional|further)\b[^.;,]{0,60}", re.I)


def number(steps: Sequence[str]) -> float | None:
    """The number that a count comes to, from the last sentence that counts; None when none does."""
    for step in reversed(steps[-6:]):
        step = _OTHERS.sub("", step)
        for pattern in _COUNTED:
            found = pattern.findall(step)
            if found:
                return number_of(found[-1])
        if _NONE.search(step):
            return 0.0
    return None
