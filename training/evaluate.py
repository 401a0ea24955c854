"""How good is a model on a benchmark?

    python -m training.evaluate --model pocket-r1 --data cls_AID.json --kind cls --out runs/aid
    python -m training.evaluate --model pocket-r1 --suite paper --data-root DIR --out runs/paper
    python -m training.evaluate score ANSWERS.jsonl --kind cls --out runs/aid
    python -m training.evaluate report runs/paper runs/aid --out runs/report
    python -m training.evaluate export-task cls_AID.json --kind cls --for lmms-eval --out tasks/aid

The data is in the published evaluation layout (tinyrs/benchmarks.py, `read_evaluation`). The first form asks
the model, writes OUT/answers.jsonl as it goes, and OUT/scores.json at the end (training/scores.py says what
is in it); killed, it goes on where it stopped. The second does that for all twelve benchmarks of the paper,
each in OUT/<model>-<its content>/<benchmark>. The third scores answers of any program in the published
output layout: lines of {filename, size, query, answer, pred, type}. The fourth sets results side by side, and
beside the paper's; the last makes a task of another evaluation program of a benchmark. `accelerate launch --multi_gpu -m training.evaluate ...`, or torchrun, splits the work over
processes, and several --model http://... over servers of the same model.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tinyrs.benchmarks import KINDS, benchmark_example, closed_set, layout_scale, read_evaluation
from tinyrs.datasets import Scale, picture_size, scale_of
from tinyrs.example import Example
from tinyrs.models import UnknownModel, resolve
from tinyrs.strictjson import BadData, each_row, load_json, row_name
from tinyrs.whole import write_whole
from training import suite
from training.asking import (
    Part,
    Together,
    ask,
    claim,
    identity,
    kept,
    key,
    own_device,
    pictures_folder,
    spread,
    title,
)
from training.scores import answers, table

if TYPE_CHECKING:
    from tinyrs.engine import Engine
    from tinyrs.models import ModelSpec

SCORES = "scores.json"


def main(argv: Sequence[str] | None = None) -> int:
    """The command `python -m training.evaluate`; returns its exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    from tinyrs.engine import EngineFailure
    from training.harness import export_command
    from training.report import report_command

    commands = {"score": _score_command, "report": report_command, "export-task": export_command}
    try:
        return commands[argv[0]](argv[1:]) if argv[:1] and argv[0] in commands else _ask_command(argv)
    except (BadData, UnknownModel, EngineFailure) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename or 'A file'} cannot be used: {error.strerror}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        return 130


# ---- asking a model


@dataclass(frozen=True)
class Job:
    """One benchmark: its file, what it measures, where its pictures are, what its true boxes run to."""

    data: Path
    kind: str
    out: Path
    images: Path | None = None
    box_scale: Scale = None


def _ask_command(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model",
        required=True,
        action="append",
        help="a name of the model table, a folder, a hub id, a server; several servers share the work",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", type=Path, help="a JSON file of the evaluation layout, with --kind")
    what.add_argument("--suite", choices=suite.SUITES, help="all benchmarks of the paper, with --data-root")
    _common(parser, needed=False)
    parser.add_argument("--data-root", "--data_root", type=Path, help="the folder with the suite's files")
    parser.add_argument("--limit", type=_count, help="ask only this many rows, evenly spaced over each file")
    parser.add_argument("--image_dir", type=Path, help="where the pictures are, if not where the file says")
    parser.add_argument(
        "--batch", type=_count, default=8, help="questions asked at once (8), for each server"
    )
    parser.add_argument("--max_new_tokens", type=_count, help="the longest answer (default: the model's own)")
    parser.add_argument(
        "--choose",
        action="store_true",
        help="hold answers to the labels of questions that have them (classification): sooner. Not for models that think",
    )
    args = parser.parse_args(argv)
    if args.data and not args.kind:
        parser.error("--data needs --kind")
    if args.suite and not args.data_root:
        parser.error("--suite needs --data-root")
    if args.suite and (args.kind or args.image_dir or args.box_scale):
        parser.error("--kind, --image_dir and --box_scale go with --data: a suite knows its own")
    specs = [resolve(name) for name in args.model]
    if args.data:
        scale = scale_of(args.box_scale)
        run = _Asking(specs, args)
        return run(Job(args.data, args.kind, args.out, args.image_dir, scale))
    return _run_suite(specs, args)


def _run_suite(specs: Sequence[ModelSpec], args: argparse.Namespace) -> int:
    if not args.data_root.is_dir():
        raise BadData(f"There is no folder {args.data_root}.")
    here, missing = suite.find(args.data_root, args.suite)
    if missing:
        print(suite.missing_sentence(args.data_root, missing), file=sys.stderr)
    if not here:
        return 2
    run = _Asking(specs, args)
    name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in title(run.spec))
    folder = args.out / f"{name.strip('-.')[-60:]}-{key(run.identity)}"
    failed = 0
    for benchmark, path in here.items():
        try:
            run(Job(path, benchmark.kind, folder / benchmark.stem, None, benchmark.box_scale))
        except BadData as error:  # one broken file does not keep the others from being measured
            print(error, file=sys.stderr)
            failed += 1
    return 2 if failed else 0


class _Asking:
    """The model of the command line, ready to be asked about one benchmark after another."""

    def __init__(self, specs: Sequence[ModelSpec], args: argparse.Namespace) -> None:
        self.args, self.part = args, Part.own()
        self._specs, self._engine = specs, None
        self.spec = specs[0]
        if self.spec.kind != "server" and not Path(self.spec.source).is_dir():
            self.spec = self.engine.spec  # only opening a hub id tells its commit
            self._specs = [self.spec]
        if args.choose and self.spec.thinking:
            raise BadData(f"{self.spec.name} reasons before it answers, so --choose is not for it.")
        self.identity = identity(self._specs, args.max_new_tokens, args.choose)

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            from tinyrs.engine import open_engine

            if self.spec.kind != "server":
                own_device(self.part)
            engines = [open_engine(spec) for spec in self._specs]
            self._engine = engines[0] if len(engines) == 1 else Together(engines)
        return self._engine

    def __call__(self, job: Job) -> int:
        scale = job.box_scale
        if job.kind == "grounding" and scale is None:
            scale = layout_scale(job.data, load_json(job.data))
            told = "pixels of their size" if scale == "pixels" else f"0 to {scale}"
            print(f"True boxes are read as {told}; --box_scale says otherwise.", file=sys.stderr)
        examples = read_evaluation(job.data, job.kind, job.images, scale)
        rows = spread(len(examples), self.args.limit)
        for row in rows:
            try:
                picture_size(examples[row].picture)
            except ValueError as error:
                raise BadData(f"{row_name(job.data, row)}: {error}.") from None
        claim(job.out, self.identity, job.data, job.kind, scale, pictures_folder(examples))
        there = kept(job.out)
        missing = any(row not in there for row in rows)
        if missing:
            (job.out / SCORES).unlink(missing_ok=True)  # soon it would be the scores of fewer answers
        lines = ask(
            self.engine if missing else None,
            examples,
            job.out,
            rows=rows,
            batch=self.args.batch * len(self._specs),
            max_new_tokens=self.args.max_new_tokens,
            choose=self.args.choose,
            part=self.part,
        )
        if lines is None:
            done = f"Process {self.part.rank} of {self.part.world} is done"
            print(f"{job.data.stem}: {done}; others are not.", file=sys.stderr)
            return 0
        given = answers(lines, self.spec.dialect, self.spec.thinking, self.spec.box_scale)
        numbers = table([examples[row] for row in rows], given, job.kind, self.spec.dialect)
        about = {"benchmark": job.data.stem, "model": title(self.spec), "kind": job.kind}
        _write(job.out, about | {"thinking": self.spec.thinking, "rows": len(examples)} | numbers)
        return 0


# ---- scoring what another program wrote


def _score_command(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate score",
        description="Score answers of any program: lines of {filename, size, query, answer, pred, type}.",
    )
    parser.add_argument("answers", type=Path, metavar="ANSWERS.jsonl")
    _common(parser)
    parser.add_argument("--dialect", default="tinyrs", help="how the model writes boxes (tinyrs)")
    parser.add_argument(
        "--thinking",
        choices=("yes", "no"),
        help="whether it had to reason in tags (default: whatever each answer uses)",
    )
    parser.add_argument("--pred_box_scale", help="what the model's boxes run to (default: its dialect's)")
    parser.add_argument(
        "--model",
        default="",
        help="the name to write into scores.json (default: MODEL of BENCHMARK_MODEL_eval.jsonl, as the release writes it)",
    )
    args = parser.parse_args(argv)
    lines = load_json(args.answers)
    if isinstance(lines, list):
        lines = [_as_texts(line) if isinstance(line, dict) else line for line in lines]
    scale = scale_of(args.box_scale)
    if scale is None:
        scale = layout_scale(args.answers, lines)

    def read(line: dict) -> list[Example]:
        for name in ("filename", "query", "answer", "pred"):
            if not isinstance(line.get(name), str):
                raise ValueError(f"it has no {name}")
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
    thinking = None if args.thinking is None else args.thinking == "yes"
    try:
        given = answers(lines, args.dialect, thinking, own)
    except ValueError as error:
        raise BadData(str(error)) from None
    numbers = table(examples, given, args.kind, args.dialect)
    args.out.mkdir(parents=True, exist_ok=True)
    benchmark, model = suite.published_name(args.answers.stem)
    about = {"benchmark": benchmark, "model": args.model or model, "kind": args.kind}
    _write(args.out, about | {"thinking": thinking, "rows": len(examples)} | numbers)
    return 0


def _as_texts(line: dict) -> dict:
    """`line` with numbers written out, as other programs leave them, and null for what is empty: it counts as wrong."""
    told = {name: line[name] for name in ("answer", "pred") if name in line}
    return line | {
        name: "" if value is None else str(value)
        for name, value in told.items()
        if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
    }


def _common(parser: argparse.ArgumentParser, needed: bool = True) -> None:
    parser.add_argument("--kind", required=needed, choices=KINDS, help="what the rows ask for")
    parser.add_argument("--out", required=True, type=Path, help="folder for the results")
    parser.add_argument(
        "--box_scale", help='what the true boxes run to: 1000, 100, 1, or "pixels" of the row\'s size'
    )


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _write(out: Path, numbers: dict) -> None:
    text = json.dumps(numbers, indent=1, ensure_ascii=False) + "\n"
    write_whole(out / SCORES, text)
    low, high = numbers["strict_interval"]
    strict = (
        "not scored" if numbers["strict"] is None else f"{numbers['strict']:.3f} ({low:.3f} to {high:.3f})"
    )
    print(f"{numbers['benchmark']}: strict {strict} on {numbers['n']}, majority {_show(numbers['majority'])}")


def _show(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
