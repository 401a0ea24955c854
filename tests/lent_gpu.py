"""A stand-in for the hub's `spaces` package (0.51.3) on ZeroGPU: its decorator for generators, with the real fork.

    spaces = LentGPU(in_child=poison)
    monkeypatch.setitem(sys.modules, "spaces", spaces)

As there: arguments and results are pickled, the duration is asked for with the arguments, leaving the generator sets an
event that the other process looks at after each result, and closing waits for that process.
"""

from __future__ import annotations

import multiprocessing
import os
import types
from collections.abc import Callable

FORK = multiprocessing.get_context("fork")


class LentGPU(types.ModuleType):
    """`calls`: (duration, process id) of each; `refuse`: raised instead of lending; `in_child` runs in the process."""

    def __init__(self, in_child: Callable[[], None] = lambda: None, refuse: Exception | None = None):
        super().__init__("spaces")
        self.calls: list[tuple[int, int]] = []
        self.in_child, self.refuse = in_child, refuse

    def GPU(self, task=None, *, duration=None):
        return self._wrapped(task, duration) if task else lambda task: self._wrapped(task, duration)

    def _wrapped(self, task, duration):
        def lent(*args):
            wanted = duration(*args) if callable(duration) else duration
            if self.refuse is not None:
                raise self.refuse
            given, said, stop = FORK.SimpleQueue(), FORK.SimpleQueue(), FORK.Event()
            process = FORK.Process(target=self._there, args=(task, given, said, stop), daemon=True)
            process.start()
            self.calls.append((wanted, process.pid))
            given.put(args)
            try:
                while (result := said.get())[0] == "ok":
                    yield result[1]
                if result[0] == "error":
                    raise RuntimeError(result[1])
            except GeneratorExit:
                stop.set()
                while said.get()[0] == "ok":
                    pass
                raise
            finally:
                process.join(10)

        return lent

    def _there(self, task, given, said, stop):
        try:
            self.in_child()
            results = task(*given.get())
            for result in results:
                said.put(("ok", result))
                if stop.is_set():
                    results.close()
                    break
            said.put(("end", None))
        except BaseException as error:
            said.put(("error", repr(error)))
        os._exit(0)
