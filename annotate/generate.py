"""Questions with their answers -> captions with reasoning, written by a model behind an OpenAI-compatible server.

    python -m annotate generate --data list_sft.json --out think.json --model gpt-4.1-mini

Beside think.json lie think.jsonl (the record: every answer, kept as it came in, so that the same command goes on
where it stopped and asks nothing twice), think.queue.json (what failed the checks, with the reason, for
`python -m annotate import`) and, written last, think.manifest.json. The key is read from OPENAI_API_KEY and goes
nowhere but into the requests; nothing that a server says about an error is kept or shown.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import asynccontextmanager, suppress
from email.utils import parsedate_to_datetime

from annotate.plan import OPENAI, Plan
from annotate.record import Record
from annotate.rules import Refused
from annotate.thinking import Row, Wrote, findings, request, wrote
from tinyrs.image import BadImage

SILENT = 10
"""A run stops when this many rows, one after the other, get no answer."""
LONGEST_WAIT = 600.0
"""Seconds: the longest Retry-After that is kept to. A server that wants more is waited for by hand."""


class Stop(Exception):
    """The run ends here. str() is one sentence; `code` is the exit code: 1 it may go on later, 2 a mistake."""

    def __init__(self, sentence: str, code: int = 1):
        super().__init__(sentence)
        self.code = code


class Run:
    """The rows that are asked, what is known about them, and the one client that asks.

    `unanswered` maps the keys of rows that got no answer in this run to why, `refused` those whose question the
    server will not take, which no repetition changes.
    """

    def __init__(self, plan: Plan, rows: Sequence[Row], record: Record):
        self.plan, self.rows, self.record = plan, rows, record
        self.by_key = {row.key: row for row in rows}
        self.unanswered: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.why: Stop | None = None
        self.stopped = asyncio.Event()
        self.bar = None
        self._held, self._out = 0.0, 0  # money set aside for calls in flight, and how many these are
        self._silent = 0
        self._free = self._not_before = 0.0
        self._changed = asyncio.Condition()
        self._dearer = 0.0
        for row in rows:
            for line in record.attempts.get(row.key, ())[:1]:
                self._learn(row, line["in"])

    # ---- what is to be done

    def done(self, row: Row) -> bool:
        """A caption is there, or the attempts are used up."""
        return self.record.done(row.key, self.plan.attempts)

    def todo(self) -> list[Row]:
        """Rows that are to be asked now."""
        missed = self.unanswered.keys() | self.refused.keys()
        return [row for row in self.rows if not self.done(row) and row.key not in missed]

    @property
    def spent(self) -> float:
        """What the job has cost until now; 0 where no price is known."""
        return self.plan.cost(self.record.tokens_in, self.record.tokens_out) or 0.0

    def worst(self, row: Row) -> tuple[int, int]:
        """Tokens that the next call for `row` may cost, corrected by what calls turned out to cost."""
        tokens_in, tokens_out = self.plan.worst(row, self.record.attempts.get(row.key, ()))
        return math.ceil(tokens_in * max(1.0, self._dearer)), tokens_out

    def _learn(self, row: Row, tokens_in: int) -> None:
        """Every model counts a picture in its own way: the dearest one seen is what is reckoned with."""
        self._dearer = max(self._dearer, tokens_in / self.plan.worst(row)[0])

    def stop(self, why: Stop) -> None:
        """Take no new row. The first reason is the one that is told."""
        self.why = self.why or why
        self.stopped.set()

    def take(self, row: Row, said: Wrote) -> None:
        """Keep an answer, with what is wrong with it."""
        if not self.record.attempts.get(row.key):
            self._learn(row, said.tokens_in)
        self.record.answered(row.key, said, findings(row, said.text, said.why))
        self._silent = 0
        if self.done(row):
            self.step()

    def miss(self, row: Row, why: str, refused: bool = False) -> None:
        """A row got no answer."""
        (self.refused if refused else self.unanswered)[row.key] = why
        self._silent += 1
        if self._silent >= SILENT:
            self.stop(Stop(f"{SILENT} rows one after the other got no answer. The last one: {why}"))

    def step(self) -> None:
        """One row further on the progress bar."""
        if self.bar is not None:
            if self.plan.price_in is not None:
                self.bar.set_postfix(cost=f"{self.spent:.2f}", refresh=False)
            self.bar.update(1)

    # ---- waiting

    async def rest(self, seconds: float) -> None:
        """Sleep, but not longer than until the run stops."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.stopped.wait(), seconds)

    async def turn(self) -> None:
        """Wait until the rate limit, and what the server asked for, allow one more call."""
        now = asyncio.get_running_loop().time
        at = max(now(), self._free)
        self._free = at + (60.0 / self.plan.rpm if self.plan.rpm else 0.0)
        while not self.stopped.is_set() and (left := max(at, self._not_before) - now()) > 0:
            await self.rest(left)

    @asynccontextmanager
    async def allowance(self, row: Row):
        """Set aside what a call may cost at worst; True within, False where the budget does not allow it.

        Under a budget the very first call goes alone: it shows how dear this model's pictures are.
        """
        budget = float("inf") if self.plan.budget is None else self.plan.budget
        async with self._changed:
            while True:
                need = self.plan.cost(*self.worst(row)) or 0.0
                fits = self.spent + self._held + need <= budget
                unknown = self.plan.budget is not None and not self._dearer
                # What is in flight may turn out cheaper than feared.
                if (fits and not unknown) or not self._out or self.stopped.is_set():
                    break
                await self._changed.wait()
            if fits:
                self._held += need
                self._out += 1
            else:
                self.stop(self.over_budget())
        try:
            yield fits
        finally:
            if fits:
                async with self._changed:
                    self._held -= need
                    self._out -= 1
                    self._changed.notify_all()

    def over_budget(self) -> Stop:
        """Why nothing more is asked."""
        return Stop(
            f"The budget of {self.plan.budget:g} does not allow another call: {self.spent:.4f} is spent. "
            "The same command with a larger --budget goes on."
        )

    # ---- asking one by one

    async def ask_all(self, client) -> None:
        """Ask for every row that is to be done, `concurrency` at a time."""
        waiting = iter(self.todo())

        async def work() -> None:
            for row in waiting:  # one iterator for all
                if self.stopped.is_set():
                    return
                try:
                    await self._caption(client, row)
                except Stop as why:
                    self.stop(why)  # and the others end what they have begun: it is paid for

        tasks = [asyncio.create_task(work()) for _ in range(self.plan.concurrency)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _caption(self, client, row: Row) -> None:
        plan = self.plan
        while not self.done(row) and not self.stopped.is_set():
            before = self.record.attempts.get(row.key, ())
            try:
                body = await asyncio.to_thread(
                    request,
                    row,
                    before,
                    model=plan.model,
                    max_tokens=plan.max_tokens,
                    temperature=plan.temperature,
                    max_pixels=plan.max_pixels,
                )
            except BadImage as problem:
                self.miss(row, f"{row.image}: {problem}")
                return
            if not await self._call(client, row, body):
                return

    async def _call(self, client, row: Row, body: dict) -> bool:
        """Get and keep one answer, after as many tries as it takes; False where there is none, which is noted."""
        plan = self.plan
        for tried in range(plan.retries + 1):
            await self.turn()
            async with self.allowance(row) as fits:
                if not fits or self.stopped.is_set():
                    return False
                try:
                    reply = await asyncio.wait_for(
                        client.chat.completions.with_raw_response.create(**body), plan.timeout
                    )
                    # Read here: the client would take whatever has the right keys for a completion.
                    said = wrote(json.loads(reply.text), row, plan.max_pixels)
                    why, pause, charged = "wrote something that is no answer", None, True
                except asyncio.CancelledError:
                    self.record.went_astray(row.key, self.worst(row))
                    raise
                except Exception as error:
                    why, pause, charged = trouble(error, plan)
                    if charged is None:
                        self.miss(row, f"The server at {plan.host} {why}.", refused=True)
                        return False
                else:
                    if said is not None:
                        self.take(row, said)
                        return True
                if charged:
                    self.record.went_astray(row.key, self.worst(row))
            if tried < plan.retries and not self.stopped.is_set():
                backoff = plan.wait * 2**tried * random.uniform(0.75, 1.25)
                if pause:
                    # All wait: the limit is that of the key, not of this call.
                    self._not_before = asyncio.get_running_loop().time() + pause
                await self.rest(max(pause or 0.0, min(60.0, backoff)))
        self.miss(row, f"The server at {plan.host} {why}.")
        return False


def trouble(error: Exception, plan: Plan) -> tuple[str, float | None, bool | None]:
    """(what the server did, seconds it wants to be left alone, whether the call may have been charged).

    The last is None where the server will never take this question. Raises Stop where no question would fare
    better, and what is no failure of the server.
    """
    import openai

    if isinstance(error, (openai.AuthenticationError, openai.PermissionDeniedError)):
        raise Stop(f"The server at {plan.host} wants another key than the one in OPENAI_API_KEY.", 2)
    if isinstance(error, openai.NotFoundError):
        raise Stop(f"The server at {plan.host} has no model called {plan.model}.", 2)
    if isinstance(error, openai.APIStatusError):
        if getattr(error, "code", None) == "insufficient_quota":
            raise Stop(f"The account at {plan.host} has no money left.")
        pause = seconds_of(error.response.headers.get("retry-after"))
        status = error.status_code
        if pause is not None and pause > LONGEST_WAIT:
            raise Stop(f"The server at {plan.host} wants to be left alone for {pause:.0f} seconds.")
        if status in (408, 409, 429) or status >= 500:
            return f"answered with status {status}", pause, False
        return f"refused the question ({status})", None, None
    if isinstance(error, (asyncio.TimeoutError, openai.APITimeoutError)):
        return f"did not answer within {plan.timeout:g} seconds", None, True
    if isinstance(error, openai.APIConnectionError):
        reached = type(error.__cause__).__name__ not in ("ConnectError", "ConnectTimeout")
        return "cannot be reached, or the connection broke", None, reached
    if isinstance(error, (openai.APIError, ValueError, RecursionError)):
        return "wrote something that is no answer", None, True
    raise error


def seconds_of(retry_after: str | None) -> float | None:
    """A Retry-After header, seconds or a date, in seconds from now; None for anything else."""
    try:
        seconds = float(retry_after)
    except TypeError:
        return None
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if seconds < float("inf") else None


def open_client(plan: Plan):
    """The client for plan.base_url. Raises Refused without a key for a server that is known to want one."""
    import openai

    if plan.base_url == OPENAI and not os.environ.get("OPENAI_API_KEY"):
        raise Refused("OPENAI_API_KEY is not set: set it, or name another server with --base-url.")
    here = plan.host in ("127.0.0.1", "::1", "localhost")
    return openai.AsyncOpenAI(
        base_url=plan.base_url,
        api_key=os.environ.get("OPENAI_API_KEY") or "none",
        max_retries=0,
        timeout=plan.timeout,
        # The address is what was typed: no redirect leads elsewhere, no proxy stands before this machine.
        http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False, trust_env=not here),
    )


def generate(plan: Plan, rows: Sequence[Row], record: Record, batches: bool = False) -> Run:
    """Ask for every row that is not done; returns the run, whose `why` says what ended it before its end.

    `batches` goes by the Batch API. Raises Refused without a key, or where batches are out and it is not set.
    """
    if not batches and any(line["state"] != "ended" for line in record.batches.values()):
        raise Refused(f"{record.path} waits for batches that were handed in: go on with --batch-api.")
    return asyncio.run(_run(plan, rows, record, batches))


async def _run(plan: Plan, rows: Sequence[Row], record: Record, batches: bool) -> Run:
    from tqdm import tqdm

    run = Run(plan, rows, record)
    client = open_client(plan)
    main = asyncio.current_task()
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if run.stopped.is_set():
            main.cancel()
            return
        run.stop(Stop("Interrupted. The same command goes on where this one stopped.", 130))
        if not batches:
            print("\nWaiting for what is in flight; Ctrl-C again gives it up.", file=sys.stderr)

    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, interrupted)
    pause = 0.2 if sys.stderr.isatty() else 30.0
    done = sum(run.done(row) for row in rows)
    try:
        with tqdm(total=len(rows), initial=done, unit="row", mininterval=pause) as run.bar:
            async with client:
                if batches:
                    from annotate.batches import ask_all

                    await ask_all(run, client)
                else:
                    await run.ask_all(client)
    except Stop as why:
        run.stop(why)
    except asyncio.CancelledError:
        if run.why is None:
            raise
    finally:
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)
    return run
