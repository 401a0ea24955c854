"""How often does the leak check miss a picture, and how often does it raise a false alarm?

    python -m bench.leaks                        # on drawn scenes
    python -m bench.leaks --pictures DIR         # and on the pictures in a folder, for example AID

Each picture is changed as a copy on its way from one data set to another may be; the table has the share that is still
found at the distance in force. A false alarm is a pair of different pictures within that distance; real data sets do
hold near copies of their own, so the closest pairs are named for a person to look at.
"""

from __future__ import annotations

import argparse
import io
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from tinyrs.leaks import NEAR, SUFFIXES, distances, near_hash
from training.data import open_rgb


def _jpeg(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def _sized(image: Image.Image, factor: float) -> Image.Image:
    return image.resize([round(side * factor) for side in image.size], Image.Resampling.BICUBIC)


def _cropped(image: Image.Image, share: float) -> Image.Image:
    """`share` of each side is cut off, at the upper left."""
    width, height = image.size
    return image.crop((round(share * width), round(share * height), width, height))


CHANGES = {
    "half the size": lambda image: _sized(image, 0.5),
    "twice the size": lambda image: _sized(image, 2),
    "JPEG, quality 50": lambda image: _jpeg(image, 50),
    "JPEG, quality 20": lambda image: _jpeg(image, 20),
    "cropped by 1 %": lambda image: _cropped(image, 0.01),
    "cropped by 2 %": lambda image: _cropped(image, 0.02),
    "cropped by 4 %": lambda image: _cropped(image, 0.04),
    "cropped by 8 %": lambda image: _cropped(image, 0.08),
    "flipped": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned by 90 degrees": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "20 % brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "30 % darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "30 % more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.3),
    "flipped, two thirds, JPEG 60": lambda image: _jpeg(
        _sized(image.transpose(Image.Transpose.FLIP_TOP_BOTTOM), 0.67), 60
    ),
}


def measure(images: list[Image.Image], near: int = NEAR) -> tuple[dict[str, float], np.ndarray, int]:
    """(share of changed pictures that are found, by change; distances of all pairs; pictures without shape)."""
    hashes = [near_hash(image) for image in images]
    shaped = [(image, each) for image, each in zip(images, hashes, strict=True) if each]
    found = {}
    for name, change in CHANGES.items():
        changed = [near_hash(change(image)) for image, _ in shaped]
        hits = [
            bool(b) and next(distances([b], [a]))[0] <= near
            for (_, a), b in zip(shaped, changed, strict=True)
        ]
        found[name] = sum(hits) / max(1, len(hits))
    every = [each for _, each in shaped]
    pairs = [row[i + 1 :] for i, row in enumerate(distances(every, every))]
    return found, np.concatenate(pairs) if pairs else np.zeros(0), len(images) - len(shaped)


def tell(name: str, images: list[Image.Image]) -> None:
    """Print the table of one set of pictures."""
    found, pairs, flat = measure(images)
    print(f"{name}: {len(images):,} pictures, {flat:,} of them without shape; at most {NEAR} of 256 bits")
    for change, share in found.items():
        print(f"  {change:30}{100 * share:6.1f} % found")
    alarms = int((pairs <= NEAR).sum())
    print(f"  false alarms: {alarms:,} of {len(pairs):,} pairs; the closest is {int(pairs.min())} bits apart")


def main() -> int:
    """The command `python -m bench.leaks`."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.leaks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pictures", type=Path, help="a folder with pictures, at any depth")
    parser.add_argument("--count", type=int, default=1000, help="how many pictures of each set (1000)")
    args = parser.parse_args()
    from training.pocket.scenes import draw

    tell("drawn scenes", [Image.fromarray(draw(seed).pixels) for seed in range(args.count)])
    if args.pictures:
        paths = [each for each in sorted(args.pictures.rglob("*")) if each.suffix.lower() in SUFFIXES]
        random.Random(0).shuffle(paths)
        tell(str(args.pictures.name), [open_rgb(path) for path in paths[: args.count]])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
