"""Models behind an OpenAI-compatible server: vLLM, SGLang, lmdeploy, llama.cpp. The only openai in tinyrs/.

    vllm serve aybora/Qwen2-VL-TinyRS-R1
    python -m tinyrs ask PICTURE "QUESTION" --model http://127.0.0.1:8000/v1#aybora/Qwen2-VL-TinyRS-R1

The key, where the server wants one, is read from OPENAI_API_KEY and goes nowhere but into the request.
"""

from __future__ import annotations

import base64
import io
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urldefrag, urlsplit

import openai
from PIL import Image

from tinyrs.engine import (
    EngineFailure,
    EngineUnavailable,
    Job,
    Options,
    Reply,
    capped,
    conversation,
    ending,
    failure,
)
from tinyrs.example import Question
from tinyrs.models import ModelSpec
from tinyrs.sight import shrink

TIMEOUT = 120.0
"""Seconds to wait for the next word of a server, the first one included: it has a picture to read."""

SURPLUS = 3
"""Pieces to read on after a complete answer: most models end there, and then the server counts tokens."""

AT_ONCE = 8
"""Questions of a batch that are sent side by side: a server answers them together."""


class ServerEngine:
    """An `Engine` (tinyrs/engine.py) over the server and model that `spec.source` names.

    Opening it asks the server nothing. Raises `EngineUnavailable` where the spec names no address.
    """

    def __init__(self, spec: ModelSpec, timeout: float = TIMEOUT, retries: int = 1) -> None:
        if not spec.source.startswith(("http://", "https://")):
            raise EngineUnavailable(f"{spec.name} does not run in this process. {spec.about}")
        self.spec = spec
        address, fragment = urldefrag(spec.source)
        self.model = fragment.partition("?")[0]
        self.host = urlsplit(address).netloc
        here = urlsplit(address).hostname in ("127.0.0.1", "::1", "localhost")
        self._client = openai.OpenAI(
            base_url=address,
            api_key=os.environ.get("OPENAI_API_KEY") or "none",
            max_retries=retries,
            timeout=openai.Timeout(timeout, connect=min(timeout, 10.0)),
            # The address is what was typed: no redirect leads elsewhere, no proxy stands before this machine.
            http_client=openai.DefaultHttpxClient(follow_redirects=False, trust_env=not here),
        )

    def stream(
        self,
        picture: Image.Image,
        question: Question,
        options: Options = Options(),
        cancelled: threading.Event | None = None,
    ) -> Iterator[Reply]:
        call = _Call()

        def work(job: Job) -> None:
            job.publish(self._answer(picture, question, options, call, job.publish))

        yield from Job(work, f"tinyrs {self.model}").replies(cancelled, interrupt=call.hang_up)

    def batch(
        self, pairs: Sequence[tuple[Image.Image, Question]], options: Options = Options()
    ) -> list[Reply]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(
                pool.map(lambda pair: self._answer(*pair, options, _Call(), lambda reply: None), pairs)
            )

    def look(
        self, picture: Image.Image, options: Options = Options(), cancelled: threading.Event | None = None
    ) -> None:
        """Nothing: a question that nobody asked may cost money, and what a server keeps is its own affair."""

    def close(self) -> None:
        self._client.close()

    def _answer(
        self,
        picture: Image.Image,
        question: Question,
        options: Options,
        call: _Call,
        publish: Callable[[Reply], None],
    ) -> Reply:
        """Ask, and publish the answer as it grows. After `call.hang_up()` return what there is."""
        answer = _Growing(self.spec, options)
        error = None
        try:
            with call.place(lambda: self._request(picture, question, options)) as chunks:
                for chunk in chunks:
                    if answer.take(chunk):
                        publish(answer.reply())
                    if answer.surplus > SURPLUS:
                        break
            if answer.ended:
                return answer.reply(finished=True)
            if not call.over:
                raise EngineFailure(f"The server at {self.host} broke off in the middle of its answer.")
        except EngineFailure as e:
            error = e
        except Exception as e:
            if answer.complete:
                return answer.reply(finished=True)
            if not call.over:  # hanging up makes the reading end fail
                error = failure(self._sentence(e), e)
        if error is not None:
            raise error
        return answer.reply()

    def _request(self, picture: Image.Image, question: Question, options: Options) -> openai.Stream:
        return self._client.chat.completions.create(
            model=self.model,
            messages=self._messages(picture, question, capped(self.spec, options).max_pixels),
            max_tokens=options.max_new_tokens or self.spec.max_new_tokens,
            temperature=options.temperature,
            seed=options.seed,
            stop=list(options.stop) or openai.omit,
            extra_body=self._held_to(question.labels) if options.choose else None,
            stream=True,
            stream_options={"include_usage": True},
        )

    def _held_to(self, labels: Sequence[str]) -> dict | None:
        """What tells vLLM to answer with one of `labels`; other servers pass over it, or refuse the question."""
        if self.spec.thinking:
            raise EngineFailure(
                f"{self.spec.name} reasons before it answers, so it cannot be held to a list of answers."
            )
        return {"structured_outputs": {"choice": list(labels)}} if labels else None

    def _messages(self, picture: Image.Image, question: Question, max_pixels: int) -> list[dict]:
        shown = {"type": "image_url", "image_url": {"url": data_url(picture, max_pixels)}}
        messages = []
        for message in conversation(self.spec, question):
            parts = [shown if part["type"] == "image" else part for part in message["content"]]
            if message["role"] == "system":  # not every server takes parts here
                parts = "".join(part["text"] for part in parts)
            messages.append({"role": message["role"], "content": parts})
        return messages

    def _sentence(self, error: Exception) -> str:
        """What the person is told. Nothing that the server wrote: it may hold the key, or anything else."""
        if isinstance(error, openai.APITimeoutError):
            return f"The server at {self.host} took too long to answer."
        if isinstance(error, openai.APIConnectionError):
            return f"The server at {self.host} cannot be reached, or the connection broke."
        status = getattr(error, "status_code", None)
        if status in (401, 403):
            return f"The server at {self.host} wants another key than the one in OPENAI_API_KEY."
        if status == 404:
            return f"The server at {self.host} has no model called {self.model}."
        if status == 429:
            return f"The server at {self.host} has too much to do; try again later."
        if status is not None and 400 <= status < 500:
            return f"The server at {self.host} refused the question ({status})."
        if status is not None and status >= 500:
            return f"The server at {self.host} has a problem of its own ({status})."
        return f"The server at {self.host} wrote something that is no answer; the log says what."


class _Growing:
    """An answer as its pieces come in."""

    def __init__(self, spec: ModelSpec, options: Options) -> None:
        self.spec, self.options = spec, options
        self.text, self.pieces, self.tokens = "", 0, None
        self.first: float | None = None
        self.complete = False  # by its own words: nothing that follows matters
        self.surplus = 0  # pieces that came after that
        self.reason: str | None = None  # why the server says that it ended
        self.started = time.perf_counter()

    @property
    def ended(self) -> bool:
        return self.complete or self.reason is not None

    def take(self, chunk) -> bool:
        """Add one piece; True when the text has grown."""
        if chunk.usage is not None:
            self.tokens = chunk.usage.completion_tokens
        if not chunk.choices:
            return False
        choice = chunk.choices[0]
        self.reason = choice.finish_reason or self.reason
        piece = choice.delta.content if choice.delta is not None else None
        if not piece:
            return False
        if self.complete:
            self.surplus += 1
            return False
        if self.first is None:
            self.first = time.perf_counter() - self.started
        before = len(self.text)
        self.text += piece
        self.pieces += 1
        if (cut := ending(self.spec, self.text, self.options.stop, before)) is not None:
            self.text, self.complete = cut, True
        return True

    def reply(self, finished: bool = False) -> Reply:
        """The reply so far. A server counts its tokens at the end; until then every piece counts as one."""
        truncated = finished and not self.complete and self.reason == "length"
        tokens = self.pieces if self.tokens is None else self.tokens
        return Reply(self.text, tokens, self.first, time.perf_counter() - self.started, finished, truncated)


class _Call:
    """A request that can be hung up on from another thread."""

    def __init__(self) -> None:
        self.over = False
        self._stream: openai.Stream | None = None
        self._lock = threading.Lock()

    def place(self, request: Callable[[], openai.Stream]) -> openai.Stream:
        stream = request()
        with self._lock:
            self._stream = stream
            over = self.over
        if over:
            stream.close()
        return stream

    def hang_up(self) -> None:
        """Close the connection, so that the server stops writing and the thread that reads wakes up."""
        with self._lock:
            self.over, stream = True, self._stream
        if stream is not None:
            # Closing the file would not wake a thread that waits in it; shutting the connection down does.
            with suppress(Exception):
                connection = stream.response.extensions["network_stream"].get_extra_info("socket")
                connection.shutdown(socket.SHUT_RDWR)


def data_url(picture: Image.Image, max_pixels: int, kind: str = "PNG") -> str:
    """`picture` as a data URL, scaled down to `max_pixels` where it is larger (boxes are relative).

    `kind` "JPEG" loses a little and is a seventh of the size, which counts where there are a hundred thousand.
    """
    picture = shrink(picture.convert("RGB"), max_pixels)
    file = io.BytesIO()
    picture.save(file, kind, **({"compress_level": 1} if kind == "PNG" else {"quality": 90}))
    return f"data:image/{kind.lower()};base64," + base64.b64encode(file.getvalue()).decode()
