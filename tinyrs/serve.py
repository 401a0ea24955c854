"""An OpenAI-compatible server for one model of this machine.

    python -m tinyrs serve --model pocket --port 8000
    python -m tinyrs ask PICTURE "QUESTION" --model http://127.0.0.1:8000/v1#pocket

POST /v1/chat/completions (tinyrs/chat.py says what it takes), GET /v1/models, GET /health. With TINYRS_API_KEY set,
whoever asks must send it. Questions are answered one after another; who waits for a stream gets a comment now and
then, so that no proxy gives up. A caller who leaves ends the answer. Built on Starlette and uvicorn; no Gradio.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tinyrs.chat import Asked, BadRequest, read
from tinyrs.config import Config
from tinyrs.engine import Engine, EngineFailure, Options, Reply, failure, open_engine
from tinyrs.models import MODELS, resolve

log = logging.getLogger("tinyrs")

BODY_SECONDS = 60.0
"""Seconds within which a request has to arrive whole: a slow sender holds a place in the queue."""

PAUSE = 10.0
"""Seconds of silence after which a stream says that it is still there."""

OPENING = 2
"""Pictures that are opened at once: the largest takes 800 MB while it is."""

CONNECTIONS = 256
"""Connections at once, with those that have not yet asked anything."""

FAILED = "Something went wrong on the server; its log says what."

KINDS = {
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
}
"""OpenAI's word for each status; every other one is an "invalid_request_error"."""


class CannotServe(ValueError):
    """A model or an address that cannot be served; str(e) is one sentence."""


def serve(model: str, host: str = "127.0.0.1", port: int = 8000, name: str | None = None) -> None:
    """Answer on `host`:`port` until interrupted. `name` is what callers call the model.

    Raises `CannotServe`, `UnknownModel` or `EngineUnavailable` before the first request is taken.
    """
    spec = resolve(model)
    if spec.kind == "server":
        raise CannotServe(
            f"{spec.name} runs behind a server already; only models of this machine are served."
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    except (OSError, OverflowError):
        raise CannotServe(f"Nothing can listen on {host}, port {port}: is it taken?") from None
    with listener:
        engine = open_engine(spec)
        app = application(engine, name or name_of(model))
        if host not in ("127.0.0.1", "::1", "localhost") and not os.environ.get("TINYRS_API_KEY"):
            log.warning("Everybody who reaches %s can ask: set TINYRS_API_KEY to want a key.", host)
        shown = f"[{host}]" if ":" in host else host
        print(f"http://{shown}:{listener.getsockname()[1]}/v1#{app.state.name}", flush=True)
        server(app).run(sockets=[listener])


def name_of(model: str) -> str:
    """What callers call the model: a name of the table, else the last part of a folder or id, and no path."""
    plain = model.partition("?")[0].rstrip("/")
    return plain if plain in MODELS else plain.rpartition("/")[2]


def server(app: Starlette) -> uvicorn.Server:
    """uvicorn around `app`, as this house wants it."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=2,
        )
    )


def application(engine: Engine, name: str, config: Config | None = None) -> Starlette:
    """The ASGI application that answers with `engine` under `name`. TINYRS_API_KEY is read here, once."""
    desk = Desk(engine, name, config or Config(), os.environ.get("TINYRS_API_KEY", ""))
    app = Starlette(
        routes=[
            Route("/health", desk.health),
            Route("/v1/models", desk.models),
            Route("/v1/chat/completions", desk.chat, methods=["POST"]),
        ],
        exception_handlers={HTTPException: _no_such_route, BadRequest: _refused},
    )
    app.state.name = name
    return app


@dataclass
class Turn:
    """One request that is being answered: `gone` is set when its caller has left, or has everything."""

    id: str
    created: int
    gone: threading.Event


class Desk:
    """Where requests come in, wait and are answered."""

    def __init__(self, engine: Engine, name: str, config: Config, key: str) -> None:
        self.engine, self.name, self.config = engine, name, config
        self._key = key.encode()
        self._here = 0
        self._opening = asyncio.Semaphore(OPENING)
        # A thread for each place in the queue: those who wait, wait in the engine.
        self._threads = ThreadPoolExecutor(self.places + OPENING, "tinyrs serve")
        self._since = int(time.time())

    @property
    def places(self) -> int:
        """Requests that may be here at once, the one that is being answered included."""
        return self.config.queue_size + 1

    async def health(self, request: Request) -> Response:
        """For a health check: the model is loaded, and the server has time to say so."""
        return JSONResponse({"status": "ok", "model": self.name, "requests": self._here})

    async def models(self, request: Request) -> Response:
        """The one model, with what a caller must know to talk to it."""
        self._check_key(request)
        spec = self.engine.spec
        declared = {
            key: getattr(spec, key)
            for key in ("dialect", "thinking", "box_scale", "min_pixels", "max_pixels", "max_new_tokens")
        }
        row = {"id": self.name, "object": "model", "created": self._since, "owned_by": "tinyrs", **declared}
        return JSONResponse({"object": "list", "data": [row]})

    async def chat(self, request: Request) -> Response:
        """One question, answered whole or as a stream."""
        self._check_key(request)
        if self._here >= self.places:
            raise BadRequest(
                "Too many questions are waiting; try again later.", code="queue_full", status=429
            )
        self._here += 1
        turn = Turn(f"chatcmpl-{uuid.uuid4().hex}", int(time.time()), threading.Event())
        response = None
        try:
            response = await self._answer(request, turn)
            return response
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except EngineFailure as error:
            return _error(500, str(error))
        except (BadRequest, asyncio.CancelledError):
            raise
        except Exception as error:
            return _error(500, str(failure(FAILED, error)))
        finally:
            if not isinstance(response, _Stream):  # a stream leaves when it has been sent
                self._leave(turn)

    async def _answer(self, request: Request, turn: Turn) -> Response:
        body = await self._body(request)
        async with self._opening:
            loop = asyncio.get_running_loop()
            asked = await loop.run_in_executor(self._threads, read, body, self.engine.spec, self.name)
        if asked.stream:
            return _Stream(self._events(asked, turn), lambda: self._leave(turn))
        watch = asyncio.create_task(_until_left(request, turn.gone))
        try:
            reply = Reply("")
            async for newest in self._replies(asked, turn.gone):
                reply = newest or reply
        finally:
            watch.cancel()
        message = {"role": "assistant", "content": reply.text}
        choice = {"index": 0, "message": message, "finish_reason": _reason(reply), "logprobs": None}
        return JSONResponse(self._frame(turn, "chat.completion", [choice]) | {"usage": _usage(reply)})

    async def _body(self, request: Request) -> bytes:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            # Also what keeps a page of another site from asking in its visitor's name.
            raise BadRequest("Send the request as application/json.", status=415)
        limit = self.config.max_bytes
        sentence = f"The request has more than {limit / 2**20:.6g} MiB; send a smaller picture."
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            raise BadRequest(sentence, status=413)

        async def arrive() -> bytes:
            body = bytearray()
            async for piece in request.stream():
                body += piece
                if len(body) > limit:
                    raise BadRequest(sentence, status=413)
            return bytes(body)

        try:
            return await asyncio.wait_for(arrive(), BODY_SECONDS)
        except asyncio.TimeoutError:
            raise BadRequest("The request took too long to arrive.", status=408) from None

    async def _replies(self, asked: Asked, gone: threading.Event) -> AsyncIterator[Reply | None]:
        """The answer as it grows; None after every PAUSE seconds of silence. Ends soon after `gone` is set."""
        stream = self.engine.stream(asked.picture, asked.question, asked.options, gone)
        loop = asyncio.get_running_loop()
        step = None
        try:
            while True:
                step = loop.run_in_executor(self._threads, next, stream, None)
                # So that somebody has looked at its error when the caller leaves first.
                step.add_done_callback(lambda done: done.cancelled() or done.exception())
                while not (await asyncio.wait({step}, timeout=PAUSE))[0]:
                    yield None
                reply = step.result()
                if reply is None:
                    return
                yield reply
        finally:
            gone.set()
            if step is None or step.done():
                stream.close()
            else:  # its thread is still in there, and sees `gone` soon
                step.add_done_callback(lambda done: stream.close())

    async def _events(self, asked: Asked, turn: Turn) -> AsyncIterator[str]:
        """The answer as server-sent events, in OpenAI's form."""
        reply, shown = Reply(""), 0
        yield self._chunk(turn, {"role": "assistant", "content": ""})
        try:
            async for newest in self._replies(asked, turn.gone):
                if newest is None:
                    yield ": still here\n\n"
                    continue
                reply = newest
                ready = len(reply.text) - (0 if reply.finished else _held(reply.text, asked.options))
                if ready > shown:
                    yield self._chunk(turn, {"content": reply.text[shown:ready]})
                    shown = ready
        except EngineFailure as error:
            yield _event(_problem(500, str(error)))
            return
        except Exception as error:
            yield _event(_problem(500, str(failure(FAILED, error))))
            return
        if not reply.finished:
            return  # the caller has left
        yield self._chunk(turn, {}, _reason(reply))
        if asked.usage:
            yield _event(self._frame(turn, "chat.completion.chunk", []) | {"usage": _usage(reply)})
        yield "data: [DONE]\n\n"

    def _chunk(self, turn: Turn, delta: dict, reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return _event(self._frame(turn, "chat.completion.chunk", [choice]))

    def _frame(self, turn: Turn, kind: str, choices: list[dict]) -> dict:
        return {
            "id": turn.id,
            "object": kind,
            "created": turn.created,
            "model": self.name,
            "choices": choices,
        }

    def _leave(self, turn: Turn) -> None:
        turn.gone.set()
        self._here -= 1

    def _check_key(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        given = given.strip().encode() if scheme.lower() == "bearer" else b""
        if self._key and not hmac.compare_digest(given, self._key):
            sentence = "This server wants a key: send the one it was started with as a bearer token."
            raise BadRequest(sentence, code="invalid_api_key", status=401)


class _Stream(StreamingResponse):
    """Server-sent events; `after` runs when all of them are sent, or the caller has left."""

    def __init__(self, events: AsyncIterator[str], after) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._after = after

    async def __call__(self, scope, receive, send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._after()


async def _until_left(request: Request, gone: threading.Event) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    gone.set()


def _held(text: str, options: Options) -> int:
    """How many last characters of `text` may be the beginning of a text that ends the answer."""
    longest = max(map(len, options.stop), default=1) - 1
    for size in range(min(longest, len(text)), 0, -1):
        if any(stop.startswith(text[-size:]) for stop in options.stop):
            return size
    return 0


def _reason(reply: Reply) -> str:
    return "length" if reply.truncated else "stop"


def _usage(reply: Reply) -> dict:
    """The answer's tokens; the engines do not count those of the prompt, so they stand as 0."""
    return {"prompt_tokens": 0, "completion_tokens": reply.tokens, "total_tokens": reply.tokens}


def _event(content: dict) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"


def _problem(status: int, sentence: str, param: str | None = None, code: str | None = None) -> dict:
    kind = KINDS.get(status, "invalid_request_error")
    return {"error": {"message": sentence, "type": kind, "param": param, "code": code}}


def _error(status: int, sentence: str, param: str | None = None, code: str | None = None) -> Response:
    return JSONResponse(_problem(status, sentence, param, code), status)


def _refused(request: Request, error: BadRequest) -> Response:
    return _error(error.status, str(error), error.param, error.code)


def _no_such_route(request: Request, error: HTTPException) -> Response:
    sentence = (
        "There is nothing at this address; there are /v1/chat/completions, /v1/models and /health."
        if error.status_code == 404
        else "This address takes another method."
    )
    response = _error(error.status_code, sentence)
    response.headers.update(error.headers or {})
    return response
