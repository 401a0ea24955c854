"""What can be done with the record of annotations from a terminal.

    python -m annotate stats --json
    python -m annotate import list_sft.json --db data/tinyrs.db
    python -m annotate import project-1.json --images media/upload
    python -m annotate import-errors runs/aid
    python -m annotate export --kind cot_sft --out exports/first
    python -m annotate generate --data list_sft.json --out think.json --model gpt-4.1-mini
    python -m annotate check exports/first/cot_sft.json
    python -m annotate replay --model runs/next
    python -m annotate lineage --caption 7 --checkpoint runs/next
    python -m annotate delete 3q8fJwzGq0V0b7uRrYxM2A
    python -m annotate backup monday.tar
    python -m annotate restore monday.tar
    python -m annotate user add ada --role reviewer

Exit code 0: done; 1: `check` found something, or `generate` is not at its end; 2: one sentence on stderr says
what is wrong; 130: interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = _parser().parse_args(argv)
    # Imported here, so that --help answers at once.
    from annotate.rules import StoreError
    from tinyrs.config import Config

    args.db_given, args.db = args.db is not None, args.db or Config().database
    try:
        code = args.run(args)
        sys.stdout.flush()
        return code
    except StoreError as problem:
        print(_plain(str(problem)), file=sys.stderr)
        return 2
    except BrokenPipeError:
        return _quiet()
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _quiet() -> int:
    """The reader of our output has gone (`... | head`): nothing is wrong, and nothing more can be said."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _plain(text: str) -> str:
    """One line without control characters: what somebody else wrote must not command a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


class _Parser(argparse.ArgumentParser):
    """One sentence instead of the usage: what was wrong must not scroll away."""

    def error(self, message: str):
        self.exit(2, f"{self.prog}: {message}; see --help.\n")


def _parser() -> argparse.ArgumentParser:
    about, _, examples = __doc__.partition("\n\n")
    parser = _Parser(
        prog="python -m annotate",
        description=about,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    database = argparse.ArgumentParser(add_help=False)
    database.add_argument(
        "--db", type=Path, metavar="PATH", help="the database (default: tinyrs.db in the data folder)"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    def command(name: str, run, about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=about, parents=[database])
        added.set_defaults(run=run)
        return added

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
        type=_cost,
        default=0.0,
        metavar="SHARE",
        help="put the rows of this share of the pictures into a file of their own",
    )
    add.add_argument(
        "--author-share",
        type=_cost,
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
    add = command("stats", _stats, "how much there is of everything")
    add.add_argument("--json", action="store_true", help="as one JSON object")
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
    add = command(
        "import-errors", _import_errors, "add what a model got wrong in an evaluation, to be corrected"
    )
    add.add_argument("folder", type=Path, metavar="DIR", help="the --out of python -m training.evaluate, of a suite too")
    add.add_argument(
        "--images", type=Path, metavar="DIR", help="where the pictures lie (default: where they were)"
    )
    add = command("check", _check, "print what looks wrong in a file of captions, one finding a line")
    add.add_argument("file", type=Path, metavar="FILE")
    add.add_argument("--json", action="store_true", help="each finding as a JSON object")
    add.add_argument(
        "--box-scale", default="1000", metavar="N", help="what boxes run to in FILE: 1000, 100, 1"
    )
    _add_generate(command)
    add = command("replay", _replay, "ask a model every flagged question again, and count what it fixed")
    add.add_argument("--model", required=True, help="a checkpoint's folder, or any name of the model table")
    add.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="where its answers are kept (default: replays/ beside the database)",
    )
    add.add_argument("--batch", type=_whole, default=8, metavar="N", help="questions asked at once (8)")
    add.add_argument("--json", action="store_true", help="as one JSON object, with every question")
    add = command("lineage", _lineage, "which text went into which export, and which checkpoint learnt from it")
    add.add_argument("--caption", type=_whole, metavar="N", help="every revision of this caption, and where it went")
    add.add_argument(
        "--checkpoint",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="what this checkpoint learnt from; with --caption, whether it learnt from that one; as often as needed",
    )
    add.add_argument("--json", action="store_true", help="as JSON objects, one a line")
    add = command("delete", _delete, "take a kept comparison back for good, with its flags, votes and picture")
    add.add_argument("ids", nargs="+", metavar="ID", help="of the comparison, or the link to it (...?record=ID)")
    add = command("backup", _backup, "save database and pictures, also while the app runs")
    add.add_argument(
        "out", metavar="OUT", help="a .tar file, or what TINYRS_BACKUP may name: a folder, or hf://user/name"
    )
    add = command("restore", _restore, "put a backup back, where no database is")
    add.add_argument("file", metavar="FILE", help="what backup, or an app with TINYRS_BACKUP, wrote")
    add = command("user", _user, "who may log in on a lab server: users.json, beside the database")
    add.add_argument("do", choices=("add", "remove", "list"))
    add.add_argument("name", nargs="?", metavar="NAME")
    add.add_argument(
        "--role",
        default="annotator",
        help="annotator (corrects), reviewer (also judges others' captions) or admin (also exports and imports)",
    )
    return parser


def _add_generate(command) -> None:
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
    what.add_argument("--limit", type=_whole, metavar="N", help="only the first N different rows")
    what.add_argument(
        "--attempts", type=_whole, default=3, help="texts to ask for before people get a row (3)"
    )
    what.add_argument("--dry-run", action="store_true", help="say what would be asked and cost; ask nothing")
    who = add.add_argument_group("the server (its key is read from OPENAI_API_KEY)")
    who.add_argument("--model", required=True, help="as the server calls it, for example gpt-4.1-mini")
    who.add_argument("--base-url", metavar="URL", help="any OpenAI-compatible server (default: OpenAI's own)")
    who.add_argument(
        "--concurrency", type=_whole, default=8, metavar="N", help="calls that are out at once (8)"
    )
    who.add_argument("--rpm", type=_amount, metavar="N", help="at most N calls a minute")
    who.add_argument("--timeout", type=_amount, default=120.0, metavar="S", help="seconds for one call (120)")
    who.add_argument(
        "--retries", type=_count, default=5, metavar="N", help="tries of one call after the first (5)"
    )
    who.add_argument(
        "--wait",
        type=_amount,
        default=1.0,
        metavar="S",
        help="seconds before the first of them, twice that before the next (1)",
    )
    who.add_argument("--temperature", type=_cost, default=0.7, metavar="T", help="of the model (0.7)")
    who.add_argument("--max-tokens", type=_whole, default=1024, metavar="N", help="longest text (1024)")
    who.add_argument(
        "--max-pixels",
        type=_whole,
        default=1024 * 1024,
        metavar="N",
        help="larger pictures are sent scaled down to this many pixels (1048576)",
    )
    who.add_argument(
        "--batch-api", action="store_true", help="hand in batches and collect them: slower, half the price"
    )
    who.add_argument(
        "--poll", type=_amount, default=60.0, metavar="S", help="seconds between two looks at a batch (60)"
    )
    money = add.add_argument_group("money, in any currency")
    money.add_argument("--price-in", type=_cost, metavar="P", help="a million tokens that the model reads")
    money.add_argument("--price-out", type=_cost, metavar="P", help="a million tokens that it writes")
    money.add_argument(
        "--budget", type=_cost, metavar="P", help="what the whole job may cost, earlier runs included"
    )


def _number(text: str, kind, least: float, above: bool, what: str):
    try:
        value = kind(text)
    except ValueError:
        value = -1
    if not (least < value if above else least <= value) or value == float("inf"):
        raise argparse.ArgumentTypeError(f"it must be {what}")
    return value


def _whole(text: str) -> int:
    return _number(text, int, 1, False, "a whole number from 1")


def _count(text: str) -> int:
    return _number(text, int, 0, False, "a whole number from 0")


def _amount(text: str) -> float:
    return _number(text, float, 0, True, "a number above 0")


def _cost(text: str) -> float:
    return _number(text, float, 0, False, "a number from 0")


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
        last = _plain([*run.unanswered.values()][-1])
        print(
            f"{len(run.unanswered)} rows got no answer; the same command asks them again. {last}",
            file=sys.stderr,
        )
    if run.why is not None:
        print(_plain(str(run.why)), file=sys.stderr)
        return run.why.code
    return int(bool(run.unanswered))


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
    for why, count in manifest["left_out"].items():
        if count:
            print(f"{count} accepted captions were left out: {why}.")
    return 0


def _stats(args: argparse.Namespace) -> int:
    from annotate.store import Store

    with Store(args.db, create=False) as store:
        stats = store.stats()
    if args.json:
        print(json.dumps(stats))
        return 0
    for name, value in stats.items():
        if isinstance(value, dict):
            value = ", ".join(f"{n} {what.replace('_', '-')}" for what, n in value.items())
        print(f"{name:12} {value}")
    return 0


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
            print(_plain(f"row {found.row}: {found.check}: {found.sentence}"))
    return code


def _scale(text: str) -> float | str:
    from annotate.rules import Refused
    from tinyrs.datasets import scale_of
    from tinyrs.strictjson import BadData

    try:
        return scale_of(text)
    except BadData as problem:
        raise Refused(str(problem)) from None


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


def _replay(args: argparse.Namespace) -> int:
    from annotate.replay import replay, told
    from annotate.store import Store

    with Store(args.db, create=False) as store:
        result = replay(store, args.model, args.out, args.batch)
    print(json.dumps(result) if args.json else told(result))
    return 0


def _lineage(args: argparse.Namespace) -> int:
    from annotate import lineage
    from annotate.rules import Refused
    from annotate.store import Store

    if not (args.caption or args.checkpoint):
        raise Refused("Say of what: --caption N, --checkpoint DIR, or both.")
    with Store(args.db, create=False) as store:
        if args.caption:
            found = [lineage.of_caption(store, args.caption, args.checkpoint)]
        else:
            found = [lineage.of_checkpoint(store, folder) for folder in args.checkpoint]
    for each in found:
        print(json.dumps(each) if args.json else "\n".join(map(_plain, lineage.told(each).splitlines())))
    return 0


def _delete(args: argparse.Namespace) -> int:
    """Each by itself: what was deleted before one that is not there stays deleted, and is said."""
    from annotate.store import Store

    with Store(args.db, create=False) as store:
        for run in args.ids:
            gone = store.delete_run(run.rpartition("record=")[2].partition("&")[0])
            said = ", ".join(f"{gone[name]} {name[:-1]}{'s' * (gone[name] != 1)}" for name in ("flags", "votes"))
            print(_plain(f"{run}: deleted, with {said}. Its words are gone, and its picture where nothing else needs it."))
    return 0


def _backup(args: argparse.Namespace) -> int:
    from annotate.keeper import Keeper
    from annotate.store import Store

    with Store(args.db, create=False) as store:
        if vault := _vault(args.out):
            keeper = Keeper(args.db, vault)
            keeper.save()
            keeper.close()
        else:
            store.backup(Path(args.out))
    print(f"{args.out} holds everything in {args.db}.")
    return 0


def _restore(args: argparse.Namespace) -> int:
    from annotate import backup, keeper
    from annotate.rules import NotFound

    if vault := _vault(args.file):
        back = keeper.restore(vault, args.db)
        if back is None:
            raise NotFound(f"Nothing was ever saved to {args.file}.")
        for problem in back.problems:
            print(_plain(problem), file=sys.stderr)
    else:
        backup.restore(Path(args.file), args.db)
    print(f"{args.db} is back.")
    return 0


def _vault(where: str):
    """The place that holds snapshots and logs, None for a file."""
    from annotate.vault import HUB, open_vault

    return open_vault(where) if where.startswith(HUB) or Path(where).is_dir() else None


def _user(args: argparse.Namespace) -> int:
    from annotate.rules import Refused
    from annotate.users import FILE, Users

    users = Users(args.db.parent / FILE)
    if args.do == "list":
        for name, role in users.all().items():
            print(f"{role:10} {name}")
        return 0
    if not args.name:
        raise Refused(f"Say whom: python -m annotate user {args.do} NAME.")
    if args.do == "remove":
        users.remove(args.name)
        print(f"{_plain(args.name)} cannot log in any more.")
        return 0
    name = users.add(args.name, _password(), args.role)
    print(f"{name} may log in as {args.role}; the page asks for passwords from its next start on.")
    return 0


def _password() -> str:
    """Typed twice at a terminal, or one line of a pipe; never an argument, which everybody on the machine could read."""
    from getpass import getpass

    from annotate.rules import Refused

    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass("Password: ")
    if getpass("Again: ") != password:
        raise Refused("The two passwords differ: nothing was changed.")
    return password


if __name__ == "__main__":
    sys.exit(main())
