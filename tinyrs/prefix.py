"""What a model made of a picture, kept for the next question about it.

    prefixes = Prefixes(limit=256 * 2**20)
    key = key_of("model", "float32", pixels, tokens)
    if (kept := prefixes.get(key)) is None:
        prefixes.put(key, kept := compute(), size)

What is kept is not looked into: tinyrs/local.py keeps keys and values of attention. Whoever gets them must not
change them, because others get the same ones.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Any


class Prefixes:
    """Values of `limit` bytes in all; the ones that were not asked for the longest go first.

    Safe to use from several threads. A value larger than `limit` is not kept, so a limit of 0 keeps none.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self._kept: OrderedDict[bytes, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes) -> Any | None:
        """The value of `key`, which is now the newest; None where there is none."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: bytes, value: Any, size: int) -> None:
        """Keep `value`, which takes `size` bytes, and let go of what no longer fits."""
        with self._lock:
            self._drop(key)
            if size > self.limit:
                return
            while self.bytes + size > self.limit:
                self._drop(next(iter(self._kept)))
            self._kept[key] = value, size
            self.bytes += size

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._kept.clear()
            self.bytes = 0

    def _drop(self, key: bytes) -> None:
        _, size = self._kept.pop(key, (None, 0))
        self.bytes -= size


def key_of(*parts: str | Any) -> bytes:
    """A checksum of texts and arrays (anything with a buffer), in order, each with its kind and its length."""
    digest = hashlib.blake2b(digest_size=32)
    for part in parts:
        text = isinstance(part, str)
        data = memoryview(part.encode() if text else part)
        digest.update(b"%c%d:" % (b"t" if text else b"b", data.nbytes))
        digest.update(data)
    return digest.digest()
