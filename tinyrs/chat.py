"""A chat request in OpenAI's form -> picture, question and options, or BadRequest with a sentence for its sender.

    asked = read(body, engine.spec, "pocket")
    engine.stream(asked.picture, asked.question, asked.options)

One question about one picture is answered at a time. The picture lies inside the request, as a data: URL; nothing
is fetched for a caller, and no file is opened. What would change an answer and is not done here is refused, not
passed over: a misspelt limit must not be a silent no-op. Source: OpenAI's API reference, "Create chat completion".
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tinyrs.engine import Options, conversation
from tinyrs.example import Question, Task
from tinyrs.image import BadImage, open_picture
from tinyrs.models import ModelSpec
from tinyrs.prompt import LOCATE, defuse, dialect_of, guess_task
from tinyrs.sight import shrink

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST_TEXT = 20_000
"""Characters of a question: more than tinyrs/prompt.py looks at would be read by nobody."""

LONGEST_ANSWER = 8192
"""Tokens that a caller may ask for: what the paper's stage R allowed."""

NEUTRAL: dict[str, tuple] = {
    "n": (1,),
    "top_p": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logprobs": (False,),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
}
"""What clients send by habit, with the values that ask for nothing."""

LABELS = ("user", "metadata", "store", "safety_identifier", "prompt_cache_key", "service_tier")
"""What says who asks, and changes no answer."""


class BadRequest(ValueError):
    """A request that cannot be answered; str(e) is one sentence. `param` is the field that is wrong, or None."""

    def __init__(self, sentence: str, param: str | None = None, code: str | None = None, status: int = 400):
        super().__init__(sentence)
        self.param, self.code, self.status = param, code, status


@dataclass(frozen=True, eq=False)
class Asked:
    """What a request asks for: `usage` wants the tokens counted at the end of a stream."""

    picture: Image
    question: Question
    options: Options
    stream: bool
    usage: bool


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _Address(_Strict):
    url: str
    detail: Literal["auto", "high"] | None = None  # there is one size for every picture, and it is not "low"


class _Part(_Strict):
    type: Literal["text", "image_url"]
    text: str | None = None
    image_url: _Address | None = None


class _Message(_Strict):
    role: str
    content: str | list[_Part]
    name: str | None = None


class _StreamOptions(_Strict):
    include_usage: bool | None = None


class _Body(_Strict):
    model_config = ConfigDict(extra="allow")

    model: str
    messages: list[_Message]
    max_tokens: int | None = Field(None, ge=1, le=LONGEST_ANSWER)
    max_completion_tokens: int | None = Field(None, ge=1, le=LONGEST_ANSWER)
    temperature: float | None = Field(None, ge=0, le=100)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None


def read(data: bytes, spec: ModelSpec, name: str) -> Asked:
    """What the request `data` asks of the model of `spec`, which is called `name` here. Raises BadRequest.

    Takes as long as opening its picture does. Without a temperature the answer is greedy, as everywhere in this house.
    """
    try:
        body = _Body.model_validate_json(data)
    except ValidationError as error:
        raise _refusal(error) from None
    _check_extras(body.model_extra or {})
    if body.model != name:
        sentence = f"There is no model {_shown(body.model)} here; this server has {name}."
        raise BadRequest(sentence, "model", "model_not_found", 404)
    composed, text, url = _parts(body.messages, spec)
    stops = [body.stop] if isinstance(body.stop, str) else body.stop or []
    if len(stops) > 4 or not all(0 < len(stop) <= 100 for stop in stops):
        raise BadRequest("At most four texts of 1 to 100 characters can end an answer.", "stop")
    options = Options(
        body.max_completion_tokens or body.max_tokens, body.temperature or 0.0, body.seed or 0, tuple(stops)
    )
    usage = bool(body.stream_options and body.stream_options.include_usage)
    return Asked(_picture(url, spec), question_of(text, spec, composed), options, bool(body.stream), usage)


def question_of(text: str, spec: ModelSpec, composed: bool) -> Question:
    """The question whose prompt, for the model of `spec`, is what the caller wants it to be.

    A `composed` text came with the model's system prompt: tags and forms are in it already, and it is put as it
    stands. Any other text is put as `python -m tinyrs ask` puts it, under the tag of the task that it asks for.
    """
    before, phrased, after = dialect_of(spec.dialect).locate.partition("{phrase}")
    plain = text.strip()
    if phrased and plain.startswith(before) and plain.endswith(after) and len(plain) > len(before + after):
        # The form holds special tokens, which a text may not: they are taken off here and put back by the prompt.
        phrase = plain[len(before) : len(plain) - len(after)]
        return Question(LOCATE.format(phrase=phrase), Task.GROUNDING)
    if composed:
        return Question(text, Task.OPEN, ("A", "B"))  # lettered choices are the questions that get no tag
    return Question(text, *guess_task(text))


def _parts(messages: list[_Message], spec: ModelSpec) -> tuple[bool, str, str]:
    """Whether the system prompt is there, the text and the picture's address."""
    roles = ["system" if message.role == "developer" else message.role for message in messages]
    if roles not in (["user"], ["system", "user"]):
        raise BadRequest(
            "One question is answered at a time: send one user message, with or without the system prompt before it.",
            "messages",
        )
    if len(roles) == 2:
        own = conversation(spec, Question("x"))[0]
        told = "".join(part["text"] for part in own["content"]) if own["role"] == "system" else None
        if _text(messages[0], "system") != told:
            raise BadRequest(
                "This model was trained under one system prompt and takes no other: leave the system message out.",
                "messages",
            )
    parts = messages[-1].content if isinstance(messages[-1].content, list) else []
    pictures = [part.image_url.url for part in parts if part.type == "image_url" and part.image_url]
    if len(pictures) != 1:
        raise BadRequest("Send one picture with the question, as a part of type image_url.", "messages")
    text = _text(messages[-1], "user")
    if not text.strip():
        raise BadRequest("The question is empty.", "messages")
    if len(text) > LONGEST_TEXT:
        raise BadRequest(
            f"The question has {len(text):,} characters; at most {LONGEST_TEXT:,} are read.", "messages"
        )
    if "\0" in text:
        raise BadRequest("The question holds a character that no text should.", "messages")
    return len(roles) == 2, text, pictures[0]


def _text(message: _Message, role: str) -> str:
    if isinstance(message.content, str):
        return message.content
    if role == "system" and any(part.type != "text" for part in message.content):
        raise BadRequest("A system message holds text only.", "messages")
    return "\n".join(part.text or "" for part in message.content if part.type == "text")


def _picture(url: str, spec: ModelSpec) -> Image:
    if url[:5].lower() != "data:":
        raise BadRequest(
            "The picture must lie inside the request, as a data: URL: no address is fetched and no file is opened.",
            "messages",
        )
    head, comma, payload = url.partition(",")
    if not comma or not head.lower().startswith("data:image/") or not head.lower().endswith(";base64"):
        raise BadRequest("A picture's URL looks like data:image/png;base64,...", "messages")
    try:
        data = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):  # ValueError: letters beyond ASCII
        raise BadRequest("The picture's data is not base64.", "messages") from None
    try:
        # At once in the size that the model reads: forty million pixels need not wait for their turn.
        return shrink(open_picture(data).image, spec.max_pixels)
    except BadImage as error:
        raise BadRequest(str(error), "messages") from None


def _check_extras(extras: dict[str, Any]) -> None:
    for name, value in extras.items():
        if value is not None and name not in LABELS and value not in NEUTRAL.get(name, ()):
            raise BadRequest(f"{_shown(name)} cannot be set so here: leave it out.", name[:80])


def _refusal(error: ValidationError) -> BadRequest:
    """The error that lies deepest: of a text-or-list field, the one about the kind that was meant."""
    found = max(
        error.errors(include_input=False, include_url=False, include_context=False),
        key=lambda each: len(each["loc"]),
    )
    if found["type"] == "json_invalid":
        return BadRequest("The request is not JSON.")
    steps = [str(step) for step in found["loc"] if isinstance(step, int) or str(step).isidentifier()]
    where = ".".join(step for step in steps if step != "str")[:80]
    return BadRequest(f"{where or 'The request'}: {found['msg']}.", where or None)


def _shown(text: str) -> str:
    return ascii(defuse(text if len(text) <= 80 else text[:77] + "..."))
