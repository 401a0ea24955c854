"""Processor time of one piece of work, measured so that a busy machine does not decide what a test says."""

from __future__ import annotations

import time
from collections.abc import Callable


def least(work: Callable[[], object], enough: float, tries: int = 3) -> float:
    """The least seconds of processor time that `work` took in this thread, of as many tries as it takes to come below
    `enough`: other work on the machine can only make one longer."""
    found = float("inf")
    for _ in range(tries):
        started = time.thread_time()
        work()
        found = min(found, time.thread_time() - started)
        if found < enough:
            break
    return found
