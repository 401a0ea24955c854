"""What number a written reasoning counts to, as the ranges that its sentences leave open.

checks.py holds the answer, or the number of boxes, against it. "About 40" leaves a range; where a text counts parts
and never adds them up, each part and their sum are left open; where it is not clear, nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import inf

from tinyrs.metrics import number_of
from tinyrs.numerals import NUMERALS

_NUMBER_WORD = "|".join(NUMERALS)
NUMBER = (
    rf"(?:\d{{1,3}}(?:,\d{{3}})+|\d{{1,9}}(?:\.\d{{1,6}})?|(?:{_NUMBER_WORD})(?:[- ](?:{_NUMBER_WORD}))?)"
)
"""A number in digits or words, as a pattern."""

Range = tuple[float, float]
"""The lowest and the highest number that fits."""

# Other ways to write a number, as the number itself.
_SPELT = tuple(
    (re.compile(pattern, re.I), number)
    for pattern, number in (
        (r"\bnot (?:a|one) single\b|\bnot one\b(?! of)", "no"),
        (r"\bhalf(?: a|[- ])\s?dozen\b", "6"),
        (r"\b(?:two|2) dozen\b", "24"),
        (r"\b(?:three|3) dozen\b", "36"),
        (r"\b(?:a|one) dozen\b", "12"),
        (r"\b(?:a|one) (?:trio|triplet) of\b", "3"),
        (r"\b(?:a|one|another) (?:[a-z]+ )?pair of\b", "2"),
        (r"\bthe only(?= (?:\w+ )?\w+)", "1"),
        (r"\b(?:a|one|the|only a|just a) (?:single|lone|sole|solitary)\b|\b(?:only|just) an?\b", "1"),
    )
)
_ABOUT = (
    r"(?:(?:about|around|approximately|roughly|exactly|only|just|at least|at most|up to|more than|over|nearly|almost|"
    r"a total of|indeed|precisely|clearly|perhaps|maybe) ){0,3}"
)
_SEEN = (
    r"(?:visible|present|seen|counted|made out|distinguished|recogni[sz]ed|identified|detected|spotted|found|observed|"
    r"discerned)"
)
_I_SEE = (
    r"(?:there (?:is|are)|(?:i|we) (?:can )?(?:clearly |only )?(?:count|see|find|identify|spot|make out|distinguish|estimate|get|tally|"
    r"arrive at)|(?:i|we) (?:counted|found)|image (?:shows|contains|has)|contains|shows|counting|consists of)"
)
_COUNTED = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        rf"(?:[+x\u00d7*]|\bplus|\btimes)\s?{NUMBER}\s?(?:=|equals|is|gives|makes|are)\s?{_ABOUT}({NUMBER})\b",
        rf"\b(?:total|number|count|sum|tally|result)\b[^.;]{{0,90}}?\b(?:is|are|of|to|be|equals|=|:) {_ABOUT}({NUMBER})\b",
        rf"\b({NUMBER})(?: [a-z]+){{0,4}},? (?:in total|altogether|in all|all in all|overall|all told)\b",
        rf"\b(?:in total|altogether|all in all|in all|in sum|overall|all told)\b,? (?:(?:i|we|there|that|this|it) )?"
        rf"(?:(?:count|see|find|get|have|is|are|makes?|gives?|amounts? to) )?{_ABOUT}({NUMBER})\b",
        rf"\b[a-z]+s number {_ABOUT}({NUMBER})\b",
        rf"\bmeans? {_ABOUT}({NUMBER})\b",
        rf"\b(?:making|makes|giving|gives|leaves|adds up to|amounts? to|totals|totall?ing) {_ABOUT}({NUMBER})\b",
        rf"\b({NUMBER})(?! of)(?: [a-z]+){{1,4}} (?:is|are|can be|could be) {_SEEN}\b",
        rf"\banswer\b[^.;]{{0,30}}?(?:\bis|:) {_ABOUT}({NUMBER})\b",
        rf"\b{_I_SEE} {_ABOUT}({NUMBER})\b(?! other| more| of)",
        rf"(?:\b(?:so|thus|hence|therefore),?|:)\s{_ABOUT}({NUMBER})(?! of)(?: (?!each\b|per\b|more\b|other|rows?\b)[a-z]+){{0,3}}(?=\s?(?:[.!]|$))",
        rf"(?:[-=]>|\u2192)\s?{_ABOUT}({NUMBER})\b(?! of)",
        rf"^{_ABOUT}({NUMBER})(?! of)(?: [a-z]+){{1,3}}[.!]?$",
    )
)
_NONE = re.compile(
    r"^(?:none|zero)\b|\bno [a-z ]{1,40} (?:is|are) (?:in (?:sight|view)|to be found)\b|\bno [a-z ]{1,40} (?:is|are) (?:there|here)\b|\b(?:there (?:is|are) no|(?:see|saw|find|found|spot|spotted|detect|count|identify) no|see none|find none|none (?:is|are|of)|cannot see any|"
    r"can['\u2019]t see any|there (?:do|does)(?: not|n['\u2019]t) (?:seem|appear) to be any|"
    r"(?:do|can|could|did)(?: not|not|n['\u2019]t|['\u2019]t) (?:see|find|spot|make out|detect|identify|discover) any|"
    rf"no [a-z ]{{1,40}} (?:at all|anywhere|to be seen)|no [a-z ]{{1,40}} (?:is|are|can be) {_SEEN})\b"
    r"(?! other| more| additional)",
    re.I,
)
_OTHERS = re.compile(r"\bno (?:others?|more|additional|further)\b[^.;,]{0,60}", re.I)
# What stands before a number and widens it.
_ROUGHLY = re.compile(r"\b(?:about|around|approximately|roughly|nearly|almost|some|perhaps|maybe|close to)\s+$|~\s?$", re.I)
_LEAST = re.compile(r"\b(?:at least|more than|over|upwards of|no (?:fewer|less) than)\s+$", re.I)
_MOST = re.compile(r"\b(?:at most|(?<!adds )(?<!add )(?<!sums )(?<!sum )(?<!comes )(?<!amounts )up to|fewer than|less than|under|no more than)\s+$", re.I)
_UP_TO = re.compile(rf"\s?(?:to|or|-|\u2013)\s?({NUMBER})\b", re.I)


def counted(steps: Sequence[str], things: str = "") -> tuple[Range, ...]:
    """The ranges of which one must hold the true number: () where the reasoning does not say.

    things   what is counted, in the question's words ("large white ships")
    """
    steps = [_OTHERS.sub("", _digits(step)) for step in steps]
    thing = _names(things)
    none = re.compile(rf"^no (?:[a-z]+ ){{0,2}}{thing} (?:is|are|has|have|can|lies?|stands?)\b", re.I) if thing else _NONE
    for step in reversed(steps[-6:]):
        for pattern in _COUNTED if _ANY.search(step) else ():
            found = [match for match in pattern.finditer(step) if _is_count(step, match, thing)]
            if found:
                return (_range(step, found[-1]),)
        if _NONE.search(step) or none.search(step):
            return ((0.0, 0.0),)
    return _mentioned([step for step in steps if _ANY.search(step) or _PARTS.search(step)], things)


_ANY = re.compile(rf"\b{NUMBER}\b", re.I)
# What holds the things that are counted, or is beside them.
_HOLDERS = re.compile(
    r"\s(?:[a-z]+ ){0,2}(?:rows?|columns?|groups?|clusters?|lines?|sets?|lanes?|spaces|stalls|sides?|parts?|areas?|types?|kinds?|"
    r"sections?|levels?|stor(?:ey|ie)s|floors?|m|meters?|metres?|km|pixels?|percent)\b",
    re.I,
)


def _is_count(step: str, match: re.Match, thing: str) -> bool:
    """Is it a number, and of the thing, or of what may be called otherwise, where the sentence does not name the thing?"""
    if number_of(match[1]) is None:
        return False
    after = step[match.end(1) : match.end(1) + 80]
    if thing and re.match(rf"(?:[ -][a-z-]+){{0,4}}?[ -]{thing}", after, re.I):
        return True
    if _I_SEE_THIS.match(match[0]):
        if thing and re.search(rf"\b{thing}", step, re.I):
            return False
    return not _HOLDERS.match(after)


_I_SEE_THIS = re.compile(rf"{_I_SEE}\b", re.I)


_ANY_SPELT = re.compile(r"dozen|not one|single|trio|triplet|pair|only|lone|sole|solitary|just", re.I)
"""One of these is in everything that _SPELT looks for."""


def _digits(step: str) -> str:
    for pattern, number in _SPELT if _ANY_SPELT.search(step) else ():
        step = pattern.sub(number, step)
    return step


def _range(step: str, match: re.Match) -> Range:
    value = number_of(match[1]) or 0.0
    before, after = step[max(0, match.start(1) - 20) : match.start(1)], _UP_TO.match(step, match.end(1))
    if after and (high := number_of(after[1])) is not None and high > value:
        return value, high
    if _LEAST.search(before):
        return value, inf
    if _MOST.search(before):
        return 0.0, value
    slack = max(1.0, value / 4) if _ROUGHLY.search(before) else 0.0
    return value - slack, value + slack


# --- numbers of the thing itself --------------------------------------------------------------------------

_PARTS = re.compile(
    rf"\b(?:more|another|ones|others|additional(?:ly)?|plus|(?<!all )(?<!both )(?<!each )of (?:them|these|those)|rest|remaining|rows?|columns?|groups?|"
    r"clusters?|lines? of|(?<!one on )(?<!one at )(?<!one in )each(?! (?:other|one)\b| (?:has|have|with|is|shows|carries|casts|wears|having|of (?:them|which|these|those)) "
    rf"(?!{NUMBER}))|per|(?<!behind )(?<!after )the other(?! (?:\w+ )?(?:side|end|hand|bank)))\b",
    re.I,
)
_BETWEEN = (
    r"(?!(?:and|or|to|by|x|with|without|the|of|in|on|at|near|beside|next|from|for|that|which|than|is|are|has|have|m|meters?|"
    r"metres?|km|feet|ft|pixels?|px|percent|lanes?|storey|story|stories|floors?|degrees?|hectares?)\b)[a-z]+"
)


def _mentioned(steps: Sequence[str], things: str) -> tuple[Range, ...]:
    """From "three white ships lie there": numbers that stand before the thing itself."""
    text = " ".join(steps)[:20_000]
    thing = _names(things)
    if not thing or _PARTS.search(text):
        return ()
    pattern = rf"\b({NUMBER})(?! of\b)(?:[ -]{_BETWEEN}){{0,3}}[ -]{thing}"
    found = [match for match in re.finditer(pattern, text, re.I) if number_of(match[1]) is not None]
    ranges = [_range(text, match) for match in found]
    if len(ranges) > 1:
        ranges.append((sum(low for low, _ in ranges), sum(high for _, high in ranges)))
    return tuple(dict.fromkeys(ranges))


_ALIKE = (("plane", "airplane", "aircraft", "aeroplane", "airliner"), ("ship", "vessel"), ("car", "automobile"))


def _names(phrase: str) -> str:
    """A pattern for the last word of the phrase, in singular and plural, and for what means the same."""
    stem = stem_of(phrase)
    words = next((words for words in _ALIKE if stem in words), (stem,))
    return rf"[a-z]{{0,12}}(?:{'|'.join(map(re.escape, words))})(?:e?s)?\b" if stem else ""


def stem_of(phrase: str) -> str:
    """The last word without its plural: what a sentence about the phrase will hold."""
    words = re.findall(r"[a-z]+", phrase.lower())
    word = words[-1] if words else ""
    return re.sub(r"(?<=[sxzh])es$|(?<=[a-rt-z])s$", "", word)


_HOW_MANY = re.compile(
    r"\b(?:how many|(?:number|amount|count) of|count) (?:all |the )*(.{1,80}?)"
    r"(?= (?:can|could|are|is|do|does|did|has|have|were|was|in|on|at|near|there|visible|parked|seen|that|which|with|"
    r"appear\w*|you|along|next|inside|within|of)\b|[?.,\n]|$)",
    re.I,
)


def things_in(question: str) -> str:
    """What a question counts: "How many large ships can you see in the image?" -> "large ships"; "" for none."""
    found = _HOW_MANY.search(question[:2000])
    return found[1].strip() if found else ""


def told(ranges: Sequence[Range]) -> str:
    """The ranges in words: "3", "2 or 4", "9 to 11", "at least 5"."""
    return " or ".join(
        f"{low:g}" if low == high else f"at least {low:g}" if high == inf else f"{low:g} to {high:g}"
        for low, high in ranges[:4]
    )
