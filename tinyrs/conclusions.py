"""What a written reasoning comes to: a class, or the letter of a multiple choice.

checks.py holds these against the answer. Everything here is a reading by rule of English sentences: it says
None (or nothing) where it is not sure, because a false alarm costs a reviewer more than a miss.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_THEREFORE = re.compile(
    r"\b(?:therefore|thus|hence|so|consequently|overall|in conclusion|conclude|finally|in summary|answer|"
    r"best|most likely|must be|strongly suggests?|this means|clearly|that makes|in total|fits?|matches)\b",
    re.I,
)
_NOT = re.compile(
    r"\b(?:not|no|nor|neither|never|without|rather than|instead of|unlike|than|other than|as opposed to|"
    r"opposed to|ruled? out|ruling out|exclud\w+|eliminat\w+|differs? from|different from|lacks?|absence of|"
    r"cannot|(?:would|could|might|may) (?:\w+ )?(?:be|pass|look|seem|appear|resemble|suggest|hint)|although|even if|despite|"
    r"preferable to|preferred (?:to|over)|far from|anything but|hardly|scarcely|except|apart from|besides|resembl\w+|\w+n['\u2019]t)\b",
    re.I,
)
CONCEDES = re.compile(r"\b(?:although|though|even if|even though|while|despite)\b[^,;.]{0,200}[,;]", re.I)
"""What a sentence grants before it says the contrary."""
_WOULD = re.compile(
    r"\s+(?:\w+ ){0,2}(?:would|wouldn['\u2019]t|usually|normally|typically)\b"
    r"|,? (?:(?:is|are|can be|has to be|must be) (?:therefore |thus |also |clearly )?(?:out\b(?! of)|ruled out|excluded|eliminated|dismissed|discarded|rejected|unlikely|impossible)"
    r"|drops out|falls away|does(?: not|n['\u2019]t) (?:fit|match|apply)|(?:is|are)(?: not|n['\u2019]t) (?:right|correct|it|possible|present|likely))\b",
    re.I,
)
_NEW_CLAUSE = re.compile(
    r"[;:\u2014]|[-=]>|\u2192|\b(?:but|so|therefore|thus|hence|however|because|since|while|whereas)\b"
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
    r"|\bit['\u2019]s (?:about )?(?:an?\b|the\b)"
    r"|\b(?:main|primary|dominant|central|principal) (?:subject|object|feature|element|theme|topic)\b[^.;]{0,20}? is\b"
    r"|\b(?:this|it|the (?:image|scene|picture|area|place|view|photo))"
    r" (?:(?:is|must be|seems? to be|appears? to be) (?:most likely |clearly |likely |probably |indeed )?"
    r"(?:an?\b|the\b)?|shows|depicts|represents|fits|matches|belongs to|corresponds to|looks like)"
    r"|\b(?:leaving|leaves)(?: only| just)?\b|[-=]>|\u2192"
    r"|\b(?:typical|characteristic)s? (?:of|for)\b|\bmust be\b|\b(?:fits|matches|choose|pick|select)\b",
    re.I,
)


# "Sparse residential it is", "golf course is my choice": a verdict that follows its class.
_SETTLED = re.compile(
    r",? (?:(?:class|category|label) )?(?:it is\b|it must be\b|(?:is|seems|would be) (?:(?:my|the|by far the) (?:final |clear )?(?:choice|answer|verdict|pick|"
    r"best|better|most|more|closest|correct|right|only|main)|correct|right|most)\b|describes|suits|fits|wins\b)",
    re.I,
)


def _pattern(label: str) -> str:
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_]+", label) or [label]
    if len(words) == 1 and len(label) > 8:  # "golfcourse" is written "golf course"
        words = list(label)
    return r"[\s_-]?".join(map(re.escape, words)) + r"(?:e?s)?"


class _Mentions:
    """Finds labels in sentences, longest first, so that "farmland" is not seen in "rectangular farmland"."""

    def __init__(self, labels: Iterable[str]) -> None:
        # Group names cannot be labels, so the position in this list names them.
        self.labels = sorted({label for label in labels if label.strip()}, key=len, reverse=True)[:300]
        inner = "|".join(f"({_pattern(label)})" for label in self.labels)
        self._any = re.compile(rf"\b(?:{inner})(?!\w)", re.I) if inner else None
        self.end: dict[int, int] = {}  # of each mention in the last sentence, by where it starts

    def __call__(self, sentence: str) -> list[tuple[str, int]]:
        """(label, where) for each label that the sentence affirms; those it denies are left out."""
        found, self.end = [], {}
        sentence = CONCEDES.sub(lambda conceded: " " * len(conceded[0]), sentence)
        for match in self._any.finditer(sentence) if self._any else ():
            self.end[match.start()] = match.end()
            label = self.labels[match.lastindex - 1]
            before = sentence[max(0, match.start() - 300) : match.start()]
            clause = before[max((m.end() for m in _NEW_CLAUSE.finditer(before)), default=0) :]
            if not _NOT.search(clause) and not _WOULD.match(sentence[match.end() :][:60]):
                found.append((label, match.start()))
            elif re.search(r"\b(?:not|than|instead of|unlike)\b", clause, re.I):
                found = [each for each in found if each[0] != label]  # "there are ships, but it is no ship"
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
        named += [label for label, at in found if _SETTLED.match(step, mentions.end[at])]
        return frozenset(label for label, _ in found), named[-1] if named else ""
    return frozenset(), ""


# --- letters --------------------------------------------------------------------------------------------

_LETTER = re.compile(
    r"\b(?i:answer|option|choice|letter|leaves?|leaving|remains?|choose|pick|select|go(?:ing)? with)s?\b"
    r"(?i: (?:is|would be|must be|should be))?:?\s+(?i:only |option |choice )?"
    r"[\"'(*]{0,2}([A-J])\b(?![\w'])"
    r"|(?:^|\s)[\"'(*]{1,2}([A-J])[\"')*]{1,2},? (?i:is|fits|matches|seems|must be)\b"
    r"|\b(?i:so|thus|hence|therefore|makes|means|gives|which is)[ ,:]+(?i:it is |it['\u2019]s |this is |that is |it |this |that )?(?i:option )?[\"'(*]{0,2}([A-J])\b"
    r"(?=[\"')*]{0,2}(?:\s*[.,;!(]|\s*$|\s(?i:right|correct|the|is|as)\b))"
    r"|(?:^|[;:,]\s)([A-J]),? (?i:is (?:the )?(?:one|what i|my|right|correct|best|better|closest|most|answer)|fits|matches)\b",
)
_DROPPED = re.compile(
    r"\b(?:excluded|ruled out|eliminated|discarded|wrong|incorrect|impossible|unlikely|(?:do|does|is|are|can)(?: not|n['\u2019]t))\b",
    re.I,
)


def letter(steps: Sequence[str]) -> str | None:
    """The letter that the reasoning of a multiple choice settles on: the last that is called the answer."""
    for step in reversed(steps[-4:]):
        found = [
            next(filter(None, m.groups()))
            for m in _LETTER.finditer(step)
            if not _NOT.search(step[: m.start()]) and not _DROPPED.search(step[m.end() :])
        ]
        if found:
            return found[-1]
    return None
