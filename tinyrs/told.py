"""Where a reasoning gives away that it was written by somebody who had been told the answer.

Captions are made by showing a large model the true answer, and a model that learns from one that says so learns to
speak of an answer that it will never be given. What a question may offer (classes, options, a picture) is no leak.
"""

from __future__ import annotations

import re

_GIVEN = (
    r"(?:given|provided|supplied|known|reference|original|expected|intended|stated|specified|indicated|listed|annotated|"
    r"labell?ed|target|assigned|desired|prescribed|gold(?:en|[- ]standard)?)"
)
_ANSWER = r"(?:answers?|captions?|annotations?|responses?|solutions?|bounding box(?:es)?|box(?:es)?|coordinates|counts?|label|results?)"
_LIST = r"(?! (?:list|set|sets|options?|choices|candidates|classes|categories|types?|format)\b)"
_SAYS = r"(?:says?|reads?|states?|indicates?|mentions?|tells?|gives?|claims?|shows? that|confirms?|suggests?)"
_FITS = (
    r"(?:according to|based on|consistent with|match(?:es|ing)?|confirm(?:s|ed by|ing)|agree(?:s|ing)? with|in line with|"
    r"in (?:accordance|agreement) with|per|given|support(?:s|ing)?|justif(?:y|ies|ying)|align(?:s|ed|ing)? with)"
)
_OFFERED = (
    r"(?! (?:\d+ |(?:a|an|the|this|these|several|some|many|only|one|two|four) )?(?:\w+ ){0,3}"
    r"(?:images?|pictures?|photos?|photographs?|view|questions?|lists?|sets?|options|classes|choices|categories|"
    r"satellite|aerial|task|scene)\b)"
)

_SIGNS = (
    # the given answer, the box that was provided, the label supplied
    rf"\b(?:the|this|that|my|your|its|an?) (?:\w+ )?{_GIVEN} (?:correct |final |true )?{_ANSWER}\b{_LIST}",
    r"\b(?:answer|caption|annotation|response|solution|(?:bounding )?box(?:es)?|coordinates|count|label|ground[- ]truth|result)\b"
    r"(?: that)?(?: (?:is|are|was|were|has been|have been|i (?:was|am|have been)|we (?:were|are)))?(?: already| just| been)*"
    r" (?:provided|supplied|specified|handed|told|known beforehand|known in advance)\b(?! (?:by|from) (?:the )?(?:shape|size|texture))",
    r"\b(?:answer|caption|annotation|response|solution|(?:bounding )?box|coordinates|count|label|ground[- ]truth|result)\b(?: \w+){0,2}"
    r" (?:is|are|was|were|has been|have been|already|as)(?: already| just| been)? (?:given|known|told|stated)\b",
    r"\b(?:the|an?) (?:box|answer|label|solution|count|coordinates) (?:that )?(?:i|we) (?:was|were|am|are|have been|had been) (?:given|handed|told|shown)\b",
    # as given, as provided in the metadata
    r"\bas (?:already )?(?:given|provided|supplied|labell?ed|annotated|told|specified)(?=\s*[,.;:])",
    r"\bas (?:already )?(?:given|provided|stated|specified|indicated|mentioned|told|listed|noted|labell?ed) (?:in|by|to me)\b ?"
    r"(?:the )?(?:\w+ )?(?:answer|metadata|annotation|caption|prompt|label|reference|ground|data ?set|user's answer|hint|note)",
    # words that only somebody who was told uses
    r"\bmeta-?data\b|\bground[- ]?truth\b|\bgt\b|\banswer key\b|\bquestion[- ](?:and[- ])?answer pair\b",
    r"\bannotat(?:ion|ions|ed|or|ors)\b|\bfile ?names?\b|\bprivate note\b|\bgold(?:en)?[- ](?:label|answer|standard)\b",
    r"\b(?:the|your|this|that|given|provided) hint\b(?! of)|\bthe note (?:says|gives|states|mentions)\b",
    r"\b(?:work(?:ing)?|reason(?:ing)?) backwards?\b|\breverse[- ]engineer\w*",
    # it agrees with the answer
    rf"\b{_FITS} (?:the|this|that) (?:{_GIVEN} )?(?:answer|caption|annotation|ground|reference|solution|user's answer)\b{_LIST}",
    rf"\b{_FITS} (?:the|this|that) label (?:given|provided|supplied)\b",
    r"\b(?:needs?|has|have|should|must|wants?|wanted|supposed)(?: to)? (?:match|support|justify|lead to|agree with|be consistent with|end up with|end at)"
    r" (?:the|that|this|it\b)(?: \w+)?(?: (?:answer|label|annotation|conclusion))?",
    # somebody told me
    r"\b(?:(?:i|we) (?:was|were|am|are|have been|had been|got)|i['\u2019]m|i['\u2019]ve been|we['\u2019]re|we['\u2019]ve been)"
    rf"(?: already)? (?:told|given|informed|provided|handed|shown){_OFFERED}(?= |[.,;])",
    r"\b(?:user|prompt|question|system|instruction|data ?set|label|label file|task|someone)s? (?:has |have )?(?:already )?"
    r"(?:provided|provides|gave|given|gives|told|tells|says|stated|states|supplied|specified|specifies|lists|revealed|reveals|indicates|indicated) "
    r"(?:me |us )?(?:that )?(?:the )?(?:correct |final |true |right )?(?:answer|box|bounding|coordinates|it is|it's|count is|label is)",
    rf"\b(?:the|this|its) (?:{_GIVEN} |image |picture |true )?(?:label|tag|caption|reference|key) {_SAYS}\b",
    r"\b(?:image|picture|photo|scene|sample|example|tile|it|this) (?:is|was|has been|had been)(?: already| originally| previously)? "
    r"(?:labell?ed|tagged|captioned)\b",
    r"\b(?:answer|label|count|number|class|object|box|image|scene|location) (?:is|was|are|were) (?:said|supposed|known|stated|reported) to be\b",
    r"\banswer (?:already |clearly )?(?:says|states|mentions|tells|gives)\b",
    r"\bas the (?:caption|label|annotation|answer|reference|data ?set|hint) (?!is\b|should\b|must\b|will\b)\w+s\b",
    r"\bas (?:we|i) (?:already )?know\b|\bit (?:is|was) (?:already )?known (?:that|to be)\b|\baccording to (?:the|its|this) label\b",
    r"\banswer\b[^.;,]{0,25} (?:has been|was|is|were)(?: already)? (?:provided|supplied)\b",
    r"\b(?:already )?know(?:s|n|ing)?(?: already)? (?:that )?(?:the|what the) (?:correct |right |final |true )?(?:answer|label)\b"
    r"(?! (?:should|must|will|has to|needs to|can|is one|to be)\b)",
    r"\b(?:explain|justify|show|argue|demonstrate) (?:why|how) the (?:correct |right |given )?(?:answer|label|count) (?:is|must be|should be)\b",
    r"\b(?:has|have|was|is) already (?:been )?(?:established|determined|decided|settled|fixed|given|confirmed) (?:that|to be|as)\b",
    r"\b(?:coordinates|boxe?s?)\s?[\[(][^\])]{0,60}[\])]+ (?:is|are|was|were) (?:already )?(?:given|provided|supplied)\b",
    # given that the answer is ...
    r"\b(?:since|given|knowing|because|considering)(?: that)? the (?:correct |right |true |final |target )?(?:answer|label|caption|solution) "
    r"(?:is|was|has|must be|should be|says)\b",
    r"\b(?:the|a) target (?:label|class|answer) (?:is|was|here)\b",
    # what one was told to do about it
    r"\bwithout (?:referencing|mentioning|revealing|citing) the answer\b|\b(?:system|user) (?:message|prompt)\b",
    r"\b(?:instructed|supposed|asked|told) (?:not )?to (?:justify|reference|mention|reveal|explain|pretend)\b",
    r"\bthe given (?:class|category) (?:is|was|says)\b|\bgiven class is\b|\banswer (?:field|column|entry|sheet)\b",
    r"\b(?:question|task|prompt|image|picture|row|sample)['\u2019]s (?:given |correct |true |official )?(?:answer|solution|annotation)\b"
    r"(?! (?:is|would|should|must|could|can)\b)|\bas (?:specified|stated|given|provided) above\b",
    r"\banswer in mind\b|\b(?:data ?set|file)(?:['\u2019]s)? (?:label|answer)\b|\b(?:assistant|user|model)['\u2019]s answer\b",
    r"\bgiven the (?:correct|true|right|final) answer\b|\bmy reasoning (?:must|should|has to|needs to)\b|\bpretend\w*\b",
    r"\b(?:i|we) (?:must|need to|have to|should|am to|are to) (?:justify|rationali[sz]e)\b",
    r"\b(?:user|prompt|question|task)s? (?:has |have )?(?:already )?(?:indicated|stated|said|told me|confirmed|revealed) (?:that )?(?:it|this|the answer)\b",
    r"\bit(?:['\u2019]s| is| was) (?:already )?(?:stated|given|said|specified|indicated) (?:that|to be)\b",
    r"\bto (?:justify|support|reach|arrive at) the (?:given|provided|correct|expected|known) answer\b",
)
_LEAK = re.compile("|".join(_SIGNS), re.I)
# One of these is in every sign. Most sentences hold none, and looking for the signs themselves is slow.
_TRACES = (
    "answer|caption|annotat|label|truth|gt|meta|told|inform|given|provided|suppl|specif|handed|shown|know|hint|note |"
    "file|backward|reverse|gold|referen|solution|response|prompt|message|pretend|justif|already|rational|tell|stated|"
    "dataset|data set|supposed|target|expected|reasoning|support|match|agree|consistent|lead to|end up|end at|"
    "indicated|revealed|confirmed|lists|gave|gives|said|listed|intended|original|assigned|desired|prescribed|reported|"
    "tagged"
).split("|")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def told(reasoning: str) -> str:
    """The words with which `reasoning` shows that its writer had been told the answer; "" for none."""
    if not _traced(reasoning):
        return ""
    for sentence in _SENTENCE.split(reasoning):
        if _traced(sentence) and (found := _LEAK.search(sentence)):
            return " ".join(found[0].split())
    return ""


def _traced(text: str) -> bool:
    text = text.lower()
    return any(trace in text for trace in _TRACES)
