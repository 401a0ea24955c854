"""Pictures that are in the training data and in a benchmark: found by content, whatever the files are called.

    from tinyrs.leaks import check
    check(examples, ["cls_AID.json"])        # BadData, with a sentence that names rows, where a picture is in both

Two pictures are one if their files have the same checksum, if their decoded pixels have, or if their hashes of coarse
shape differ in at most `NEAR` of 256 bits, in any of the eight orientations of one of them. The hash keeps the signs of the
16 x 16 coarsest cosine waves of the picture in grey: it survives another size, JPEG quality, brightness or contrast, a
flip and a turn by 90 degrees, and nearly always a crop of two per cent a side. Larger crops are not found. Nor are near copies of
pictures without shape (open sea), which only the two checksums find. `python -m bench.leaks` measures both kinds of error.

Hashes are kept in prints.jsonl in the data folder (TINYRS_DATA) by path, size and time of change, so that a hundred
thousand pictures are read once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tinyrs.benchmarks import evaluation_pictures
from tinyrs.config import Config
from tinyrs.example import Example
from tinyrs.strictjson import BadData

NEAR = 60
"""Bits of 256 that the hashes of one picture may differ in. Of the 40 million pairs of AID, three are closer, and all three
show the same place; the closest that does not is 64 apart (bench/leaks.py)."""

FLAT = 2.0
"""A picture whose grey, at 32 x 32, varies by less than this (standard deviation, of 255) has no shape to compare."""

SIDE, WAVES, VERSION = 32, 16, 1
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Print:
    """What a picture is known by.

    file     sha256 of the file's bytes
    pixels   sha256 of its size and its decoded, upright RGB pixels
    near     its coarse shape, 256 bits in hexadecimal; "" for a picture that has none
    """

    file: str
    pixels: str
    near: str


def fingerprint(path: Path) -> Print:
    """The print of the picture in `path`; BadData if it is none."""
    from tinyrs.image import BadImage, open_picture

    try:
        image = open_picture(path).image
    except BadImage as error:
        raise BadData(f"{path} cannot be used: {error}") from None
    pixels = hashlib.sha256(f"{image.width}x{image.height}:".encode() + image.tobytes()).hexdigest()
    with open(path, "rb") as file:
        return Print(hashlib.file_digest(file, "sha256").hexdigest(), pixels, near_hash(image))


# ---- coarse shape


def near_hash(image) -> str:
    """The signs of the coarsest waves of a PIL picture as hexadecimal; "" where it is flat."""
    import numpy as np

    waves = _waves(image)
    return "" if waves is None else np.packbits(waves > 0).tobytes().hex()


def _waves(image):
    """(WAVES, WAVES) amplitudes of cosine waves, from the first that is no constant; None for a flat picture."""
    import numpy as np
    from PIL import Image

    # Without a constant part in either direction, a flip only turns the signs of every other row or column.
    grey = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), float)
    if grey.std() < FLAT:
        return None
    places, order = np.arange(SIDE), np.arange(1, WAVES + 1)[:, None]
    cosines = np.cos(np.pi * (2 * places + 1) * order / (2 * SIDE))
    return cosines @ grey @ cosines.T


def orientations(near: str):
    """(8, 4) uint64: the hash of the picture as it is, and flipped and turned in the seven other ways."""
    import numpy as np

    bits = np.unpackbits(np.frombuffer(bytes.fromhex(near), np.uint8)).reshape(WAVES, WAVES)
    odd = np.arange(WAVES) % 2 == 0  # the first wave is odd: a flip turns its sign
    turned = []
    for each in (bits, bits.T):
        for down in (False, True):
            for across in (False, True):
                turned.append(each ^ ((odd & down)[:, None] ^ (odd & across)[None]))
    return np.packbits(np.array(turned, np.uint8).reshape(8, -1), axis=1).view(np.uint64)


def distances(ours: Sequence[str], theirs: Sequence[str]) -> Iterator:
    """For each of `ours`, the least distance in bits to each of `theirs` over the eight orientations (uint16)."""
    import numpy as np

    every = np.array([orientations(near) for near in theirs])  # (theirs, 8, 4)
    for near in ours:
        mine = np.frombuffer(bytes.fromhex(near), np.uint64)
        yield np.bitwise_count(every ^ mine).sum(2, dtype=np.uint16).min(1)


# ---- many pictures


class Prints:
    """Prints of many pictures, made by several threads and kept between runs. `quiet` shows no progress bar."""

    def __init__(self, path: Path | None = None, quiet: bool = False):
        self.path, self.quiet = path or Config().data / "prints.jsonl", quiet
        self._known: dict[str, tuple[list, Print]] = {}
        for line in self._lines():
            try:
                told = json.loads(line)
                if told["version"] == VERSION:
                    self._known[told["path"]] = told["stamp"], Print(*told["print"])
            except (ValueError, KeyError, TypeError):
                continue  # a line that was cut off is made again

    def _lines(self) -> list[str]:
        try:
            return self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []

    def of(self, paths: Iterable[Path]) -> dict[Path, Print]:
        """The print of each picture, by its path as given; BadData for one that cannot be opened."""
        from tqdm import tqdm

        found, wanted = {}, []
        for path in dict.fromkeys(paths):
            stamp = _stamp(path)
            kept = self._known.get(os.path.realpath(path))
            if kept and kept[0] == stamp:
                found[path] = kept[1]
            else:
                wanted.append((path, stamp))
        # Decoding and hashing leave Python alone, so threads are enough.
        with (
            ThreadPoolExecutor(os.cpu_count()) as pool,
            tqdm(
                total=len(wanted), desc="hashing pictures", unit="", disable=self.quiet or not wanted
            ) as bar,
        ):
            for start in range(0, len(wanted), 1000):
                part = wanted[start : start + 1000]
                made = []
                try:
                    for (path, stamp), each in zip(
                        part, pool.map(fingerprint, [path for path, _ in part]), strict=True
                    ):
                        found[path] = each
                        made.append((os.path.realpath(path), stamp, each))
                        bar.update()
                finally:
                    self._keep(made)
        return found

    def _keep(self, made: Sequence[tuple[str, list, Print]]) -> None:
        lines = []
        for path, stamp, each in made:
            self._known[path] = stamp, each
            told = {"version": VERSION, "path": path, "stamp": stamp}
            lines.append(json.dumps(told | {"print": [each.file, each.pixels, each.near]}) + "\n")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a", encoding="utf-8") as file:
                file.write("".join(lines))
        except OSError:
            pass  # where nothing can be written, pictures are read again next time


def _stamp(path: Path) -> list[int]:
    try:
        status = os.stat(path)
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}.") from None
    return [status.st_size, status.st_mtime_ns]


# ---- training data against benchmarks


@dataclass(frozen=True)
class Leak:
    """`picture` is `other`, a picture of a benchmark; `how` says by what they are one."""

    picture: Path
    other: Path
    benchmark: str
    how: str


def benchmark_pictures(path: Path) -> list[Path]:
    """The pictures of an evaluation file (also LHRS-Bench's raw one), or all pictures in a folder."""
    path = Path(path)
    if path.is_dir():
        found = [each for each in sorted(path.rglob("*")) if each.suffix.lower() in SUFFIXES]
        if not found:
            raise BadData(f"{path} holds no pictures.")
        return found
    return list(dict.fromkeys(evaluation_pictures(path)))


def find_leaks(
    pictures: Iterable[Path], benchmarks: Sequence[str | Path], prints: Prints, near: int = NEAR
) -> list[Leak]:
    """One Leak for each of `pictures` that is in a benchmark, in order. `near` below 0 leaves near copies alone."""
    where = {}
    for benchmark in benchmarks:
        for other in benchmark_pictures(Path(benchmark)):
            where.setdefault(other, Path(benchmark).name)
    return _match(prints.of(pictures), prints.of(where), where, near, prints.quiet)


def _match(ours, theirs, where, near: int, quiet: bool) -> list[Leak]:
    from tqdm import tqdm

    files = {each.file: other for other, each in reversed(theirs.items())}
    pixels = {each.pixels: other for other, each in reversed(theirs.items())}
    shaped = [other for other, each in theirs.items() if each.near]
    found, open_questions = {}, []
    for path, each in ours.items():
        if each.file in files:
            found[path] = Leak(path, files[each.file], where[files[each.file]], "the same file")
        elif each.pixels in pixels:
            found[path] = Leak(path, pixels[each.pixels], where[pixels[each.pixels]], "the same pixels")
        elif each.near and shaped and near >= 0:
            open_questions.append(path)
    hashes = [theirs[other].near for other in shaped]
    rows = distances([ours[path].near for path in open_questions], hashes)
    bar = tqdm(rows, "comparing pictures", len(open_questions), disable=quiet or not open_questions)
    for path, row in zip(open_questions, bar, strict=True):
        best = int(row.argmin())
        if row[best] <= near:
            how = f"nearly the same, {row[best]} of 256 bits apart"
            found[path] = Leak(path, shaped[best], where[shaped[best]], how)
    return [found[path] for path in ours if path in found]


def check(examples: Sequence[Example], benchmarks: Sequence[str | Path], quiet: bool = False) -> None:
    """Raise BadData with a sentence that names rows, if pictures of `examples` are in a benchmark."""
    if not benchmarks:
        return
    leaks = find_leaks([example.picture for example in examples], benchmarks, Prints(quiet=quiet))
    if leaks:
        raise BadData(f"{told(examples, leaks)} Take them out, or train without naming the benchmark.")


def told(examples: Sequence[Example], leaks: Sequence[Leak], most: int = 5) -> str:
    """A sentence that names the first `most` of the rows whose pictures are in a benchmark."""
    by_picture = {leak.picture: leak for leak in leaks}
    rows = [number for number, example in enumerate(examples, 1) if example.picture in by_picture]
    named = []
    for number in rows[:most]:
        leak = by_picture[examples[number - 1].picture]
        named.append(
            f"row {number} ({leak.picture.name} is {leak.other.name} of {leak.benchmark}: {leak.how})"
        )
    if len(rows) > most:
        named.append(f"and {len(rows) - most:,} more")
    return f"{len(rows):,} of {len(examples):,} rows show a picture of a benchmark: {', '.join(named)}."
