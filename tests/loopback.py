"""A real HTTP server on the loopback that speaks OpenAI's streaming, and misbehaves as a test tells it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Loopback:
    """`answers` holds what to do with each request, the last one for all that follow.

    An answer is a function of the handler, whose `body` is the request. `requests` holds what came in:
    headers and body. `hung_up` is set once a client left in the middle of an answer.
    """

    def __init__(self, *answers: Callable) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[dict, dict]] = []
        self.hung_up = threading.Event()
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer._lock:
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    outer.requests.append((headers, self.body))
                    answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                self.close_connection = True
                try:
                    answer(self)
                except OSError:
                    outer.hung_up.set()

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, address):
                outer.hung_up.set()

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}/v1"


@contextmanager
def loopback(*answers: Callable) -> Iterator[Loopback]:
    server = Loopback(*answers)
    thread = threading.Thread(target=server.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.server.shutdown()
        server.server.server_close()
        thread.join()


def begin(handler, status: int = 200, kind: str = "text/event-stream", **headers: str) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Connection", "close")
    handler.end_headers()


def event(handler, content: str | None = None, reason: str | None = None, usage: int | None = None) -> None:
    """One server-sent event, as vLLM writes it."""
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []}
    if content is not None or reason is not None:
        delta = {} if content is None else {"content": content}
        chunk["choices"] = [{"index": 0, "delta": delta, "finish_reason": reason}]
    if usage is not None:
        chunk["usage"] = {"prompt_tokens": 9, "completion_tokens": usage, "total_tokens": 9 + usage}
    raw(handler, f"data: {json.dumps(chunk)}\n\n")


def raw(handler, text: str) -> None:
    handler.wfile.write(text.encode())
    handler.wfile.flush()


def says(*pieces: str, reason: str | None = "stop", usage: int | None = None) -> Callable:
    """An answer in these pieces, ended for that reason."""

    def answer(handler):
        begin(handler)
        for piece in pieces:
            event(handler, piece)
        if reason is not None:
            event(handler, reason=reason)
        if usage is not None:
            event(handler, usage=usage)
        raw(handler, "data: [DONE]\n\n")

    return answer


def refuses(status: int, message: str = "no", **headers: str) -> Callable:
    """An error, in OpenAI's form."""

    def answer(handler):
        begin(handler, status, "application/json", **headers)
        raw(handler, json.dumps({"error": {"message": message, "type": "error", "code": None}}))

    return answer
