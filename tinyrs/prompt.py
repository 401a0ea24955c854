"""Question -> chat messages, in the words that each family of models was trained on.

This is the only prompt table of the house: system prompts, task tags, question forms and the box scale of
every dialect stand here, and training, evaluation and the app all read them from here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tinyrs.example import Question, Task

SYSTEM = "You are a helpful assistant."
"""What models that answer at once are told (Qwen2-VL's default; TinyRS was trained under it)."""

SYSTEM_THINKING = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. "
    "The assistant first thinks about the reasoning process in the mind and then provides the user with the "
    "answer. The reasoning process and answer are enclosed within <reasoning> </reasoning> and <answer> "
    "</answer> tags, respectively, i.e., <reasoning> reasoning process here </reasoning><answer> answer here "
    "</answer>"
)
"""What TinyRS-CoT and TinyRS-R1 were told, in training and in evaluation."""

# The question forms of the paper (Figure 2) and of its benchmarks.
CLASSIFY = "Classify the image within one of the given classes: {labels}."
LOCATE = "Identify the location of {phrase}."
COUNT = "How many {things} can you see in the image?"
PRESENCE = "Is there {phrase} in the image?"
RURAL_URBAN = "Is it a rural or an urban area"
DESCRIBE = "Describe the image in detail."
CHOOSE = "{question}\nChoices: {choices} Answer from the given choices with A., B., C., D., etc."

TASK_TAGS: Mapping[Task, str] = {
    Task.CLASSIFICATION: "{CLS}",
    Task.VQA: "{VQA}",
    Task.COUNTING: "{VQA}",
    Task.GROUNDING: "{VG}",
    Task.CAPTIONING: "{IT}",
    Task.OPEN: "{IT}",
}
"""VHM's and TinyRS's word before a question. Counting is a VQA question in the paper's Figure 2."""

HONESTY_TAG = "{IDK}"
"""VHM's tag for questions whose premise may be false. No Task stands for it: write it before the text."""

SQUARE, PAREN, ANGLE = "square", "paren", "angle"
"""How boxes are written: `[x1,y1,x2,y2]`, `(x1,y1),(x2,y2)`, `{<x1><y1><x2><y2>|<angle>}`."""


_QWEN_MARKS = ("<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>")
_PHRASE_MARKS = ("<p>", "</p>")


@dataclass(frozen=True)
class Dialect:
    """How one family of models is asked and how it writes boxes.

    box_scale   boxes run from 0 to this on both axes
    notations   the box notations that it may use
    tags        what stands before a question of each task
    system      the system prompt without reasoning; "" leaves it to the model's own chat template
    marks       what it writes around boxes and phrases; no part of an answer's words
    locate      the form of a grounding question, where it is not the person's own sentence
    thought     the name of the tag around its reasoning; the answer's is `answer` everywhere
    """

    box_scale: float
    notations: tuple[str, ...] = (SQUARE, PAREN)
    tags: Mapping[Task, str] = field(default_factory=dict)
    system: str = SYSTEM
    marks: tuple[str, ...] = _QWEN_MARKS
    locate: str = "{text}"
    thought: str = "reasoning"


_QWEN_LOCATE = (
    "Output the bounding box of the following object in the image. "
    "<|object_ref_start|>{phrase}<|object_ref_end|>"
)

DIALECTS: Mapping[str, Dialect] = {
    "tinyrs": Dialect(1000, tags=TASK_TAGS),
    "vhm": Dialect(1000, tags=TASK_TAGS, system=""),
    "qwen2-vl": Dialect(1000, locate=_QWEN_LOCATE),
    "qwen2-vl-think": Dialect(1000, locate=_QWEN_LOCATE, thought="think"),  # Qwen2-VL-RS-R1 of ScoreRS
    "geochat": Dialect(100, (ANGLE,), {Task.GROUNDING: "{grounding}"}, "", _PHRASE_MARKS),
    "skysensegpt": Dialect(100, (ANGLE,), {Task.GROUNDING: "[detection]"}, "", _PHRASE_MARKS),
    "lhrs": Dialect(
        1,
        tags={
            Task.GROUNDING: "[DET]",
            Task.CLASSIFICATION: "[CLS]",
            Task.VQA: "[CONSIZE]",
            Task.COUNTING: "[CONSIZE]",
        },
        system="",
        marks=("<bbox>", "</bbox>", *_PHRASE_MARKS),
    ),
}


def dialect_of(name: str) -> Dialect:
    """The dialect of that name; ValueError with a sentence when there is none."""
    try:
        return DIALECTS[name]
    except KeyError:
        raise ValueError(f"There is no dialect {name!r}; there are {', '.join(DIALECTS)}.") from None


# A tokenizer only makes a special token of its exact characters, so one invisible character inside is enough.
# Every `<` that could open one is split, not a list of names: each model adds its own tokens.
_OPENS = re.compile(r"<(?=[|/!\uff5cA-Za-z_])")


def defuse(text: str) -> str:
    """`text` with a zero-width space after each `<` that could open a special token or a tag.

    It looks the same to a reader, while `<|im_start|>`, `<image>` or `</reasoning>` that a person typed stay
    text for every tokenizer, chat template and parser. Applying it twice changes nothing more.
    """
    return _OPENS.sub("<\u200b", text)


def tag_of(question: Question, dialect: str = "tinyrs") -> str:
    """The task tag that stands before `question`, or "".

    Multiple-choice questions get none (LHRS-Bench is asked so), whatever their task, and so does a text
    that already begins with a tag of VHM.
    """
    if is_choice(question) or _TAGGED.match(question.text):
        return ""
    return dialect_of(dialect).tags.get(question.task, "")


def messages(question: Question, dialect: str = "tinyrs", thinking: bool = False) -> list[dict]:
    """The conversation to give to a processor's chat template: system prompt, then picture before text.

    The system message is missing for the dialects whose models bring their own (vhm, geochat, skysensegpt,
    lhrs), unless `thinking`. ValueError for an unknown dialect.
    """
    form = dialect_of(dialect)
    text = defuse(question.text.strip())
    if question.task is Task.GROUNDING and not is_choice(question):
        text = form.locate.format(text=text, phrase=defuse(phrase_of(question.text)))
    tag = tag_of(question, dialect)
    content = [{"type": "image"}, {"type": "text", "text": f"{tag} {text}" if tag else text}]
    chat = [{"role": "user", "content": content}]
    system = SYSTEM_THINKING.replace("reasoning>", f"{form.thought}>") if thinking else form.system
    if system:
        chat.insert(0, {"role": "system", "content": [{"type": "text", "text": system}]})
    return chat


def target(reasoning: str, answer: str) -> str:
    """What a model should write: `<reasoning> r </reasoning> <answer> a </answer>`, or the answer alone.

    Tags inside either are defused, so that an annotator's text cannot break the form.
    """
    reasoning, answer = defuse(reasoning.strip()), defuse(answer.strip())
    if not reasoning:
        return answer
    return f"<reasoning> {reasoning} </reasoning> <answer> {answer} </answer>"


def told_digest(question: str, reasoning: str, answer: str) -> str:
    """A checksum of what was asked and told; white space does not count. Files that name texts name them so."""
    texts = (" ".join(text.split()) for text in (question, reasoning, answer))
    return hashlib.sha256("\0".join(texts).encode("utf-8", "replace")).hexdigest()


# --- what a text asks for -------------------------------------------------------------------------------

_READ = 20_000  # characters looked at: a question is short, a hostile one need not be read whole
_POLITE = re.compile(r"(?:can|could|will|would) you (?:please )?|please,? ", re.I)
_TAGGED = re.compile(r"\s*\{(?P<tag>CLS|VQA|VG|IDK|IT)\}")
_CHOICES_WORD = re.compile(r"\b(?:choices|options)\s?:", re.I)
_CHOICE = re.compile(r"(?:^|(?<=\s))\(?([A-J])[.)](?=\s|\w)", re.M)
_CHOICE_TAIL = re.compile(r"\banswer (?:from|with|by|using|the)\b", re.I)
_LABEL_LIST = re.compile(
    r"\b(?:classes|categories|labels|class list|following|from|between|among|one of)\b[^:\n]{0,80}:", re.I
)
_CLASSIFY_WORD = re.compile(r"\b(?:classify|categori[sz]e|class(?:es)?|categor(?:y|ies)|scene)\b", re.I)
_GROUNDING_WORD = re.compile(
    r"\b(?:identify|what is|what are|give|provide|mark|show|tell|find|report|output)\b[^.?\n]{0,60}"
    r"\b(?:locations?|positions?|coordinates|bounding box(?:es)?|bbox)\b"
    r"|\b(?:bounding box(?:es)?|bbox|coordinates) (?:of|for|around)\b"
    r"|^(?:locate|detect|ground|pinpoint|box)\b"
    r"|^where (?:is|are) (?:the|a|an|all|every)\b(?! (?:image|picture|photo|scene)\b)"
    r"|^find (?:the|a|an|all|every)\b",
    re.I,
)
_COUNTING_WORD = re.compile(
    r"\bhow many\b|^(?:what is |give |tell me )?(?:the )?(?:total )?(?:number|amount|count) of\b"
    r"|^count\b",
    re.I,
)
_CAPTION_WORD = re.compile(
    r"\b(?:caption|describe|description|summari[sz]e)\b|^what (?:do you see|does (?:the|this) image show)\b",
    re.I,
)
_VQA_WORD = re.compile(
    r"^(?:is|are|was|were|does|do|did|has|have|can|could|will|would)\b"
    r"|^(?:what|which) (?:color|colour|shape|size|direction|season|resolution|modality|sensor)\b"
    r"|^what is the (?:area|color|colour|shape|size|width|length|height|resolution|distance)\b",
    re.I,
)
_EITHER_OR = re.compile(
    r"^is (?:it|this|the (?:image|area|scene|picture))\s(?:an? )?(\w+) or (?:an? )?(\w+)", re.I
)
_LOCATE_FORMS = re.compile(
    r"^(?:identify|what is|what are|give|provide|find|mark|output|report|tell me)? ?(?:me )?(?:the )?"
    r"(?:locations?|positions?|coordinates|bounding box(?:es)?|bbox) (?:coordinates )?(?:of|for|around) "
    r"|^(?:locate|detect|find|ground|pinpoint) |^where (?:is|are) ",
    re.I,
)
_LOCATE_ENDS = re.compile(
    r"(?: in (?:the|this) (?:image|picture|scene|photo))?"
    r"(?:,? and (?:give|provide|return|output|report|state|write|draw|mark) (?:me )?(?:its|the|a) [\w ]{0,20}?(?:box|coordinates|position|location))?"
    r"(?: in (?:the|this) (?:image|picture|scene|photo))?\s?[.?!]?$",
    re.I,
)


def choices(text: str) -> tuple[tuple[str, str], ...]:
    """The lettered choices that a text offers: (("A", "road"), ("B", "river"), ...); () when it offers none.

    Found after "Choices:" or "Options:", or from a line on that starts with A; the letters must run A, B, C, ...
    """
    text = text[:_READ]
    word = _CHOICES_WORD.search(text)
    start = word.end() if word else 0
    found: list[re.Match] = []
    for match in _CHOICE.finditer(text, start):
        at_line_start = not text[text.rfind("\n", 0, match.start()) + 1 : match.start()].strip()
        if match[1] == chr(ord("A") + len(found)) and (word or found or at_line_start):
            found.append(match)
    if len(found) < 2:
        return ()
    ends = [match.start() for match in found[1:]] + [len(text)]
    parts = [text[match.end() : end] for match, end in zip(found, ends)]
    return tuple((m[1], _CHOICE_TAIL.split(p, maxsplit=1)[0].strip(" \t\n.,;")) for m, p in zip(found, parts))


def is_choice(question: Question) -> bool:
    """A multiple-choice question: its labels are A, B, C, ..., or its text offers such choices."""
    if question.labels:
        return len(question.labels) > 1 and all(
            label.strip(" .()") == chr(ord("A") + i) for i, label in enumerate(question.labels)
        )
    return bool(choices(question.text))


def phrase_of(text: str) -> str:
    """What a grounding question asks for: "Identify the location of a gray dam." -> "a gray dam"."""
    text = _TAGGED.sub("", text.strip(), count=1).strip()
    polite = _POLITE.match(text)
    text = text[polite.end() :] if polite else text
    found = _LOCATE_FORMS.match(text)
    if not found:
        return text
    phrase = text[found.end() :]
    return _LOCATE_ENDS.sub("", phrase, count=1).strip() or text


_LIST_ENDS = re.compile(r"[.?!](?=\s|$|[A-Z])|\n\s*\n|\n(?=Answer\b)")


def _labels_in(text: str) -> tuple[str, ...]:
    """The closed label set that stands after a colon, each label once, in order."""
    found = _LABEL_LIST.search(text)
    if not found:
        return ()
    # "... school, viaduct.\nAnswer with one word or short phrase." asks for a form after the list.
    listed = _LIST_ENDS.split(text[found.end() :].strip(), maxsplit=1)[0].strip()
    labels = [
        re.sub(r"^(?:and|or) ", "", part.strip(), flags=re.I).strip("\"' ") for part in listed.split(",")
    ]
    last = re.split(r" (?:and|or) ", labels[-1])
    if len(last) == 2 and len(labels) <= 2:  # "a, b or c"; in a long list a label may itself hold "and"
        labels[-1:] = last
    labels = [label for label in dict.fromkeys(labels) if label]
    return tuple(labels) if len(labels) > 1 and max(map(len, labels)) <= 60 else ()


def guess_task(text: str) -> tuple[Task, tuple[str, ...]]:
    """The task that a free text asks for, and the closed label set that it spells out, if any.

    A lettered multiple choice is (OPEN, ("A", "B", ...)): such questions get no tag. A tag of VHM at the
    front decides alone. Anything not recognised is OPEN. The page shows the guess and lets people change it.
    """
    text = text[:_READ].strip()
    tagged = _TAGGED.match(text)
    if tagged:
        text = text[tagged.end() :].strip()
    letters = tuple(letter for letter, _ in choices(text))
    if letters:
        return Task.OPEN, letters
    task, labels = _guess(text)
    if tagged:
        fixed = {"CLS": Task.CLASSIFICATION, "VG": Task.GROUNDING}.get(tagged["tag"])
        if fixed:
            return fixed, (_labels_in(text) if fixed is Task.CLASSIFICATION else ())
        if tagged["tag"] == "VQA":
            return (task if task in (Task.VQA, Task.COUNTING) else Task.VQA), labels
    return task, labels


def _guess(text: str) -> tuple[Task, tuple[str, ...]]:
    polite = _POLITE.match(text)
    text = text[polite.end() :] if polite else text
    either = _EITHER_OR.match(text)
    if either:
        return Task.VQA, (either[1].lower(), either[2].lower())
    labels = _labels_in(text)
    if labels and _CLASSIFY_WORD.search(text[:300]):
        return Task.CLASSIFICATION, labels
    if _COUNTING_WORD.search(text):
        return Task.COUNTING, ()
    if _VQA_WORD.match(text):
        return Task.VQA, labels
    if _GROUNDING_WORD.search(text):
        return Task.GROUNDING, ()
    if re.match(r"(?:classify|categori[sz]e)\b", text, re.I):
        return Task.CLASSIFICATION, labels
    if _CAPTION_WORD.search(text):
        return Task.CAPTIONING, ()
    return Task.OPEN, labels
