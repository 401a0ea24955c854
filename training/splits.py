"""Draw the data of the paper's stages from published files: VHM-Instruct, VHM-Instruct-Think, VHM-RL.

    python -m training.splits --data list_sft.json 1000 images --data dior_rsvg pixels --out data/splits --seed 0
    python -m training.sft --config training/recipes/2_sft.yaml --data data/splits/VHM-Instruct.json

Each --data is a file or folder, what its boxes run to, and the folder of its pictures:

    list.json SCALE [IMAGES]      VHM's layout; also GRPO columns (.parquet, or JSON with a solution), whose pictures
                                  are unpacked into OUT/pictures
    FOLDER                        an export, or AID, NWPU VHR-10, DIOR-RSVG as published (these say their own scale)
    x_questions.json IMAGES       RSVQA

SCALE is a number or "pixels"; a `list.manifest.json` with a "box_scale" beside the file may say it instead. A box outside
it is an error that names file and row.

OUT gets a file of rows in VHM's layout for each of the three, with boxes on 0 to 1000, and beside it, written last,
its manifest: sources with checksum and box scale, counts per task, the checksum of every picture. VHM-Instruct-Think
has the rows of VHM-Instruct, with reasoning where the source has it; `python -m annotate generate` writes the rest. No
picture of VHM-RL is in the other two: not by content, not as a near copy. The same seed and sources draw the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tinyrs.datasets import scale_of
from tinyrs.example import BOX_SCALE, Example
from tinyrs.prompt import messages, target
from tinyrs.sources import read_aid, read_dior_rsvg, read_nwpu, read_rsvqa
from tinyrs.strictjson import BadData
from tinyrs.whole import write_whole

INSTRUCT, THINK, RL = "VHM-Instruct", "VHM-Instruct-Think", "VHM-RL"


# ---- sources


@dataclass(frozen=True)
class Source:
    """One --data: its rows, and what the manifest says of it. `scale` is what its boxes run to."""

    path: Path
    scale: float | str | None
    images: Path | None
    examples: tuple[Example, ...]

    def told(self, out: Path) -> dict:
        """The source in a manifest of `out`: where it is, which bytes it has, what its boxes run to."""
        files = sorted(_beside(self.path)) if self.path.is_file() else sorted(_notes(self.path))
        return {
            "path": _relative(self.path, out),
            "sha256": {each.relative_to(self.path.parent).as_posix(): _sha256(each) for each in files},
            "box_scale": self.scale,
            "images": _relative(self.images, out) if self.images else None,
            "rows": len(self.examples),
        }


def _beside(path: Path) -> list[Path]:
    """`path`, and of RSVQA's three files also the other two, which hold the answers and the pictures' names."""
    stem = path.name.removesuffix("questions.json")
    others = [path.with_name(f"{stem}{part}.json") for part in ("answers", "images")] if stem != path.name else []
    return [path, *(each for each in others if each.is_file())]


def _notes(folder: Path) -> list[Path]:
    """The files of a folder that say something of its pictures."""
    kinds = (".json", ".jsonl", ".txt", ".xml", ".parquet")
    return [each for each in folder.rglob("*") if each.suffix.lower() in kinds and each.is_file()]


def read_source(words: Sequence[str], unpack: Path) -> Source:
    """The source that a --data with these words means; BadData names the file and the row that is wrong."""
    from training.columns import is_columns, read_columns
    from training.data import MANIFEST, beside, read

    path = Path(words[0])
    if not path.exists():
        raise BadData(f"There is no file or folder {path}.")
    if path.name.endswith("questions.json"):
        if len(words) != 2:
            raise BadData(f"{path} is RSVQA's: --data {path} FOLDER_OF_PICTURES.")
        return Source(path, None, Path(words[1]), tuple(read_rsvqa(path, Path(words[1]))))
    if path.is_dir() and not is_columns(path):
        if (path / MANIFEST).is_file():
            return Source(path, BOX_SCALE, path, tuple(read(path)))
        for mark, reader in (("Annotations", read_dior_rsvg), ("positive_image_set", read_nwpu)):
            if (path / mark).is_dir():
                return Source(path, "pixels", path, tuple(reader(path)))
        return Source(path, None, path, tuple(read_aid(path)))
    told = beside(path)
    said = words[1] if len(words) > 1 else told.get("box_scale")
    if said is None:
        raise BadData(f"Nothing says what the boxes of {path} run to: --data {path} 1000, for example.")
    scale = scale_of(said)
    if is_columns(path):
        return Source(path, scale, unpack, tuple(read_columns(path, unpack, scale)))
    images = Path(words[2]) if len(words) > 2 else path.parent / told.get("images", "")
    return Source(path, scale, images, tuple(read(path, images, scale)))


# ---- drawing


@dataclass(frozen=True)
class Item:
    """One row of a pool: its id, unlike any other, its Example, and what its picture is known by."""

    name: str
    example: Example
    picture: str


def pool_of(sources: Sequence[Source], prints) -> list[Item]:
    """All rows of all sources. Word-for-word copies (the release oversamples so) are one row."""
    items, seen, names = [], set(), Counter()
    for source in sources:
        names[source.path.stem] += 1
        again = f"_{names[source.path.stem]}" if names[source.path.stem] > 1 else ""
        for number, example in enumerate(source.examples, 1):
            pixels = prints[example.picture].pixels
            key = (pixels, example.question, example.answer, example.reasoning)
            if key not in seen:
                seen.add(key)
                items.append(Item(f"{source.path.stem}{again}-{number}", example, pixels))
    return items


def draw(items: Sequence[Item], prints, instruct: int, rl: int, seed: int) -> tuple[list[Item], list[Item]]:
    """(rows of VHM-Instruct, rows of VHM-RL), at most as many as asked for, in the order of `items`.

    VHM-RL is drawn first, picture by picture, so that none of its pictures is split; then VHM-Instruct from the rows
    whose picture is neither in VHM-RL nor nearly one of it.
    """
    pictures = sorted({item.picture for item in items})
    random.Random(f"{seed} rl").shuffle(pictures)
    rows: dict[str, list[Item]] = {}
    for item in items:
        rows.setdefault(item.picture, []).append(item)
    kept, count = set(), 0
    for picture in pictures:
        if count < rl and count + len(rows[picture]) <= rl:
            kept.add(picture)
            count += len(rows[picture])
    taken = kept | _near(kept, items, prints)
    left = [item for item in items if item.picture not in taken]
    chosen = random.Random(f"{seed} instruct").sample(range(len(left)), min(instruct, len(left)))
    return [left[i] for i in sorted(chosen)], [item for item in items if item.picture in kept]


def _near(kept: set[str], items: Sequence[Item], prints) -> set[str]:
    """The pictures outside of `kept` that are nearly one of it."""
    from tqdm import tqdm

    from tinyrs.leaks import NEAR, distances

    near = {item.picture: prints[item.example.picture].near for item in items}
    mine = [near[picture] for picture in sorted(kept) if near[picture]]
    others = [picture for picture in sorted(near) if picture not in kept and near[picture]]
    if not mine or not others:
        return set()
    rows = distances([near[picture] for picture in others], mine)
    bar = tqdm(rows, "comparing pictures", len(others), disable=not sys.stderr.isatty())
    return {picture for picture, row in zip(others, bar, strict=True) if row.min() <= NEAR}


# ---- writing


def write(name: str, items: Sequence[Item], sources: Sequence[Source], prints, out: Path, **more) -> dict:
    """Write OUT/NAME.json and, last, OUT/NAME.manifest.json; returns the manifest."""
    thinking = name == THINK
    root = Path(os.path.commonpath([os.path.realpath(item.example.picture.parent) for item in items]))
    rows = [_row(item, root, thinking) for item in items]
    text = "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n"
    manifest = {
        "kind": "split",
        "name": name,
        "file": f"{name}.json",
        "count": len(rows),
        "box_scale": BOX_SCALE,
        "images": _relative(root, out),
        "tasks": dict(sorted(Counter(row["task"] for row in rows).items())),
        "with_reasoning": sum(bool(item.example.reasoning) for item in items) if thinking else 0,
        **more,
        "sources": [source.told(out) for source in sources],
        "files": {f"{name}.json": hashlib.sha256(text.encode()).hexdigest()},
        "pictures": {
            row["image"]: prints[item.example.picture].file for row, item in zip(rows, items, strict=True)
        },
    }
    (out / f"{name}.manifest.json").unlink(missing_ok=True)  # it must never describe other rows
    write_whole(out / f"{name}.json", text)
    write_whole(out / f"{name}.manifest.json", json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return manifest


def _row(item: Item, root: Path, thinking: bool) -> dict:
    example = item.example
    asked = messages(example.question)[-1]["content"][-1]["text"]
    return {
        "id": item.name,
        "image": Path(os.path.realpath(example.picture)).relative_to(root).as_posix(),
        "conversations": [
            {"from": "human", "value": f"<image>\n{asked}"},
            {"from": "gpt", "value": target(example.reasoning if thinking else "", example.answer)},
        ],
        "task": example.question.task.value,
        "labels": list(example.question.labels),
    }


def _relative(path: Path, out: Path) -> str:
    return Path(os.path.relpath(os.path.realpath(path), os.path.realpath(out))).as_posix()


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---- command line


def main(argv: Sequence[str] | None = None) -> int:
    """The command `python -m training.splits`; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.splits",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--data",
        nargs="+",
        action="append",
        required=True,
        metavar="WORD",
        help="a source, see above; repeatable",
    )
    add("--out", type=Path, required=True, help="folder for the splits")
    add("--seed", type=int, default=0, help="of the draw (0)")
    add("--instruct", type=int, default=100_000, help="rows of VHM-Instruct and VHM-Instruct-Think (100000)")
    add("--rl", type=int, default=10_000, help="rows of VHM-RL (10000)")
    add(
        "--against",
        nargs="+",
        default=[],
        metavar="BENCHMARK",
        help="evaluation files: refuse their pictures",
    )
    add("--leave-out", action="store_true", help="leave rows with pictures of --against out, and count them")
    args = parser.parse_args(argv)
    try:
        return _command(args)
    except BadData as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename or args.out} cannot be used: {error.strerror}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. What was hashed is kept; the same command begins again.", file=sys.stderr)
        return 130


def _command(args: argparse.Namespace) -> int:
    from tinyrs.leaks import Prints, find_leaks, told

    for name in ("instruct", "rl"):
        if getattr(args, name) < 0:
            raise BadData(f"--{name} must be 0 or more.")
    for words in args.data:
        if len(words) > 3:
            raise BadData(f"--data takes a source, a box scale and a folder, not {len(words)} words.")
    args.out.mkdir(parents=True, exist_ok=True)
    sources = [read_source(words, args.out / "pictures") for words in args.data]
    keeper = Prints()
    prints = keeper.of(example.picture for source in sources for example in source.examples)
    examples = [example for source in sources for example in source.examples]
    leaks = find_leaks(prints, args.against, keeper) if args.against else []
    if leaks and not args.leave_out:
        for source in sources:
            mine = {example.picture for example in source.examples}
            if found := [leak for leak in leaks if leak.picture in mine]:
                raise BadData(
                    f"{source.path}: {told(source.examples, found)} --leave-out draws without them."
                )
    leaked = {leak.picture for leak in leaks}
    items = [item for item in pool_of(sources, prints) if item.example.picture not in leaked]
    instruct, rl = draw(items, prints, args.instruct, args.rl, args.seed)
    more = {
        "seed": args.seed,
        "against": {
            Path(each).name: _sha256(Path(each)) if Path(each).is_file() else "" for each in args.against
        },
        "left_out": sum(example.picture in leaked for example in examples),
    }
    leaked_rows = f"{more['left_out']:,} left out as leaks"
    print(
        f"pool: {len(examples):,} rows, {len(items):,} of them to draw from (copies are one); {leaked_rows}"
    )
    for name, rows in ((INSTRUCT, instruct), (THINK, instruct), (RL, rl)):
        if not rows:
            for old in (f"{name}.manifest.json", f"{name}.json"):
                (args.out / old).unlink(missing_ok=True)  # of another draw
            print(f"{name}: no rows, so no file")
            continue
        manifest = write(name, rows, sources, prints, args.out, **more)
        tasks = ", ".join(f"{count:,} {task}" for task, count in manifest["tasks"].items())
        print(f"{name}: {len(rows):,} rows ({tasks}) on {len(manifest['pictures']):,} pictures")
        if name == THINK and manifest["with_reasoning"] < len(rows):
            images = os.path.normpath(args.out / manifest["images"])
            print(
                f"  {len(rows) - manifest['with_reasoning']:,} rows have no reasoning yet: python -m annotate generate "
                f"--data {args.out / INSTRUCT}.json --images {images} --out ..."
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
