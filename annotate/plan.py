"""What a run of `python -m annotate generate` is to do, over which rows, and what that may cost."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from annotate.record import Record
from annotate.rules import Refused
from annotate.thinking import Row, key_of, tokens_of
from tinyrs.datasets import picture_size, read_vhm
from tinyrs.example import BOX_SCALE
from tinyrs.strictjson import BadData

OPENAI = "https://api.openai.com/v1"


@dataclass(frozen=True)
class Plan:
    """What a run is to do.

    data, images, box_scale  the rows, in VHM's layout; the folder of their pictures (default: that of `data`)
    out                      the file of captions, think.json; everything else is named after it
    base_url                 of any OpenAI-compatible server
    concurrency              calls that are out at once
    attempts                 texts that are asked for before a row goes to people
    retries, wait            further tries of one call, `wait` seconds before the first, twice that before the next
    timeout                  seconds for one call
    rpm                      calls a minute, at most; None: as fast as the server answers
    price_in, price_out      for a million tokens, in any currency; None: unknown
    budget                   what the whole job may cost, earlier runs included
    limit                    only the first rows
    poll                     seconds between two looks at a batch
    """

    data: Path
    out: Path
    model: str
    base_url: str = OPENAI
    images: Path | None = None
    box_scale: float | str = BOX_SCALE
    concurrency: int = 8
    attempts: int = 3
    retries: int = 5
    wait: float = 1.0
    timeout: float = 120.0
    rpm: float | None = None
    price_in: float | None = None
    price_out: float | None = None
    budget: float | None = None
    max_tokens: int = 1024
    temperature: float = 0.7
    max_pixels: int = 1024 * 1024
    limit: int | None = None
    poll: float = 60.0

    def __post_init__(self) -> None:
        if self.out.suffix != ".json":
            raise Refused(f"--out names the file of captions, which ends in .json: {self.out} does not.")
        ours = (self.out, self.record, self.queue, self.manifest)
        if self.data.resolve() in [path.resolve() for path in ours]:
            raise Refused("--out must have another name than --data.")
        if self.out.exists() and not self.record.exists():
            raise Refused(f"{self.out} is there already, without a record beside it: choose another --out.")
        if (self.out.parent / "manifest.json").exists():
            raise Refused(f"{self.out.parent} is a finished export: choose another folder for --out.")
        if not self.base_url.startswith(("http://", "https://")) or not self.host:
            raise Refused("--base-url is an address that begins with http:// or https://.")
        if (self.price_in is None) != (self.price_out is None):
            raise Refused("Give both --price-in and --price-out, or neither.")
        if self.budget is not None and self.price_in is None:
            raise Refused("A --budget needs --price-in and --price-out: without them nobody knows the cost.")

    @property
    def host(self) -> str:
        """Who is asked, without anything secret."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def record(self) -> Path:
        return self.out.with_suffix(".jsonl")

    @property
    def queue(self) -> Path:
        return self.out.with_suffix(".queue.json")

    @property
    def manifest(self) -> Path:
        return self.out.with_suffix(".manifest.json")

    def cost(self, tokens_in: float, tokens_out: float) -> float | None:
        """What so many tokens cost, None where no price is known."""
        if self.price_in is None:
            return None
        return (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6

    def worst(self, row: Row, before: Sequence[dict] = ()) -> tuple[int, int]:
        """Tokens that one call for `row` after the attempts `before` may cost, in and out."""
        told = min(len(before[-1]["text"]), 8000) // 4 + 200 if before else 0
        return tokens_of(row, self.max_pixels)[0] + told, self.max_tokens


def read_rows(plan: Plan) -> list[Row]:
    """Every different question of plan.data; copies of one (oversampling) are one. Raises Refused."""
    try:
        examples = read_vhm(plan.data, plan.images, plan.box_scale)
    except BadData as problem:
        raise Refused(str(problem)) from None
    root = Path(os.path.realpath(plan.images or plan.data.parent))
    pictures: dict[Path, tuple[str, tuple[int, int]]] = {}
    rows: dict[str, Row] = {}
    for example in examples:
        path = example.picture
        if path not in pictures:
            try:
                pictures[path] = hashlib.sha256(path.read_bytes()).hexdigest(), picture_size(path)
            except ValueError as problem:
                raise Refused(f"{plan.data}: {problem}.") from None
            except OSError:
                raise Refused(f"{plan.data}: the picture {path.name} cannot be read.") from None
        sha256, size = pictures[path]
        key = key_of(sha256, example)
        rows.setdefault(key, Row(key, example, path.relative_to(root).as_posix(), sha256, size))
    return list(rows.values())[: plan.limit]


def estimate(plan: Plan, rows: Sequence[Row]) -> tuple[int, int]:
    """About how many tokens asking once for each of `rows` takes, in and out."""
    each = [tokens_of(row, plan.max_pixels) for row in rows]
    return sum(one for one, _ in each), sum(other for _, other in each)


def told(plan: Plan, rows: Sequence[Row], record: Record, batches: bool = False) -> str:
    """What is going to happen, and what it may cost, in a few lines."""
    todo = [row for row in rows if not record.done(row.key, plan.attempts)]
    spent = plan.cost(record.tokens_in, record.tokens_out)
    tasks = Counter(row.example.question.task.value for row in rows)
    tokens_in, tokens_out = estimate(plan, todo)
    cost = plan.cost(tokens_in, tokens_out)
    counts = ", ".join(f"{n} {task}" for task, n in sorted(tasks.items()))
    lines = [
        f"{plan.data}: {len(rows)} different rows ({counts}).",
        f"{len(rows) - len(todo)} are done, {len(todo)} are to be asked of {plan.model} at {plan.host}"
        + (" as batches." if batches else f", {plan.concurrency} at a time."),
        f"About {tokens_in:,} tokens in and {tokens_out:,} out, if none has to be asked again.",
        "The cost is unknown: give --price-in and --price-out, per million tokens."
        if cost is None
        else f"About {cost:.2f} at {plan.price_in:g} in and {plan.price_out:g} out per million tokens"
        + (f"; {spent:.2f} is spent already" if spent else "")
        + ("." if plan.budget is None else f"; the budget is {plan.budget:g}."),
    ]
    return "\n".join(lines)
