"""How good is a model on a benchmark?

    python -m training.evaluate --model pocket-r1 --data cls_AID.json --kind cls --out runs/aid
    python -m training.evaluate score ANSWERS.jsonl --kind cls --out runs/aid

The data is in the published evaluation layout (tinyrs/datasets.py, `read_evaluation`). The first form asks
the model, writes OUT/answers.jsonl as it goes, and OUT/scores.json at the end; killed, it goes on where it
stopped. The second scores answers in the published output layout: lines of {filename, size, query, answer,
pred, type}.

scores.json holds shares of 0..1:

    n, strict, strict_interval   every sample counts; tinyrs.metrics.score; Wilson 95 % interval
    reference, reference_n       what the released evaluation would give, its faults included, and on how many
    parsed, well_formed, truncated   answers with the kind of content asked for, in the right form, cut off
    majority, majority_answer    the best answer that ignores the picture
    chance                       a guess among the labels; for grounding, the true boxes of other rows
    mean_iou, areas              grounding: overlap, and strict by area (S <= 32^2 < M <= 96^2 < L)
    macro                        cls: the mean over the classes
    types                        strict by the type that the rows carry
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tinyrs.datasets import (
    KINDS,
    LHRS_TYPES,
    benchmark_example,
    closed_set,
    layout_scale,
    picture_size,
    read_evaluation,
    scale_of,
)
from tinyrs.example import Answer, Example
from tinyrs.metrics import Score, majority, score, summarise
from tinyrs.models import UnknownModel, resolve
from tinyrs.parse import parse
from tinyrs.strictjson import BadData, each_row, load_json, row_name

if TYPE_CHECKING:
    from tinyrs.engine import Engine

ANSWERS, SCORES, RUN = "answers.jsonl", "scores.json", "run.json"
SMALL, MEDIUM = 32**2, 96**2
"""Largest pixel areas of a small and of a medium box (COCO's, and DIOR-RSVG's in the paper)."""


# ---- asking


def ask(
    engine: Engine,
    examples: Sequence[Example],
    path: Path,
    *,
    rows: Sequence[int] | None = None,
    batch: int = 8,
    max_new_tokens: int | None = None,
    progress: bool = True,
) -> list[dict]:
    """Ask about every example (or those at `rows`), one line in `path` for each answer; returns the lines.

    Lines that `path` already holds are kept and not asked again. A line is whole on the disk before the next
    batch.
    """
    from tqdm import tqdm

    from tinyrs.engine import Options

    rows = range(len(examples)) if rows is None else rows
    done = _kept(path)
    left = [row for row in rows if row not in done]
    options = Options(max_new_tokens=max_new_tokens)
    with (
        open(path, "a", encoding="utf-8") as file,
        tqdm(
            total=len(rows),
            initial=len(rows) - len(left),
            disable=not progress,
            unit="answer",
            file=sys.stderr,
        ) as bar,
    ):
        for start in range(0, len(left), batch):
            some = left[start : start + batch]
            pictures = [_open(examples[row].picture) for row in some]
            pairs = [(picture, examples[row].question) for picture, row in zip(pictures, some, strict=True)]
            for row, picture, reply in zip(some, pictures, engine.batch(pairs, options), strict=True):
                done[row] = _line(row, examples[row], picture.size, reply)
                file.write(json.dumps(done[row], ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
            bar.update(len(some))
    return [done[row] for row in rows]


def _line(row: int, example: Example, size: tuple[int, int], reply) -> dict:
    width, height = example.size if all(example.size) else size
    line = {
        "row": row,
        "filename": example.picture.name,
        "size": [height, width],
        "query": example.question.text,
        "answer": example.answer,
        "pred": reply.text,
        "tokens": reply.tokens,
        "truncated": reply.truncated,
    }
    return line | ({"type": list(example.kinds)} if example.kinds else {})


def _kept(path: Path) -> dict[int, dict]:
    """The lines of an earlier run, by row; a line that was cut off by a kill is removed from the file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    try:
        lines = [json.loads(line) for line in whole.splitlines()]
        return {line["row"]: line for line in lines}
    except (ValueError, TypeError, KeyError):
        raise BadData(f"{path} holds lines that this program did not write: give another --out.") from None


def _open(path: Path):
    from tinyrs.image import BadImage, open_picture

    try:
        return open_picture(path).image
    except BadImage as error:
        raise BadData(f"{path} cannot be used: {error}") from None


def spread(count: int, limit: int | None) -> list[int]:
    """At most `limit` of `count` rows, evenly spaced: files are often sorted by class."""
    if not limit or limit >= count:
        return list(range(count))
    return [i * count // limit for i in range(limit)]


# ---- scoring


def answers(
    lines: Iterable[dict],
    dialect: str = "tinyrs",
    thinking: bool | None = None,
    box_scale: float | None = None,
) -> list[Answer]:
    """The texts of `lines` taken apart; the model's boxes run to `box_scale` (None: its dialect's)."""
    return [
        parse(
            line["pred"],
            dialect=dialect,
            thinking=thinking,
            truncated=bool(line.get("truncated")),
            box_scale=box_scale,
        )
        for line in lines
    ]


def table(examples: Sequence[Example], given: Sequence[Answer], kind: str, dialect: str = "tinyrs") -> dict:
    """The numbers of scores.json (the module says which) for `given` answers to `examples`."""
    judged = [score(example, answer, dialect) for example, answer in zip(examples, given, strict=True)]
    numbers = summarise(judged, given)
    overlap = numbers.pop("iou")
    constant, strict = majority(examples)
    numbers |= {"majority": strict, "majority_answer": constant, "chance": chance(examples)}
    if kind == "grounding":
        numbers |= {"mean_iou": overlap, "areas": _by(examples, judged, _area)}
    if kind == "cls":
        shares = [part["strict"] for part in _by(examples, judged, lambda example: [example.answer]).values()]
        numbers["macro"] = sum(shares) / len(shares) if shares else None
    if any(example.kinds for example in examples):
        numbers["types"] = _by(examples, judged, lambda example: _types(example, kind))
    return numbers


def chance(examples: Sequence[Example]) -> float | None:
    """What guessing gives: one of the labels, or of the file's answers; the true box of the next row."""
    values = []
    kinds = {}
    for example in examples:
        kinds.setdefault((example.question.task, example.kinds), set()).add(example.answer)
    for example, other in zip(examples, [*examples[1:], *examples[:1]], strict=True):
        if example.boxes:
            stranger = Answer(raw=other.answer, text=other.answer, boxes=other.boxes)
            values.append(score(example, stranger).value)
        else:
            labels = example.question.labels or kinds[example.question.task, example.kinds]
            values.append(1 / len(labels))
    return sum(values) / len(values) if values else None


def _by(examples: Sequence[Example], judged: Sequence[Score], groups) -> dict:
    found = {}
    for example, one in zip(examples, judged, strict=True):
        for group in groups(example):
            found.setdefault(group, []).append(one)
    tables = {group: summarise(members) for group, members in sorted(found.items())}
    return {
        group: {key: numbers[key] for key in ("n", "strict", "strict_interval")}
        for group, numbers in tables.items()
    }


def _types(example: Example, kind: str) -> list[str]:
    names = LHRS_TYPES if kind == "choice" else {}
    return [f"{each} {names[each]}" if each in names else each for each in example.kinds]


def _area(example: Example) -> list[str]:
    if len(example.boxes) != 1 or not all(example.size):
        return []
    x1, y1, x2, y2 = example.boxes[0].to_pixels(*example.size)
    area = (x2 - x1) * (y2 - y1)
    return ["S" if area <= SMALL else "M" if area <= MEDIUM else "L"]


# ---- command line


def main(argv: Sequence[str] | None = None) -> int:
    """The command `python -m training.evaluate`; returns its exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    from tinyrs.engine import EngineFailure

    try:
        return _score_command(argv[1:]) if argv[:1] == ["score"] else _ask_command(argv)
    except (BadData, UnknownModel, EngineFailure) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        return 130


def _ask_command(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model", required=True, help="a name of the model table, a folder, a hub id, a server"
    )
    parser.add_argument("--data", required=True, type=Path, help="a JSON file of the evaluation layout")
    _common(parser)
    parser.add_argument("--limit", type=_count, help="ask only this many rows, evenly spaced over the file")
    parser.add_argument("--image_dir", type=Path, help="where the pictures are, if not where the file says")
    parser.add_argument("--batch", type=_count, default=8, help="questions asked at once (8)")
    parser.add_argument("--max_new_tokens", type=_count, help="the longest answer (default: the model's own)")
    args = parser.parse_args(argv)
    scale = scale_of(args.box_scale)
    if args.kind == "grounding" and scale is None:
        scale = layout_scale(args.data, load_json(args.data))
        told = "pixels of their size" if scale == "pixels" else f"0 to {scale}"
        print(f"True boxes are read as {told}; --box_scale says otherwise.", file=sys.stderr)
    examples = read_evaluation(args.data, args.kind, args.image_dir, scale)
    rows = spread(len(examples), args.limit)
    _check_pictures(args.data, examples, rows)
    spec = resolve(args.model)
    from tinyrs.engine import open_engine

    engine = open_engine(spec)
    spec = engine.spec
    _claim(args.out, spec, args, scale)
    started = time.monotonic()
    before = len(_kept(args.out / ANSWERS))
    lines = ask(
        engine,
        examples,
        args.out / ANSWERS,
        rows=rows,
        batch=args.batch,
        max_new_tokens=args.max_new_tokens,
    )
    new = len(_kept(args.out / ANSWERS)) - before
    if new:
        print(f"{(time.monotonic() - started) / new:.3f} seconds an answer", file=sys.stderr)
    given = answers(lines, spec.dialect, spec.thinking, spec.box_scale)
    numbers = table([examples[row] for row in rows], given, args.kind, spec.dialect)
    _write(args.out, {"benchmark": args.data.stem, "model": args.model, "kind": args.kind} | numbers)
    return 0


def _score_command(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate score",
        description="Score answers of any program: lines of {filename, size, query, answer, pred, type}.",
    )
    parser.add_argument("answers", type=Path, metavar="ANSWERS.jsonl")
    _common(parser)
    parser.add_argument("--dialect", default="tinyrs", help="how the model writes boxes (tinyrs)")
    parser.add_argument("--pred_box_scale", help="what the model's boxes run to (default: its dialect's)")
    parser.add_argument("--model", default="", help="the name to write into scores.json")
    args = parser.parse_args(argv)
    lines = load_json(args.answers)
    scale = scale_of(args.box_scale)
    if scale is None:
        scale = layout_scale(args.answers, lines)

    def read(line: dict) -> list[Example]:
        for key in ("filename", "query", "answer", "pred"):
            if not isinstance(line.get(key), str):
                raise ValueError(f"it has no {key}")
        size = line.get("size") or [0, 0]
        if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int for side in size):
            raise ValueError("its size must be two whole numbers, [height, width]")
        # Our own lines name the true box on the house's scale, whatever it was in the file.
        truth = 1000 if "row" in line else scale
        picture = Path(line["filename"])
        return [
            benchmark_example(
                picture, line["query"], line["answer"], args.kind, truth, (size[1], size[0]), line.get("type")
            )
        ]

    examples = each_row(args.answers, lines, read)
    examples = closed_set(examples) if args.kind == "cls" else examples
    own = scale_of(args.pred_box_scale)
    if own == "pixels":
        raise BadData("--pred_box_scale must be a number.")
    try:
        given = answers(lines, args.dialect, None, own)
    except ValueError as error:
        raise BadData(str(error)) from None
    numbers = table(examples, given, args.kind, args.dialect)
    args.out.mkdir(parents=True, exist_ok=True)
    _write(args.out, {"benchmark": args.answers.stem, "model": args.model, "kind": args.kind} | numbers)
    return 0


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", required=True, choices=KINDS, help="what the rows ask for")
    parser.add_argument("--out", required=True, type=Path, help="folder for the results")
    parser.add_argument(
        "--box_scale", help='what the true boxes run to: 1000, 100, 1, or "pixels" of the row\'s size'
    )


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _check_pictures(path: Path, examples: Sequence[Example], rows: Sequence[int]) -> None:
    for row in rows:
        try:
            picture_size(examples[row].picture)
        except ValueError as error:
            raise BadData(f"{row_name(path, row)}: {error}.") from None


def _claim(out: Path, spec, args: argparse.Namespace, box_scale) -> None:
    """Make `out` the folder of this model on this data, or refuse because it is another's."""
    from training.checkpoint import weights_digest

    folder = Path(spec.source)
    mine = {
        "model": weights_digest(folder) if folder.is_dir() else [spec.source, spec.revision],
        "asked": [spec.dialect, spec.thinking, spec.system, spec.min_pixels, spec.max_pixels],
        "budget": args.max_new_tokens or spec.max_new_tokens,
        "data": hashlib.sha256(args.data.read_bytes()).hexdigest(),
        "kind": args.kind,
        "box_scale": box_scale,
    }
    path = out / RUN
    if path.is_file():
        if load_json(path) != mine:
            raise BadData(f"{out} holds answers of another model, or to other questions: give another --out.")
        return
    if (out / ANSWERS).exists():
        raise BadData(
            f"{out / ANSWERS} is there, and nothing says whose answers these are: give another --out."
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(mine) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadData(f"{out} cannot be written: {error.strerror}.") from None


def _write(out: Path, numbers: dict) -> None:
    text = json.dumps(numbers, indent=1, ensure_ascii=False) + "\n"
    part = out / f"{SCORES}.part"
    part.write_text(text, encoding="utf-8")
    part.replace(out / SCORES)
    low, high = numbers["strict_interval"]
    strict = (
        "not scored" if numbers["strict"] is None else f"{numbers['strict']:.3f} ({low:.3f} to {high:.3f})"
    )
    print(f"{numbers['benchmark']}: strict {strict} on {numbers['n']}, majority {_show(numbers['majority'])}")


def _show(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
