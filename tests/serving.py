"""tinyrs/serve.py as it runs: uvicorn on a free port of the loopback, around any engine."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tinyrs.config import Config
from tinyrs.serve import application, server


@contextmanager
def serving(engine, name: str = "fake", config: Config | None = None) -> Iterator[str]:
    """Serve `engine`; the address that ends in /v1."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = server(application(engine, name, config))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        until(lambda: running.started)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            running.should_exit = True
            thread.join(20)


def until(condition, seconds: float = 20.0) -> None:
    """Wait for what a test expects to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.01)
