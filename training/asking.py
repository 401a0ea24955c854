"""A model asked about many rows: in batches, through kills, by several processes or servers.

A run has a folder:

    run.json                whose answers to which questions these are; written first
    answers.jsonl           an answer a line; in the order of the rows once all are there
    answers-1-of-4.jsonl    until then, what process 1 of 4 has got
    answers-spare.jsonl     answers to rows that a later, smaller --limit left out
    costs*.jsonl            what each batch took: {"answers", "tokens", "seconds", "peak_mib"}

Processes share nothing but the folder: `accelerate launch`, torchrun or whatever else sets RANK and WORLD_SIZE
gives each every n-th row, and whoever is last puts the answers together. None waits for another.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tinyrs.datasets import Scale
from tinyrs.example import Example
from tinyrs.strictjson import BadData, load_json
from tinyrs.whole import whole

if TYPE_CHECKING:
    from tinyrs.engine import Engine, Options, Reply
    from tinyrs.models import ModelSpec

ANSWERS, SPARE, RUN = "answers.jsonl", "answers-spare.jsonl", "run.json"


@dataclass(frozen=True)
class Part:
    """Which one of how many processes this is, from 0."""

    rank: int = 0
    world: int = 1

    @classmethod
    def own(cls) -> Part:
        """As RANK and WORLD_SIZE say, which `accelerate launch` and its like set."""
        try:
            part = cls(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))
        except ValueError:
            part = cls(-1)
        if not 0 <= part.rank < part.world:
            raise BadData("RANK and WORLD_SIZE must be whole numbers, RANK from 0 to below WORLD_SIZE.")
        return part

    def name(self, stem: str) -> str:
        """The file `stem` of this process."""
        return f"{stem}.jsonl" if self.world == 1 else f"{stem}-{self.rank}-of-{self.world}.jsonl"


# ---- asking


def ask(
    engine: Engine | None,
    examples: Sequence[Example],
    out: Path,
    *,
    rows: Sequence[int] | None = None,
    batch: int = 8,
    max_new_tokens: int | None = None,
    choose: bool = False,
    part: Part = Part(),
    progress: bool = True,
) -> list[dict] | None:
    """Ask about every example (or those at `rows`) and keep an answer a line in the folder `out`.

    Returns the lines in the order of the rows; None where other processes still have some to write. What the
    folder already holds is not asked again (where that is everything, no engine is needed). A line is whole on
    the disk before the next batch. BadData where another process is at the same work.
    """
    from tqdm import tqdm

    from tinyrs.engine import Options

    rows = range(len(examples)) if rows is None else rows
    mine = rows[part.rank :: part.world]
    folder = pictures_folder(examples)
    options = Options(max_new_tokens=max_new_tokens, choose=choose)
    with _own_file(out, part) as file:
        done = kept(out)
        left = [row for row in mine if row not in done]
        bar = tqdm(
            total=len(mine),
            initial=len(mine) - len(left),
            disable=not progress or part.rank > 0,
            unit="answer",
            file=sys.stderr,
        )
        with bar, open(out / part.name("costs"), "a", encoding="utf-8") as costs:
            for start in range(0, len(left), batch):
                some = left[start : start + batch]
                pictures = [_open(examples[row].picture) for row in some]
                pairs = [
                    (picture, examples[row].question) for picture, row in zip(pictures, some, strict=True)
                ]
                started = time.perf_counter()
                replies = engine.batch(pairs, options)
                cost = {
                    "answers": len(some),
                    "tokens": sum(reply.tokens for reply in replies),
                    "seconds": round(time.perf_counter() - started, 4),
                    "peak_mib": None if engine.spec.kind == "server" else _peak_mib(),
                }
                for row, picture, reply in zip(some, pictures, replies, strict=True):
                    line = _line(row, examples[row], folder, picture.size, reply)
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
                costs.write(json.dumps(cost) + "\n")
                bar.update(len(some))
        return _gather(out, rows)


def _line(row: int, example: Example, folder: Path, size: tuple[int, int], reply: Reply) -> dict:
    width, height = example.size if all(example.size) else size
    line = {
        "row": row,
        "filename": Path(os.path.abspath(example.picture)).relative_to(folder).as_posix(),
        "size": [height, width],
        "query": example.question.text,
        "answer": example.answer,
        "pred": reply.text,
        "tokens": reply.tokens,
        "truncated": reply.truncated,
    }
    return line | ({"type": list(example.kinds)} if example.kinds else {})


def pictures_folder(examples: Sequence[Example]) -> Path:
    """The folder that holds the pictures of all `examples`; "filename" in a line is a path below it."""
    return Path(os.path.commonpath({os.path.dirname(os.path.abspath(each.picture)) for each in examples}))


def _open(path: Path):
    from tinyrs.image import BadImage, open_picture

    try:
        return open_picture(path).image
    except BadImage as error:
        raise BadData(f"{path} cannot be used: {error}") from None


def _peak_mib() -> int | None:
    """The most memory that this process has held: the GPU's where there is one."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() >> 20
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> (20 if sys.platform == "darwin" else 10)


def spread(count: int, limit: int | None) -> list[int]:
    """At most `limit` of `count` rows, evenly spaced: files are often sorted by class."""
    if not limit or limit >= count:
        return list(range(count))
    return [i * count // limit for i in range(limit)]


def own_device(part: Part) -> None:
    """Give each process of a machine a GPU of its own, where there are several."""
    if part.world > 1:
        import torch

        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", part.rank)) % torch.cuda.device_count())


class Together:
    """Several servers of one model as one `Engine`: each answers its share of a batch."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.engines = engines
        self.spec = engines[0].spec
        same = {replace(engine.spec, name="", source="", about="") for engine in engines}
        if any(engine.spec.kind != "server" for engine in engines) or len(same) > 1:
            raise BadData("Only servers of one and the same model can share the work.")
        if len({_served(engine.spec) for engine in engines}) > 1:
            raise BadData("The servers name different models: give each of them a run of its own.")

    def batch(self, pairs: Sequence, options: Options) -> list[Reply]:
        count = len(self.engines)
        with ThreadPoolExecutor(count) as pool:
            parts = pool.map(
                lambda i: self.engines[i].batch(pairs[i::count], options) if pairs[i::count] else [],
                range(count),
            )
            replies: list = [None] * len(pairs)
            for i, part in enumerate(parts):
                replies[i::count] = part
        return replies


# ---- the folder


def kept(out: Path) -> dict[int, dict]:
    """Every answer that the folder holds, by row. The beginning of a line that was cut off does not count."""
    found: dict[int, dict] = {}
    # answers.jsonl last: whoever puts the parts together writes it before the parts go.
    for path in sorted(out.glob("answers*.jsonl"), key=lambda path: path.name == ANSWERS):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue
        try:
            for line in data[: data.rfind(b"\n") + 1].splitlines():
                line = json.loads(line)
                line["pred"].strip()
                found[line["row"]] = line
        except (ValueError, TypeError, KeyError, AttributeError):
            raise BadData(
                f"{path} holds lines that this program did not write: give another --out."
            ) from None
    return found


def _gather(out: Path, rows: Sequence[int]) -> list[dict] | None:
    """The lines of `rows` in order, and only these in answers.jsonl; None while some are missing."""
    done = kept(out)
    if any(row not in done for row in rows):
        return None
    wanted = set(rows)
    spare = [done[row] for row in sorted(done) if row not in wanted]
    if spare or (out / SPARE).exists():
        _put(out / SPARE, spare)
    lines = [done[row] for row in rows]
    _put(out / ANSWERS, lines)
    for path in out.glob("answers-*-of-*.jsonl"):
        path.unlink(missing_ok=True)
    return lines


def _put(path: Path, lines: Sequence[dict]) -> None:
    with whole(path) as part, open(part, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


@contextmanager
def _own_file(out: Path, part: Part) -> Iterator[TextIO]:
    """This process's file of answers, to append to; its alone, and without the end that a kill cut off."""
    with open(out / RUN, "a") as run, open(out / part.name("answers"), "a", encoding="utf-8") as file:
        # run.json stays the same file for ever, so it is the lock of the folder.
        if not (lock(run, alone=part.world == 1) and lock(file)):
            raise BadData(f"Another process is writing into {out}: wait for it, or give another --out.")
        data = Path(file.name).read_bytes()
        file.truncate(data.rfind(b"\n") + 1)
        yield file


def lock(file: TextIO, alone: bool = True) -> bool:
    """Hold `file` until it is closed, alone or with others; False where somebody else has it."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    with suppress(OSError):
        fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        return True
    return False


# ---- whose answers


def _served(spec: ModelSpec) -> str:
    return spec.source.partition("#")[2].partition("?")[0]


def title(spec: ModelSpec) -> str:
    """What results call a model: the name that was typed; of a server, its model alone."""
    return _served(spec) if spec.kind == "server" else spec.name


IDENTITY = ("model", "dialect", "thinking", "box_scale", "system", "pixels", "max_new_tokens", "choose")
"""What `identity` tells, and run.json after it."""


def identity(specs: Sequence[ModelSpec], max_new_tokens: int | None, choose: bool = False) -> dict:
    """What makes two models the same one: weights by content, and how they are asked.

    A server does not show its weights: there it is the address and the name of the model.
    """
    from training.checkpoint import weights_digest

    spec, folder = specs[0], Path(specs[0].source)
    served = sorted(each.source for each in specs)
    return {
        "model": weights_digest(folder)
        if folder.is_dir()
        else served
        if spec.kind == "server"
        else [spec.source, spec.revision],
        "dialect": spec.dialect,
        "thinking": spec.thinking,
        "box_scale": spec.box_scale,
        "system": spec.system,
        "pixels": [spec.min_pixels, spec.max_pixels],
        "max_new_tokens": max_new_tokens or spec.max_new_tokens,
        "choose": choose or None,  # None is what folders from before there was a choice say
    }


def key(identity: dict) -> str:
    """Ten characters that tell one identity from another."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:10]


def claim(out: Path, identity: dict, data: Path, kind: str, box_scale: Scale, images: Path) -> None:
    """Make `out` the folder of this model on this data, or refuse because it is another's."""
    mine = {
        **identity,
        "data": hashlib.sha256(data.read_bytes()).hexdigest(),
        "kind": kind,
        "truth_scale": box_scale,
    }
    path = out / RUN
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            if any(out.glob("answers*.jsonl")):
                raise BadData(
                    f"{out / ANSWERS} is there, and nothing says whose answers these are: give another --out."
                )
            with whole(path, first=True) as part:
                part.write_text(json.dumps({**mine, "images": str(images)}, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadData(f"{out} cannot be written: {error.strerror}.") from None
    told = load_json(path)
    if not isinstance(told, dict) or {name: told.get(name) for name in mine} != mine:
        raise BadData(f"{out} holds answers of another model, or to other questions: give another --out.")
