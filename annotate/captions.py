"""What `generate` has recorded -> the file of captions, the queue for people, and the manifest, written last.

The same record gives the same bytes every time. `queue_up` puts what people have to look at into a store.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from annotate.connection import storage_error, write_file
from annotate.plan import Plan
from annotate.record import Record
from annotate.rows import NewCaption
from annotate.rules import LONGEST, machine
from annotate.store import Store
from annotate.thinking import PROMPT, Row, vhm_row
from tinyrs.datasets import read_vhm
from tinyrs.example import BOX_SCALE
from tinyrs.image import BadImage, open_picture


def sorted_out(
    plan: Plan, rows: Sequence[Row], record: Record, refused: Mapping[str, str]
) -> tuple[list[dict], list[dict], int]:
    """(captions, rows for people, how many rows are neither yet), in the order of the data set."""
    good, queued, missing = [], [], 0
    for row in rows:
        attempts = record.attempts.get(row.key, [])
        text = record.good(row.key)
        if text is not None:
            good.append(vhm_row(row, text))
        elif len(attempts) >= plan.attempts:
            queued.append(vhm_row(row, attempts[-1]["text"], _why(attempts[-1]["findings"])))
        elif row.key in refused:
            queued.append(vhm_row(row, "", refused[row.key]))
        else:
            missing += 1
    return good, queued, missing


def _why(findings: Sequence[tuple[str, str]]) -> str:
    return "\n".join(dict.fromkeys(f"{name}: {sentence}" for name, sentence in findings))[: LONGEST["note"]]


def write_all(plan: Plan, rows: Sequence[Row], record: Record, refused: Mapping[str, str] = {}) -> dict:
    """Write plan.out, plan.queue and, last, plan.manifest; returns the manifest. Raises StoreError.

    `refused` maps rows that the server will never take to why; people get them without a reasoning.
    """
    good, queued, missing = sorted_out(plan, rows, record, refused)
    files = {plan.out: _list(good), plan.queue: _list(queued)}
    lines = [line for attempts in record.attempts.values() for line in attempts]
    manifest: dict[str, Any] = {
        "kind": "generated",
        "file": plan.out.name,
        "count": len(good),
        "queued": len(queued),
        "missing": missing,
        "box_scale": BOX_SCALE,
        "dialect": "tinyrs",
        "system": "thinking",
        **record.head,
        "prompt": PROMPT,
        "data": {plan.data.name: _sha256(plan.data.read_bytes())},
        "tasks": dict(sorted(Counter(row["task"] for row in good).items())),
        "calls": len(lines),
        "lost_calls": record.lost,
        "found": dict(
            sorted(Counter(name for line in lines for name in {n for n, _ in line["findings"]}).items())
        ),
        "tokens": {"in": record.tokens_in, "out": record.tokens_out},
        "cost": plan.cost(record.tokens_in, record.tokens_out),
        "files": {path.name: _sha256(data) for path, data in files.items()},
    }
    try:
        plan.manifest.unlink(missing_ok=True)
    except OSError as problem:
        raise storage_error(problem, plan.manifest) from problem
    for path, data in files.items():
        write_file(path, data)
    write_file(plan.manifest, (json.dumps(manifest, ensure_ascii=False, indent=1) + "\n").encode())
    return manifest


def queue_up(plan: Plan, store: Store) -> int:
    """Put the rows of plan.queue into `store`, first in line and with the reason; how many were new."""
    rows = json.loads(plan.queue.read_bytes())
    if not rows:
        return 0
    examples = read_vhm(plan.queue, plan.images or plan.data.parent, BOX_SCALE, rows=rows)
    pictures: dict[Path, str] = {}
    captions = []
    for row, example in zip(rows, examples, strict=True):
        path = example.picture
        if path not in pictures:
            try:
                pictures[path] = store.add_picture(open_picture(path), path.read_bytes())
            except BadImage:
                continue  # nobody could look at it; the file says what happened
        captions.append(
            NewCaption(
                pictures[path],
                example.question,
                example.reasoning,
                example.answer,
                machine(plan.model),
                plan.data.name,
                why=row["why"],
            )
        )
    return store.add_captions(captions)[1]


def _list(rows: Sequence[dict]) -> bytes:
    if not rows:
        return b"[]\n"
    return b"[\n" + b",\n".join(json.dumps(row, ensure_ascii=False).encode() for row in rows) + b"\n]\n"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
