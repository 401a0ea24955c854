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
import sys
from collections.abc import Sequence
from pathlib import Path

from annotate import transfer, upkeep
from annotate.terminal import Parser, plain


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
        print(plain(str(problem)), file=sys.stderr)
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


def _parser() -> argparse.ArgumentParser:
    about, _, examples = __doc__.partition("\n\n")
    parser = Parser(
        prog="python -m annotate",
        description=about,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    database = argparse.ArgumentParser(add_help=False)
    database.add_argument(
        "--db", type=Path, metavar="PATH", help="the database (default: tinyrs.db in the data folder)"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)

    def command(name: str, run, about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=about, parents=[database])
        added.set_defaults(run=run)
        return added

    transfer.declare(command)
    upkeep.declare(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
