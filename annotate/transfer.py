"""The commands that move rows: captions come in, have their reasoning written, are checked and go out."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from annotate.terminal import Command, amount, cost, count, plain, whole


def declare(command: Command) -> None:
    """Declare them all."""
    for each in (_add_import, _add_import_errors, _add_generate, _add_check, _add_export):
        each(command)


def _add_import(command: Command) -> None:
    add = command("import", _import, "add the rows of a file, folder or data set as captions to be reviewed")
    add.add_argument(
        "file",
        metavar="FILE",
        help="JSON in VHM's layout, an export of Label Studio (JSON, JSON-MIN) or Argilla, a folder that Argilla "
        "or datasets saved, or hf://datasets/OWNER/NAME[@REVISION]",
    )
    add.add_argument(
        "--images", type=Path, metavar="DIR", help="where the pictures lie (default: beside FILE)"
    )
    add.add_argument(
        "--columns",
        default="",
        metavar="WHAT=NAME,...",
        help="what picture, question, reasoning, answer, task and labels are called in FILE (default: image, "
        "question, reasoning, answer, task, labels)",
    )
    add.add_argument("--question", default="", metavar="TEXT", help="the question, where FILE holds none")
    add.add_argument("--split", metavar="NAME", help="which part of a data set")
    add.add_argument(
        "--box-scale", default="1000", metavar="N", help='what boxes run to in FILE: 1000, 100, 1 or "pixels"'
    )


def _import(args: argparse.Namespace) -> int:
    from annotate.foreign import Names
    from annotate.imports import import_captions
    from annotate.store import Store

    scale, names = _scale(args.box_scale), Names.typed(args.columns, args.question)
    with Store(args.db) as store:
        done = import_captions(
            store,
            args.file,
            images=args.images,
            box_scale=scale,
            names=names,
            split=args.split,
            quiet=False,
        )
    print(f"{args.file}: {done.rows} rows, {done.pictures} pictures, {done.added} new captions.")
    if done.unanswered:
        print(f"{done.unanswered} rows hold no answer yet and were left out.")
    return 0


def _add_import_errors(command: Command) -> None:
    add = command(
        "import-errors", _import_errors, "add what a model got wrong in an evaluation, to be corrected"
    )
    add.add_argument("folder", type=Path, metavar="DIR", help="the --out of python -m training.evaluate, of a suite too")
    add.add_argument(
        "--images", type=Path, metavar="DIR", help="where the pictures lie (default: where they were)"
    )


def _import_errors(args: argparse.Namespace) -> int:
    from annotate.errors import import_errors
    from annotate.store import Store

    inside = sorted(path.parent for path in args.folder.rglob("scores.json"))  # a suite has a folder for each benchmark
    with Store(args.db) as store:
        for folder in inside or [args.folder]:
            done = import_errors(store, folder, images=args.images)
            print(f"{folder}: {done.wrong} of {done.answers} answers are wrong, {done.added} new captions.")
            if done.left_out:
                print(f"{done.left_out} of them hold nothing that could be corrected and were left out.")
    return 0


def _add_generate(command: Command) -> None:
    add = command("generate", _generate, "let a model behind an OpenAI-compatible server write the reasoning")
    what = add.add_argument_group("rows and results")
    what.add_argument("--data", type=Path, required=True, metavar="FILE", help="rows in VHM's layout")
    what.add_argument(
        "--images", type=Path, metavar="DIR", help="where the pictures lie (default: beside FILE)"
    )
    what.add_argument(
        "--box-scale", default="1000", metavar="N", help='what boxes run to in FILE: 1000, 100, 1 or "pixels"'
    )
    what.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="THINK.json",
        help="the captions; record (.jsonl), queue (.queue.json) and manifest (.manifest.json) lie beside them. "
        "With --db what failed the checks goes straight into that queue, too",
    )
    what.add_argument("--limit", type=whole, metavar="N", help="only the first N different rows")
    what.add_argument(
        "--attempts", type=whole, default=3, help="texts to ask for before people get a row (3)"
    )
    what.add_argument("--dry-run", action="store_true", help="say what would be asked and cost; ask nothing")
    who = add.add_argument_group("the server (its key is read from OPENAI_API_KEY)")
    who.add_argument("--model", required=True, help="as the server calls it, for example gpt-4.1-mini")
    who.add_argument("--base-url", metavar="URL", help="any OpenAI-compatible server (default: OpenAI's own)")
    who.add_argument(
        "--concurrency", type=whole, default=8, metavar="N", help="calls that are out at once (8)"
    )
    who.add_argument("--rpm", type=amount, metavar="N", help="at most N calls a minute")
    who.add_argument("--timeout", type=amount, default=120.0, metavar="S", help="seconds for one call (120)")
    who.add_argument(
        "--retries", type=count, default=5, metavar="N", help="tries of one call after the first (5)"
    )
    who.add_argument(
        "--wait",
        type=amount,
        default=1.0,
        metavar="S",
        help="seconds before the first of them, twice that before the next (1)",
    )
    who.add_argument("--temperature", type=cost, default=0.7, metavar="T", help="of the model (0.7)")
    who.add_argument("--max-tokens", type=whole, default=1024, metavar="N", help="longest text (1024)")
    who.add_argument(
        "--max-pixels",
        type=whole,
        default=1024 * 1024,
        metavar="N",
        help="larger pictures are sent scaled down to this many pixels (1048576)",
    )
    who.add_argument(
        "--batch-api", action="store_true", help="hand in batches and collect them: slower, half the price"
    )
    who.add_argument(
        "--poll", type=amount, default=60.0, metavar="S", help="seconds between two looks at a batch (60)"
    )
    money = add.add_argument_group("money, in any currency")
    money.add_argument("--price-in", type=cost, metavar="P", help="a million tokens that the model reads")
    money.add_argument("--price-out", type=cost, metavar="P", help="a million tokens that it writes")
    money.add_argument(
        "--budget", type=cost, metavar="P", help="what the whole job may cost, earlier runs included"
    )


def _generate(args: argparse.Namespace) -> int:
    from annotate.captions import queue_up, write_all
    from annotate.plan import OPENAI, Plan, read_rows, told
    from annotate.record import Record

    names = (
        "data out model images concurrency attempts retries wait timeout rpm price_in price_out budget "
        "max_tokens temperature max_pixels limit poll"
    )
    plan = Plan(
        **{name: getattr(args, name) for name in names.split()},
        base_url=args.base_url or OPENAI,
        box_scale=_scale(args.box_scale),
    )
    rows = read_rows(plan)
    head = {"model": plan.model, "host": plan.host}
    with Record(plan.record, head, write=not args.dry_run) as record:
        print(told(plan, rows, record, args.batch_api), flush=True)
        if args.dry_run:
            return 0
        from annotate.generate import generate

        run = generate(plan, rows, record, args.batch_api)
        if record.attempts or run.refused:
            manifest = write_all(plan, rows, record, run.refused)
            print(
                f"{plan.out}: {manifest['count']} captions; {manifest['queued']} for people in {plan.queue.name}; "
                f"{manifest['missing']} not there yet."
            )
    if args.db_given and plan.queue.exists():
        from annotate.store import Store

        with Store(args.db) as store:
            print(f"{args.db}: {queue_up(plan, store)} new captions in the queue.")
    if run.unanswered:
        last = plain([*run.unanswered.values()][-1])
        print(
            f"{len(run.unanswered)} rows got no answer; the same command asks them again. {last}",
            file=sys.stderr,
        )
    if run.why is not None:
        print(plain(str(run.why)), file=sys.stderr)
        return run.why.code
    return int(bool(run.unanswered))


def _add_check(command: Command) -> None:
    add = command("check", _check, "print what looks wrong in a file of captions, one finding a line")
    add.add_argument("file", type=Path, metavar="FILE")
    add.add_argument("--json", action="store_true", help="each finding as a JSON object")
    add.add_argument(
        "--box-scale", default="1000", metavar="N", help="what boxes run to in FILE: 1000, 100, 1"
    )


def _check(args: argparse.Namespace) -> int:
    from annotate.check import check_file
    from annotate.rules import Refused

    scale = _scale(args.box_scale)
    if scale == "pixels":
        raise Refused("The boxes of a file that is checked run to a number.")
    code = 0
    for found in check_file(args.file, scale):
        code = 1
        if args.json:
            print(json.dumps({"row": found.row, "check": found.check, "sentence": found.sentence}))
        else:
            print(plain(f"row {found.row}: {found.check}: {found.sentence}"))
    return code


def _add_export(command: Command) -> None:
    add = command("export", _export, "write accepted captions as training rows, with a manifest")
    add.add_argument(
        "--kind",
        default="cot_sft",
        help="cot_sft (with reasoning, the default), sft (without), dpo (accepted beside corrected), grpo (each "
        "question once), labelstudio (tasks and their configuration) or coco (boxes in pixels)",
    )
    add.add_argument(
        "--refused-prompts",
        action="store_true",
        help="grpo: also questions whose caption was rejected, with the answer that the data set gives",
    )
    add.add_argument(
        "--validation",
        type=cost,
        default=0.0,
        metavar="SHARE",
        help="put the rows of this share of the pictures into a file of their own",
    )
    add.add_argument(
        "--author-share",
        type=cost,
        default=0.2,
        metavar="SHARE",
        help="how much of an export of 20 rows or more one person may have written (0.2)",
    )
    add.add_argument(
        "--benchmark",
        action="append",
        default=[],
        metavar="FILE",
        help="evaluation file or folder whose pictures must not be in it, not even as near copies; as often as needed",
    )
    add.add_argument(
        "--measured-on",
        action="store_true",
        help="also captions on pictures that import-errors brought in, which a model was measured on",
    )
    add.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    add.add_argument("--force", action="store_true", help="replace another export that lies there")


def _export(args: argparse.Namespace) -> int:
    from annotate.export import export
    from annotate.store import Store

    with Store(args.db, create=False) as store:
        manifest = export(
            store,
            args.out,
            args.kind,
            force=args.force,
            refused_prompts=args.refused_prompts,
            validation=args.validation,
            share=args.author_share,
            measured_on=args.measured_on,
            benchmarks=args.benchmark,
        )
    tasks = ", ".join(f"{n} {task}" for task, n in manifest["tasks"].items())
    print(f"{args.out}: {len(manifest['rows'])} rows ({tasks}) by {len(manifest['authors'])} authors.")
    if "validation" in manifest:
        print(f"{manifest['validation']['count']} of them are for validation, in {manifest['validation']['file']}.")
    if manifest["self_reviewed"]:
        print(f"{manifest['self_reviewed']} of them were accepted by nobody but their own author.")
    for why, many in manifest["left_out"].items():
        if many:
            print(f"{many} accepted captions were left out: {why}.")
    return 0


def _scale(text: str) -> float | str:
    from annotate.rules import Refused
    from tinyrs.datasets import scale_of
    from tinyrs.strictjson import BadData

    try:
        return scale_of(text)
    except BadData as problem:
        raise Refused(str(problem)) from None
