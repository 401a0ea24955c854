"""What can be done with the record of annotations from a terminal.

    python -m annotate stats --json
    python -m annotate import list_sft.json --db data/tinyrs.db
    python -m annotate export --kind cot_sft --out exports/first
    python -m annotate check exports/first/cot_sft.json
    python -m annotate backup monday.tar
    python -m annotate restore monday.tar

Exit code 0: done; 1: `check` found something; 2: one sentence on stderr says what is wrong.
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

    args.db = args.db or Config().database
    try:
        code = args.run(args)
        sys.stdout.flush()
        return code
    except StoreError as problem:
        print(_plain(str(problem)), file=sys.stderr)
        return 2
    except BrokenPipeError:
        return _quiet()


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
        "--kind", default="cot_sft", help="cot_sft (with reasoning, the default) or sft (without)"
    )
    add.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    add.add_argument("--force", action="store_true", help="replace another export that lies there")
    add = command("stats", _stats, "how much there is of everything")
    add.add_argument("--json", action="store_true", help="as one JSON object")
    add = command("import", _import, "add the rows of a file in VHM's layout as captions to be reviewed")
    add.add_argument("file", type=Path, metavar="FILE")
    add.add_argument(
        "--images", type=Path, metavar="DIR", help="where the pictures lie (default: beside FILE)"
    )
    add.add_argument(
        "--box-scale", default="1000", metavar="N", help='what boxes run to in FILE: 1000, 100, 1 or "pixels"'
    )
    add = command("check", _check, "print what looks wrong in a file of captions, one finding a line")
    add.add_argument("file", type=Path, metavar="FILE")
    add.add_argument("--json", action="store_true", help="each finding as a JSON object")
    add.add_argument(
        "--box-scale", default="1000", metavar="N", help="what boxes run to in FILE: 1000, 100, 1"
    )
    add = command("backup", _backup, "write database and pictures to one .tar file, also while the app runs")
    add.add_argument("out", type=Path, metavar="OUT")
    add = command("restore", _restore, "put a backup back, where no database is")
    add.add_argument("file", type=Path, metavar="FILE")
    return parser


def _export(args: argparse.Namespace) -> int:
    from annotate.export import export
    from annotate.store import Store

    with Store(args.db, create=False) as store:
        manifest = export(store, args.out, args.kind, force=args.force)
    tasks = ", ".join(f"{n} {task}" for task, n in manifest["tasks"].items())
    print(f"{args.out}: {manifest['count']} rows ({tasks}) by {len(manifest['authors'])} authors.")
    if manifest["self_reviewed"]:
        print(f"{manifest['self_reviewed']} of them were accepted by nobody but their own author.")
    if manifest["left_out"]["without reasoning"]:
        print(
            f"{manifest['left_out']['without reasoning']} accepted captions without reasoning were left out."
        )
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
    from annotate.imports import import_vhm
    from annotate.store import Store

    scale = _scale(args.box_scale)
    with Store(args.db) as store:
        done = import_vhm(store, args.file, images=args.images, box_scale=scale)
    print(f"{args.file}: {done.rows} rows, {done.pictures} pictures, {done.added} new captions.")
    return 0


def _backup(args: argparse.Namespace) -> int:
    from annotate.store import Store

    with Store(args.db, create=False) as store:
        store.backup(args.out)
    print(f"{args.out} holds everything in {args.db}.")
    return 0


def _restore(args: argparse.Namespace) -> int:
    from annotate.backup import restore

    restore(args.file, args.db)
    print(f"{args.db} is back.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
