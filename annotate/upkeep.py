"""The commands about the record itself: what is in it and what came of it, deleting, backups, and who may log in."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from annotate.terminal import Command, plain, whole


def declare(command: Command) -> None:
    """Declare them all."""
    for each in (_add_stats, _add_replay, _add_lineage, _add_delete, _add_backup, _add_restore, _add_user):
        each(command)


def _add_stats(command: Command) -> None:
    add = command("stats", _stats, "how much there is of everything")
    add.add_argument("--json", action="store_true", help="as one JSON object")


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


def _add_replay(command: Command) -> None:
    add = command("replay", _replay, "ask a model every flagged question again, and count what it fixed")
    add.add_argument("--model", required=True, help="a checkpoint's folder, or any name of the model table")
    add.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="where its answers are kept (default: replays/ beside the database)",
    )
    add.add_argument("--batch", type=whole, default=8, metavar="N", help="questions asked at once (8)")
    add.add_argument("--json", action="store_true", help="as one JSON object, with every question")


def _replay(args: argparse.Namespace) -> int:
    from annotate.replay import replay, told
    from annotate.store import Store

    with Store(args.db, create=False) as store:
        result = replay(store, args.model, args.out, args.batch)
    print(json.dumps(result) if args.json else told(result))
    return 0


def _add_lineage(command: Command) -> None:
    add = command("lineage", _lineage, "which text went into which export, and which checkpoint learnt from it")
    add.add_argument("--caption", type=whole, metavar="N", help="every revision of this caption, and where it went")
    add.add_argument(
        "--checkpoint",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="what this checkpoint learnt from; with --caption, whether it learnt from that one; as often as needed",
    )
    add.add_argument("--json", action="store_true", help="as JSON objects, one a line")


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
        print(json.dumps(each) if args.json else "\n".join(map(plain, lineage.told(each).splitlines())))
    return 0


def _add_delete(command: Command) -> None:
    add = command("delete", _delete, "take a kept comparison back for good, with its flags, votes and picture")
    add.add_argument("ids", nargs="+", metavar="ID", help="of the comparison, or the link to it (...?record=ID)")


def _delete(args: argparse.Namespace) -> int:
    """Each by itself: what was deleted before one that is not there stays deleted, and is said."""
    from annotate.store import Store

    with Store(args.db, create=False) as store:
        for run in args.ids:
            gone = store.delete_run(run.rpartition("record=")[2].partition("&")[0])
            said = ", ".join(f"{gone[name]} {name[:-1]}{'s' * (gone[name] != 1)}" for name in ("flags", "votes"))
            print(plain(f"{run}: deleted, with {said}. Its words are gone, and its picture where nothing else needs it."))
    return 0


def _add_backup(command: Command) -> None:
    add = command("backup", _backup, "save database and pictures, also while the app runs")
    add.add_argument(
        "out", metavar="OUT", help="a .tar file, or what TINYRS_BACKUP may name: a folder, or hf://user/name"
    )


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


def _add_restore(command: Command) -> None:
    add = command("restore", _restore, "put a backup back, where no database is")
    add.add_argument("file", metavar="FILE", help="what backup, or an app with TINYRS_BACKUP, wrote")


def _restore(args: argparse.Namespace) -> int:
    from annotate import backup, keeper
    from annotate.rules import NotFound

    if vault := _vault(args.file):
        back = keeper.restore(vault, args.db)
        if back is None:
            raise NotFound(f"Nothing was ever saved to {args.file}.")
        for problem in back.problems:
            print(plain(problem), file=sys.stderr)
    else:
        backup.restore(Path(args.file), args.db)
    print(f"{args.db} is back.")
    return 0


def _vault(where: str):
    """The place that holds snapshots and logs, None for a file."""
    from annotate.vault import HUB, open_vault

    return open_vault(where) if where.startswith(HUB) or Path(where).is_dir() else None


def _add_user(command: Command) -> None:
    add = command("user", _user, "who may log in on a lab server: users.json, beside the database")
    add.add_argument("do", choices=("add", "remove", "list"))
    add.add_argument("name", nargs="?", metavar="NAME")
    add.add_argument(
        "--role",
        default="annotator",
        help="annotator (corrects), reviewer (also judges others' captions) or admin (also exports and imports)",
    )


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
        print(f"{plain(args.name)} cannot log in any more.")
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
