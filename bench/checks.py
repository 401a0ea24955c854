"""How many captions that are broken on purpose do the checks find, and how many sound ones do they doubt?

    python -m bench.checks [--count 400] [--data DIR] [--json]

Broken: sound captions, each broken in one way (tests/broken_captions.py). Sound: the same before they are broken, and
captions made from true boxes and labels, of drawn pictures and of those in DIR (as for `python -m training.pocket`).
Both: those written one by one to slip through (tests/captions_hard.jsonl), by which the checks were improved.
Found means by the check that is there for that way. Precision is that of the check over all broken captions of its
ways and all sound ones. A third table has the captions of writers who knew nothing of the checks (tests/captions_natural.jsonl
and captions_unseen.jsonl), none of which was learnt from.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.broken_captions import BROKEN
from tests.captions import KINDS, Caption
from tests.written_captions import hard, natural, unseen
from tinyrs.checks import check
from tinyrs.parse import boxes
from training.tables import grid, percent

MAKERS = ("classify", "describe", "locate", "locate_all", "count", "presence")
"""Questions of training.pocket.questions that are made from what is known of a picture."""


def doubted(caption: Caption) -> set[str]:
    """The checks that find something in `caption`."""
    found = check(
        caption.question,
        caption.reasoning,
        caption.answer,
        boxes=caption.boxes,
        given=caption.given,
        size=caption.size,
    )
    return {finding.check for finding in found}


def broken(count: int, seed: int = 0) -> Iterator[dict]:
    """For each way to break a caption: {"check", "way", "n", "found", "recall"}."""
    for name, ways in BROKEN.items():
        for way in ways:
            rng = random.Random(f"{seed} {way.__name__}")
            found = sum(name in doubted(way(rng)) for _ in range(count))
            told = way.__name__.replace("_", " ")
            yield {"check": name, "way": told, "n": count, "found": found, "recall": found / count}
    for name in BROKEN:
        written = [name in doubted(caption) for caption, finds in hard() + hard(missed=True) if finds == name]
        if written:
            share = sum(written) / len(written)
            yield {"check": name, "way": "written one by one", "n": len(written), "found": sum(written), "recall": share}


def sound(count: int, data: Path | None = None, seed: int = 0) -> Iterator[dict]:
    """For each kind of sound caption: {"kind", "n", "doubted", "alarms" (its share), "checks" (how often each)}."""
    kinds: dict[str, Callable[[int], Caption]] = {}
    for kind in KINDS:
        rng = random.Random(f"{seed} {kind.__name__}")
        kinds[kind.__name__.replace("_", " ")] = lambda _, kind=kind, rng=rng: kind(rng)
    kinds |= _true_ones(data, count, seed)
    made = {name: [doubted(make(number)) for number in range(count)] for name, make in kinds.items()}
    made["written one by one"] = [doubted(caption) for caption, finds in hard() + hard(missed=True) if not finds]
    for name, found in made.items():
        alarms = sum(map(bool, found))
        checks = Counter(each for names in found for each in names)
        yield {"kind": name, "n": len(found), "doubted": alarms, "alarms": alarms / len(found), "checks": dict(checks)}


def _true_ones(data: Path | None, count: int, seed: int) -> dict[str, Callable[[int], Caption]]:
    from tinyrs.strictjson import BadData
    from training.pocket import pictures
    from training.pocket.rows import VariedRows

    sets = {"drawn": pictures.drawn(range(2_000_000, 2_000_060))}
    if data:
        for known in pictures.load(data)[1]:  # those that the pair has not learnt from
            sets.setdefault(known.source, []).append(known)
    made = {}
    for source, known in sets.items():
        for maker in MAKERS:
            try:
                rows = VariedRows(known, {maker: 1.0}, count, True, seed)
            except BadData:  # nothing of that kind is known of them
                continue
            made[f"{maker}, {source}"] = lambda number, rows=rows: _caption(rows.make(number))
    return made


def _caption(row) -> Caption:
    return Caption(row.question, row.reasoning, row.answer, boxes(row.answer))


def by_others() -> Iterator[dict]:
    """For each lot of another writer and each fault, "" for none: {"lot", "fault", "n", "found"}, found being by that check, by any
    where there is none to find."""
    for lot, captions in (*((f"natural {lot}", natural(lot)) for lot in range(1, 8)), ("unseen", unseen())):
        judged = [(finds, doubted(caption)) for caption, finds in captions]
        for fault in sorted({finds for finds, _ in judged}):
            mine = [fault in found if fault else bool(found) for finds, found in judged if finds == fault]
            yield {"lot": lot, "fault": fault, "n": len(mine), "found": sum(mine)}


def main(argv: Sequence[str] | None = None) -> int:
    """Print both tables; 1 where a way is found in fewer than 95 % or a sound kind doubted in more than 5 %."""
    parser = argparse.ArgumentParser(prog="python -m bench.checks", description=__doc__.split("\n\n")[0])
    parser.add_argument("--count", type=int, default=400, help="captions of each way and kind (400)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with any of aid, nwpu_vhr10")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(argv)
    if args.count < 1 or args.data and not args.data.is_dir():
        print(f"There is no folder {args.data}." if args.data else "At least 1 caption.", file=sys.stderr)
        return 2
    ways, kinds, others = list(broken(args.count)), list(sound(args.count, args.data)), list(by_others())
    precision = {}
    for name in BROKEN:
        right = sum(way["found"] for way in ways if way["check"] == name)
        wrong = sum(kind["checks"].get(name, 0) for kind in kinds)
        precision[name] = right / (right + wrong) if right else None
    if args.json:
        print(json.dumps({"broken": ways, "sound": kinds, "precision": precision, "by_others": others}))
    else:
        head = ("check", "broken how", "n", "recall %", "precision of the check %")
        rows = [
            (
                way["check"],
                way["way"],
                str(way["n"]),
                percent(way["recall"]),
                percent(precision[way["check"]]),
            )
            for way in ways
        ]
        print(grid(head, rows), end="\n\n")
        head = ("sound captions", "n", "doubted %", "by")
        rows = [
            (kind["kind"], str(kind["n"]), percent(kind["alarms"]), ", ".join(kind["checks"]) or "-")
            for kind in kinds
        ]
        print(grid(head, rows), end="\n\n")
        rows = [(each["lot"], each["fault"] or "none", str(each["n"]), percent(each["found"] / each["n"])) for each in others]
        print(grid(("captions of others", "fault", "n", "found, or doubted, %"), rows))
    missed = any(way["recall"] < 0.95 for way in ways) or any(kind["alarms"] > 0.05 for kind in kinds)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
