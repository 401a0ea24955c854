"""The same captions by the Batch API: files of requests are handed in, and the answers collected hours later.

Each batch is noted in the record before it is handed in and again with its id, so that a run that was killed goes
on waiting for what it has paid for. The file with its requests lies beside the captions until it has been collected.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from annotate.connection import write_file
from annotate.generate import Run, Stop, trouble
from annotate.thinking import Row, request, wrote
from tinyrs.image import BadImage

MOST_REQUESTS, MOST_BYTES = 50_000, 150 * 2**20
"""Of one batch. OpenAI's own limits are 50,000 and 200 MB."""

_ENDED = ("completed", "failed", "expired", "cancelled")


async def ask_all(run: Run, client) -> None:
    """Collect the batches that are out, hand in what is still to be asked, until nothing is. Raises Stop."""
    await _found_again(run, client)
    while True:
        await _collect(run, client)
        todo = _affordable(run, run.todo())
        if not todo or run.stopped.is_set():
            return
        for part in _parts(run, todo):
            await _hand_in(run, client, part)
            if run.stopped.is_set():
                break


def out(run: Run) -> list[dict]:
    """The record's lines of the batches that are not collected yet."""
    return [line for line in run.record.batches.values() if line["state"] != "ended"]


def _affordable(run: Run, rows: Sequence[Row]) -> list[Row]:
    """As many of `rows` as the budget allows at worst, as far as is known how dear this model's pictures are."""
    if run.plan.budget is None:
        return list(rows)
    chosen, left = [], run.plan.budget - run.spent
    for row in rows:
        left -= run.plan.cost(*run.worst(row))
        if left < 0:
            break
        chosen.append(row)
    if rows and not chosen:
        run.stop(run.over_budget())
    return chosen


def _parts(run: Run, rows: Sequence[Row]) -> Iterator[tuple[str, Path]]:
    """Write `rows` into files of requests, none too large; yields the token and the file of each."""
    lines: list[bytes] = []
    size = 0
    for row in rows:
        line = _line(run, row)
        if line is None:
            continue
        if lines and (len(lines) >= MOST_REQUESTS or size + len(line) > MOST_BYTES):
            yield _written(run, lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield _written(run, lines)


def _line(run: Run, row: Row) -> bytes | None:
    plan, before = run.plan, run.record.attempts.get(row.key, ())
    settings = {name: getattr(plan, name) for name in ("model", "max_tokens", "temperature", "max_pixels")}
    try:
        body = request(row, before, **settings)
    except BadImage as problem:
        run.miss(row, f"{row.image}: {problem}")
        return None
    # The number of the attempt: an answer that was collected before a kill is not taken twice.
    line = {"custom_id": f"{row.key}-{len(before)}", "method": "POST", "url": "/v1/chat/completions"}
    return json.dumps({**line, "body": body}).encode() + b"\n"


def _written(run: Run, lines: Sequence[bytes]) -> tuple[str, Path]:
    token = secrets.token_hex(8)
    path = run.plan.out.with_suffix(f".batch-{token}.jsonl")
    write_file(path, b"".join(lines))
    return token, path


async def _hand_in(run: Run, client, part: tuple[str, Path]) -> None:
    token, path = part
    run.record.batch(token, "made", path.name)
    # Not by the path: the server would learn where it lies.
    file = await _try(run, lambda: client.files.create(file=(path.name, path.read_bytes()), purpose="batch"))
    batch = await _try(
        run,
        lambda: client.batches.create(
            input_file_id=file.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={"tinyrs": token},
        ),
    )
    run.record.batch(token, "sent", path.name, _id(run, batch))


async def _found_again(run: Run, client) -> None:
    """Batches that were being handed in when the run was killed: is there one, or is it to be made anew?"""
    made = {line["batch"]: line for line in out(run) if line["state"] == "made"}
    if not made:
        return
    page = await _try(run, lambda: client.batches.list(limit=100))
    for batch in page.data or ():
        token = (getattr(batch, "metadata", None) or {}).get("tinyrs")
        if token in made:
            run.record.batch(token, "sent", made.pop(token)["file"], _id(run, batch))
    for token, line in made.items():
        _end(run, token, line)


def _id(run: Run, batch: Any) -> str:
    found = getattr(batch, "id", None)
    if not isinstance(found, str) or not found:
        raise Stop(f"The server at {run.plan.host} has no Batch API: leave out --batch-api.", 2)
    return found


def _end(run: Run, token: str, line: dict) -> None:
    run.record.batch(token, "ended", line["file"], line["id"])
    run.plan.out.with_name(Path(line["file"]).name).unlink(missing_ok=True)


async def _collect(run: Run, client) -> None:
    """Wait for every batch that is out and take its answers. Returns early when the run is stopped."""
    while waiting := out(run):
        for line in waiting:
            if run.stopped.is_set():
                return
            batch = await _try(run, lambda: client.batches.retrieve(line["id"]))
            if batch.status in _ENDED:
                await _take(run, client, line, batch)
        if out(run):
            await run.rest(run.plan.poll)
        if run.stopped.is_set():
            return


async def _take(run: Run, client, line: dict, batch: Any) -> None:
    """The answers of a batch that has ended, also of one that was cut short."""
    taken = 0
    for name in (batch.output_file_id, batch.error_file_id):
        if name:
            content = await _try(run, lambda: client.files.content(name))
            taken += sum(_answer(run, text) for text in content.text.split("\n") if text.strip())
    _end(run, line["batch"], line)
    if not taken:
        raise Stop(
            f"A batch at {run.plan.host} ended as {batch.status} and brought no answer. The same command hands it in "
            "again."
        )


def _answer(run: Run, text: str) -> bool:
    """Take one line of a batch's results; False for what is none. A row without one is asked in the next batch."""
    try:
        result = json.loads(text)
        key, _, attempt = result["custom_id"].rpartition("-")
        row = run.by_key.get(key)
        response = result.get("response") or {}
        status, body = response.get("status_code"), response.get("body")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False
    if row is None:
        return False
    if attempt != str(len(run.record.attempts.get(key, ()))):
        return True  # taken before
    if status in (400, 413, 422):
        run.miss(row, f"The server at {run.plan.host} refused the question ({status}).", refused=True)
        return True
    said = wrote(body, row, run.plan.max_pixels) if status == 200 else None
    if said is None:
        return False
    run.take(row, said)
    return True


async def _try(run: Run, call) -> Any:
    """The result of `call()`, tried as often as a question is. Raises Stop where there is none."""
    plan, why = run.plan, ""
    for tried in range(plan.retries + 1):
        await run.turn()
        try:
            return await asyncio.wait_for(call(), max(plan.timeout, 600.0))
        except Exception as error:
            if getattr(error, "status_code", None) == 404:
                raise Stop(f"The server at {plan.host} has no Batch API, or has lost the batch.", 2) from None
            why, pause, charged = trouble(error, plan)
            if charged is None:
                break
        if tried < plan.retries:
            await run.rest(max(pause or 0.0, min(60.0, plan.wait * 2**tried)))
            if run.stopped.is_set():
                break
    raise Stop(f"The server at {plan.host} {why}. The same command goes on from there.")
