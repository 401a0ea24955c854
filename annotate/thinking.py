"""What a large model is asked so that it writes the reasoning of a caption, and what is wrong with what it wrote.

The model sees the picture, the question and the data set's own answer, as the paper describes it for
VHM-Instruct-Think; the words are ours. Only the reasoning is taken over: the answer of a caption stays the one
that the data set gives, and a reasoning that comes to another one is a finding.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import category

from annotate.rules import LONGEST, caption_problems, model_text, reasoning_text
from tinyrs.checks import Finding, check
from tinyrs.engine import redact
from tinyrs.example import Example
from tinyrs.image import open_picture
from tinyrs.parse import parse
from tinyrs.prompt import messages, target

SYSTEM = """\
You write down how a careful person thinks while looking at a satellite or aerial picture. The user sends a picture \
and a JSON object with a "question" about it and its "answer". The answer is a private note to you, like metadata: \
it tells you where the thinking should arrive, and the person who thinks does not have it.

The reasoning
- is in the first person, in natural English, step by step, in the order in which one looks: what is asked, what the \
picture shows as a whole, where to look, what is there, what else it could be and why it is not, and the conclusion. \
Turns such as "let me think", "oh, I see" or "but wait" are welcome where a person would say them.
- rests on what can be seen in this very picture: shapes, colours, textures, shadows, sizes, places, neighbours. It \
names nothing that is not there.
- never says or hints that the answer was known. It does not speak of an answer, label, note, annotation or metadata \
that was given, provided or stated.
- has 80 to 250 words, a few plain paragraphs or sentences, no headings, no lists, no markup.
- writes places on a scale from 0 to 1000, from left to right and from top to bottom; a box is [[x1,y1,x2,y2]]. Numbers \
in it agree with the box of the answer.

The answer repeats the note word for word. Only if the picture plainly shows that the note is wrong, answer what you \
see, and reason towards that: a person will look at it.

Write exactly this and nothing around it:
<reasoning> the reasoning </reasoning> <answer> the answer </answer>"""

AGAIN = """\
This cannot be used:
{findings}
Look at the picture again and write the whole text anew in the same form. Do not mention this message."""

PROMPT = hashlib.sha256((SYSTEM + AGAIN).encode()).hexdigest()[:16]
"""Says which wording a caption was made with."""

MOST_TEXT = 40_000
"""Characters of a model's text that are kept; what is longer is no caption, which its length alone shows."""

_EXPECTED = 300  # tokens of a usual caption, for the estimate


@dataclass(frozen=True)
class Row:
    """One question of the data set, to be captioned once.

    key     hash of picture, question and answer: what the same row is known by in another run
    image   the picture's name as the data set writes it, relative to its folder
    size    (width, height) in pixels
    """

    key: str
    example: Example
    image: str
    sha256: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Wrote:
    """What came back for a row. `why` says what kept it from being an answer at all ("" as a rule)."""

    text: str
    tokens_in: int
    tokens_out: int
    why: str = ""


def key_of(sha256: str, example: Example) -> str:
    """The key of a question, with its answer, about the picture with this sha256."""
    asked = example.question
    parts = [sha256, asked.text, asked.task.value, list(asked.labels), example.answer]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def request(
    row: Row,
    before: Sequence[Mapping],
    *,
    model: str,
    max_tokens: int,
    temperature: float,
    max_pixels: int,
) -> dict[str, Any]:
    """The body of the chat completion that asks for `row`, after the attempts `before` (as the record has them).

    Only the last attempt is shown, with what was found in it. Raises BadImage for a picture that cannot be used.
    """
    from tinyrs.server import data_url

    told = {"question": row.example.question.text, "answer": row.example.answer}
    picture = data_url(open_picture(row.example.picture).image, max_pixels, "JPEG")
    content = [
        {"type": "image_url", "image_url": {"url": picture}},
        {"type": "text", "text": json.dumps(told, ensure_ascii=False)},
    ]
    chat: list[dict] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}]
    if before:
        last = before[-1]
        findings = "\n".join(f"- {sentence}" for _, sentence in last["findings"])
        if last["text"].strip():
            chat.append({"role": "assistant", "content": last["text"][:8000]})
            chat.append({"role": "user", "content": AGAIN.format(findings=findings)})
        else:
            content.append({"type": "text", "text": AGAIN.format(findings=findings)})
    return {"model": model, "messages": chat, "max_tokens": max_tokens, "temperature": temperature}


def tokens_of(row: Row, max_pixels: int) -> tuple[int, int]:
    """About how many tokens asking for `row` takes, in and out.

    A picture counts 1.62 tokens for each 32 x 32 pixels, as gpt-4.1-mini does, and text one for four characters;
    other models count a picture differently.
    """
    width, height = row.size
    scale = min(1.0, math.sqrt(max_pixels / (width * height)))
    picture = 1.62 * math.ceil(width * scale / 32) * math.ceil(height * scale / 32)
    text = len(SYSTEM) + len(row.example.question.text) + len(row.example.answer)
    return round(picture + text / 4) + 40, _EXPECTED


def wrote(body: Any, row: Row, max_pixels: int) -> Wrote | None:
    """What a chat completion says; None where `body` is none. Never raises: a server may send anything."""
    try:
        choice = body["choices"][0]
        message = choice["message"]
        text, refusal = message.get("content"), message.get("refusal")
        ended = choice.get("finish_reason")
    except (LookupError, TypeError, AttributeError):
        return None
    if not (text is None or isinstance(text, str)):
        return None
    text = model_text(redact((text or "")[:MOST_TEXT]))
    why = ""
    if refusal or ended == "content_filter":
        why = "The model refused."
    elif not text.strip():
        why = "The model wrote nothing."
    elif ended == "length":
        why = "The text was cut off: it has too many words."
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    guess = tokens_of(row, max_pixels)
    return Wrote(
        text,
        _count(usage.get("prompt_tokens"), guess[0]),
        _count(usage.get("completion_tokens"), max(guess[1], len(text) // 4)),
        why,
    )


def _count(value: Any, otherwise: int) -> int:
    return value if type(value) is int and 0 <= value < 10**7 else otherwise


def findings(row: Row, text: str, why: str = "") -> list[Finding]:
    """Everything for which `text` cannot be a caption of `row`; [] when it is one.

    What is wrong with the data set's own answer is not held against the model.
    """
    if why:
        return [Finding("format", why)]
    question, given = row.example.question, row.example.answer
    answer = parse(text, thinking=True)
    if not answer.well_formed:
        return [Finding("format", sentence) for sentence in answer.problems]
    reasoning = reasoning_text(answer)
    own = set(check(question, "", given, size=row.size))
    problems = set(caption_problems(question, "", given))
    found = [
        *check(question, reasoning, answer.text, given=given, size=row.size),
        *check(question, reasoning, given, size=row.size),
        *(
            Finding("format", sentence)
            for sentence in caption_problems(question, reasoning, given)
            if sentence not in problems
        ),
    ]
    if len(reasoning) > LONGEST["reasoning"]:
        found.append(Finding("length", f"The reasoning has {len(reasoning):,} characters."))
    # A person reads this beside the data set's answer, which is the caption's, so it names the model's.
    said = " ".join(answer.text.split())[:200]
    found = [
        Finding("given", f'The model answers "{said}". {each.sentence}') if each.check == "given" else each
        for each in found
    ]
    return [finding for finding in dict.fromkeys(found) if finding not in own]


def vhm_row(row: Row, text: str, why: str = "") -> dict[str, Any]:
    """The caption of `row` with the reasoning of `text`, in VHM's layout; `why` people should look at it.

    A text of another form than asked for gives the steps that can be read in it, which may be none.
    """
    answer = parse(text, thinking=True)
    reasoning = reasoning_text(answer)[: LONGEST["reasoning"] - 1]
    # Import and export refuse control characters; nobody would see them.
    reasoning = "".join(sign for sign in reasoning if sign in "\n\t" or category(sign) != "Cc").strip()
    question = row.example.question
    asked = messages(question, thinking=True)[-1]["content"][-1]["text"]
    return {
        "id": row.key,
        "image": row.image,
        "conversations": [
            {"from": "human", "value": f"<image>\n{asked}"},
            {"from": "gpt", "value": target(reasoning, row.example.answer)},
        ],
        "task": question.task.value,
        "labels": list(question.labels),
        **({"why": why} if why else {}),
    }
