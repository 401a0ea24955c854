"""Whether a written reasoning to a yes-or-no question comes to yes or to no.

Two kinds of question are read: is something there, and is there more of one thing than of another. As in
conclusions.py, None (not sure) is the answer wherever the sentences leave room for both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tinyrs import alternatives, orders, outcomes
from tinyrs.conclusions import CONCEDES
from tinyrs.metrics import number_of
from tinyrs.tally import NUMBER, counted, stem_of

_SAID = re.compile(
    r"\b(?:answer|conclusion|verdict|response|reply)\b[^.;]{0,30}?\b(yes|no)\b(?! \w+ (?:is|are)\b)"
    r"|(?:^|:\s|\b(?:so|therefore|thus|hence),? )[\"'\u201c]?(yes|no)[\"'\u201d]?(?=\s*(?:[,.!;]|$))",
    re.I,
)
_COMPARED = (
    re.compile(r"\bthere (more|less|fewer) (.+?) than (.+?)(?: (?:in|on|at|near|along|around) (?:the|this) .{1,40})?\s?\??$", re.I),
    re.compile(
        r"\bnumber of (?P<left>.+?) (?P<word>more|less|fewer|greater|larger|higher|bigger|smaller|lower) than (?:that of |the number of )?"
        r"(?P<right>.+?)(?: in (?:the|this) \w+)?\s?\??$",
        re.I,
    ),
    re.compile(r"^(?:do|does) (?:the )?(?P<left>.+?) (?P<word>outnumber) (?:the )?(?P<right>.+?)(?: in (?:the|this) \w+)?\s?\??$", re.I),
)
_EQUATED = re.compile(
    r"\bnumber of (.+?) (?:equal to|the same as) the number of (.+?)(?: in (?:the|this) \w+)?\s?\??$", re.I
)
_FEWER = ("fewer", "less", "smaller", "lower")


def yes_or_no(question: str, steps: Sequence[str]) -> bool | None:
    """What the reasoning to a yes-or-no question comes to; None when it is not clear."""
    for step in reversed(steps[-2:]):
        said = _SAID.findall(step)
        if said:
            return (said[-1][0] or said[-1][1]).lower() == "yes"
    if (more := _MORE_THAN.search(question)) and (least := number_of(more[1])) is not None:
        said = counted(steps, more[2])
        if said and all(low > least for low, _ in said):
            return True
        return False if said and all(high <= least for _, high in said) else None
    if asked := orders.compared(question):
        return alternatives.order(asked, steps, compared_by_rule(question, steps))
    if (such := _IS_SUCH.match(question.strip())) and (kind := next((k for k in _KINDS if such[2].lower() in k), None)):
        return _such(steps, such[1], such[2].lower(), kind)
    if _ASKS_SAME.search(question):
        last = [step for step in steps[-2:] if _OTHER.search(step) or _SAME.search(step)]
        return not _OTHER.search(last[-1]) if last and not _DENIES.search(last[-1]) else None
    return outcomes.yes(question, steps, said_presence(question, steps))


def compared_by_rule(question: str, steps: Sequence[str]) -> bool | None:
    """What a rule reads in the reasoning to a comparison: yes, no, or None where the question or it is not clear."""
    for pattern in _COMPARED:
        if found := pattern.search(question):
            named = found.groupdict()
            word, left, right = (named["word"], named["left"], named["right"]) if named else found.groups()
            order = _order(steps, left, right)
            return None if order is None else order < 0 if word.lower() in _FEWER else order > 0
    if equated := _EQUATED.search(question):
        if any(_OTHER.search(step) for step in steps[-2:]):
            return False
        order = _order(steps, equated[1], equated[2])
        return None if order is None else order == 0
    return None


# --- is it so many, is it of that kind --------------------------------------------------------------------

_MORE_THAN = re.compile(rf"\bmore than ({NUMBER}) ([a-z -]{{1,60}}?)(?: (?:in|on|at|near|visible|present)\b.*)?\s?\??$", re.I)
_IS_SUCH = re.compile(r"^(?:is|are) the (.{1,60}?) ([a-z]+)\s?\??$", re.I)
_ASKS_SAME = re.compile(r"^(?:are|do|have) .{1,80}\b(?:of )?(?:the same|equal) \w+\s?\??$", re.I)
_KINDS = tuple(
    frozenset(words.split())
    for words in (
        "round circular rectangular rectangle square triangular straight oval circle",
        "red green blue white black gray grey brown yellow orange",
        "empty full crowded vacant deserted",
        "paved unpaved",
        "calm rough",
        "dry wet flooded",
        "straight curved winding",
        "open closed",
        "horizontal vertical diagonal",
    )
)
_ALIKE = (frozenset(("round", "circular", "circle")), frozenset(("gray", "grey")), frozenset(("rectangular", "rectangle")),
          frozenset(("empty", "vacant", "deserted")), frozenset(("full", "crowded")), frozenset(("curved", "winding")))  # fmt: skip


def _such(steps: Sequence[str], thing: str, word: str, kind: frozenset[str]) -> bool | None:
    """ "Is the pool round?", of sentences that say what "it" or the pool is."""
    same = next((words for words in _ALIKE if word in words), frozenset((word,)))
    pattern = re.compile(
        rf"\b(?:it|they|this|(?:its|the) (?:\w+ )?shape|(?:\w+ ){{0,2}}{re.escape(stem_of(thing))}\w*)(?:['\u2019]s| is| are| looks| appears| seems)"
        rf"((?: \w+){{0,2}}?) (?:an? )?({'|'.join(sorted(kind))})\b",
        re.I,
    )
    for step in reversed(steps[-3:]):
        if _MAYBE.search(step) or not (found := pattern.findall(step)):
            continue
        before, said = found[-1]
        denied, matches = bool(_DENIES.search(before)), said.lower() in same
        return not denied if matches else None if denied else False
    return None


# --- is something there -----------------------------------------------------------------------------------

_DENIES = re.compile(
    r"\b(?:no|not|none|nothing|nowhere|never|without|absent|absence|cannot|lacks?|lacking|fails?|neither|nor|devoid|"
    r"missing|free of|rather than|instead of|unlike|as opposed to|other than|far from|rules? out|ruled out|\w+n['\u2019]t)\b",
    re.I,
)
_NO_DENIAL = re.compile(
    r"\b(?:none (?:of them )?(?:is|are|has|have|of)(?: \w+){0,2} (?:another|other|different|exception|any other)|no doubt|without (?:a |any )?doubt|no question|not only|not just|no other|nothing else|no more|no further|"
    r"not far|not large|not big|not alone|"
    r"no (?:mistak\w+|mistake)|cannot be (?:missed|mistaken|anything)|can't be missed|no additional)\b",
    re.I,
)
_AFFIRMS = re.compile(
    r"\b(?:is|are|there|see|seen|visible|present|contains?|shows?|appears?|confirms?|found|find|have|has|exists?|"
    r"includes?|spot|notice|one|indicat\w+|suggests?|points? to|must|typical|characteristic|identif\w+|recogni[sz]\w+|"
    r"certainly|clearly|definitely|obviously|evidently|probably|surely|undoubtedly)\b"
    r"|['\u2019]s\b",
    re.I,
)
_MAYBE = re.compile(
    r"\b(?:would|might|may|at first|could(?! (?:see|find|spot|identify|detect|make out|clearly)\b)|if|whether|"
    r"usually|normally|typically|generally|mistaken for|confused with|looked for|look for|searched for|search for|scan\w* for|check\w* for|asks?|question)\b",
    re.I,
)
_CLAUSE = re.compile(
    r"[,;:\u2014]+\s|\s-\s|\b(?=(?:but|however|whereas|yet|rather than|instead of|unlike|as opposed to|other than) )", re.I
)
_TURNS = re.compile(
    r"^\s*(?:only|but|just|instead|rather|however|yet|i (?:do |can |could )?see|there (?:is|are)|there['\u2019]s|"
    r"(?:\w+ ){0,2}(?:it|they|this|these|that) (?:is|are))\b",
    re.I,
)
_IT_IS = re.compile(
    r"\b(?:it|this|that|they|these|those)(?:['\u2019]s| is| are)"
    r"(?: (?:only|just|actually|rather|simply|in fact|more likely|probably|therefore))? (?:an? |the )?([a-z]+)",
    re.I,
)
_ASKED = re.compile(
    r"^(?:is|are|was|were|does|do|has|have|can)\b(?: (?:there|you|the image|this image|the picture|the scene|it|we))?"
    r"(?: (?:see|show|contain|depict|include|have|any|an?|the|some))*(.*?)"
    r"(?:\b(?:present|visible|shown|seen)\b.*"
    r"|\b(?:in|on|at|next to|near|close to|to the|over|across|along|under|beside|between|around|behind|within|inside|with|that|"
    r"which|where) .*|\?|$)",
    re.I,
)


def said_presence(question: str, steps: Sequence[str]) -> bool | None:
    """What the last sentences about the thing that is asked for say of its being there, by rule."""
    asked = _ASKED.match(question.strip())
    stem = stem_of(re.sub(r"\b(?:be|been|being)\b", "", asked[1])) if asked else ""
    about = re.compile(rf"\b\w{{0,8}}{re.escape(stem)}", re.I) if stem else None
    for back, step in enumerate(reversed(steps[-3:])):
        if about and about.search(step):
            said = _of_clause(step, about)
            if said is None and _only_maybe(step, about):
                if _turned_down(step, steps[len(steps) - back :], about):
                    return False
                continue
            return said
        if not stem or re.search(r"\b(?:it|one|any|none|nothing|them|such)\b", step, re.I):
            said = _of_step(step)
            if said is not None or not stem:
                return said
            if _DENIES.search(step):
                return None
    return None


def _turned_down(step: str, rest: Sequence[str], about: re.Pattern) -> bool:
    """ "It could be a pool at first, but it is a roof"; "a railway would have sleepers, which I cannot find"."""
    clauses = _CLAUSE.split(step)
    last = max(i for i, clause in enumerate(clauses) if about.search(clause))
    after = " ".join([*clauses[last + 1 :], *rest])
    found = [m[1].lower() for m in _IT_IS.finditer(after)]
    instead = found and not about.match(found[-1]) and re.search(r"\b(?:but|however|yet|actually|so|rather)\b", after + step, re.I)
    return bool(instead or _DENIES.search(_bare(after)))


def _bare(text: str) -> str:
    return re.sub(r"(\bneither\b.*?)\bnor\b", r"\1", CONCEDES.sub("", _NO_DENIAL.sub("", text)), flags=re.I)


def _of_step(step: str) -> bool | None:
    """Of a sentence that speaks of "it": one denial is a no, two may cancel out, none with a verb is a yes."""
    if _MAYBE.search(step):
        return None
    bare = _bare(step)
    denials = len(_DENIES.findall(bare))
    if denials:
        return None if denials == 2 else False
    return True if _AFFIRMS.search(bare) else None


def _of_clause(step: str, about: re.Pattern) -> bool | None:
    """Of the last clause that names the thing. "No ships, cars or trucks" denies all three, "no ships, only cars" one."""
    said, denied = None, False
    for clause in _CLAUSE.split(_bare(step)):
        denials = len(_DENIES.findall(clause))
        if denials:
            denied = True
        elif _TURNS.search(clause):
            denied = False
        if about.search(clause):
            if _MAYBE.search(clause):
                continue
            if denials == 2:
                said = None
            elif denied:
                said = False
            elif _AFFIRMS.search(step) or re.search(r"\b(?:a|an|the)\b", clause, re.I):
                said = True
    return said


def _only_maybe(step: str, about: re.Pattern) -> bool:
    return all(_MAYBE.search(clause) for clause in _CLAUSE.split(step) if about.search(clause))


# --- more of one than of another --------------------------------------------------------------------------

_SAME = re.compile(r"\b(?:equal|same|as many|match(?:es)?|identical)\b", re.I)
_OTHER = re.compile(
    r"\b(?:not (?:equal|the same|identical|as many)|unequal|differ(?:s|ent)?|different|isn't equal|aren't equal)\b",
    re.I,
)
_MORE = re.compile(r"\b(more|greater|larger|higher|fewer|less|smaller|lower|outnumber\w*|exceeds?)\b", re.I)
_MOST = re.compile(
    r"\b(?:more (?:numerous|common|frequent|abundant|plentiful|prevalent)|majority|dominat\w+|prevail\w*|predominat\w*)\b",
    re.I,
)


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
            return -sign if word[1].lower() in _FEWER else sign
        if (at_a or at_b) and not (at_a and at_b) and not _DENIES.search(step):
            only = re.search(rf"\b(more|fewer|less) (?:\w+ )?{a if at_a else b}", step, re.I)
            if only and not re.search(r"\bthan\b", step, re.I):
                sign = -1 if only[1].lower() in _FEWER else 1
                return sign if at_a else -sign
        if _SAME.search(step) and not word and not _DENIES.search(step):
            return 0
    counted = _counts(steps, a, b)
    return _majority(steps, a, b) if counted is None else counted


def _majority(steps: Sequence[str], a: str, b: str) -> int | None:
    for step in reversed(steps[-3:]):
        word = _MOST.search(step)
        if word and not _DENIES.search(step):
            at = [max((m.start() for m in re.finditer(p, step[: word.start()], re.I)), default=-1) for p in (a, b)]
            if at[0] != at[1]:
                return 1 if at[0] > at[1] else -1
    return None


def _phrase_pattern(phrase: str, other: str) -> str:
    """A pattern for `phrase` that does not fit `other`, which may end in the same word."""
    words = re.findall(r"[a-z]+", phrase.lower())
    if not words:
        return r"(?!)"
    lead = words[:-1] if stem_of(phrase) == stem_of(other) or len(words) < 3 else []
    return r"\b" + r"\s+".join([*map(re.escape, lead), re.escape(stem_of(phrase))]) + r"\w{0,3}\b"


_ONE_OF = re.compile(r"\bone (?:of|can|could|side|another|by)\b|\b(?:this|that|the|each|every|no|any) one\b", re.I)


def _counts(steps: Sequence[str], a: str, b: str) -> int | None:
    told = steps[-8:]
    numbers = [_count_of(told, one, other) for one, other in ((a, b), (b, a))]
    if None in numbers:
        return None
    return (numbers[0] > numbers[1]) - (numbers[0] < numbers[1])


def _count_of(steps: Sequence[str], one: str, other: str) -> float | None:
    text = " ".join(steps)
    found = re.findall(rf"\b({NUMBER}|no)\s+(?:\w+\s+)?{one}", text, re.I)
    found = found or re.findall(rf"{one}\s?[:=]\s?({NUMBER})\b", text, re.I)
    if not found:  # "Buildings are everywhere, about 40 of them": the one number of a sentence about nothing else
        for step in steps:
            if re.search(one, step, re.I) and not re.search(other, step, re.I):
                numbers = re.findall(rf"\b({NUMBER})\b", _ONE_OF.sub("", step), re.I)
                found += numbers if len(numbers) == 1 else []
    return (0.0 if found[-1].lower() == "no" else number_of(found[-1])) if found else None
