"""How good is the pocket pair on pictures that were kept out of its training, and how fast?

    python -m bench.pocket --data DIR --out runs/measured [--models pocket,pocket-r1] [--limit 300] [--write]

DIR is what `python -m training.pocket --data` took. The kept-out pictures (training/pocket/pictures.py) are written as
files of the published evaluation layout and scored by `training.evaluate`, as any model would be. `--write` puts
the numbers into each checkpoint's card and the `tinyrs.json` beside it, where the page reads them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from tinyrs.models import resolve
from tinyrs.parse import format_boxes
from tinyrs.prompt import CLASSIFY, LOCATE
from tinyrs.sources import label_words, nwpu_scenes, phrases, read_rsvqa
from training import evaluate
from training.card import add_scores
from training.pocket.model import LARGE
from training.pocket.pictures import KEPT, kept_out
from training.tables import percent

BENCHMARKS = {
    "cls_AID": "cls",
    "VG_NWPU": "grounding",
    "cls_AID_enlarged": "cls",
    "RSVQA_LR-comp": "vqa",
    "RSVQA_LR-presence": "vqa",
    "RSVQA_LR-count": "vqa",
    "RSVQA_LR-rural_urban": "vqa",
    "RSVQA_HR-comp": "vqa",
    "RSVQA_HR-presence": "vqa",
    "RSVQA_HR-count": "vqa",
}


def _row(folder: Path, picture: Path, asked: str, told: str) -> dict:
    return {
        "image": picture.relative_to(folder).as_posix(),
        "image_path": str(folder.resolve()),
        "conversations": [{"from": "human", "value": f"<image>\n{asked}"}, {"from": "gpt", "value": told}],
    }


def _enlarged(picture: Path, file: Path) -> Path:
    """`picture` at the largest size that the pair sees, saved as `file`: what is small in a set is large at a visitor's."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(picture) as image:
        image.convert("RGB").resize((LARGE, LARGE), Image.Resampling.BICUBIC).save(file, quality=95)
    return file.resolve()


def write_benchmarks(data: Path, out: Path) -> list[Path]:
    """One evaluation file for each of BENCHMARKS whose data set lies below `data`, of kept-out pictures only."""
    data = data.resolve()
    rows: dict[str, list[dict]] = {}
    if (data / "aid").is_dir():
        folder = data / "aid"
        classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
        asked = CLASSIFY.format(labels=", ".join(map(label_words, classes)))
        for picture in sorted(folder.glob("*/*.jpg")):
            if kept_out(picture.read_bytes(), KEPT["aid"]):
                told = "{CLS} " + asked, label_words(picture.parent.name)
                rows.setdefault("cls_AID", []).append(_row(folder, picture, *told))
                large = _enlarged(picture, out / "enlarged" / picture.relative_to(folder))
                rows.setdefault("cls_AID_enlarged", []).append(_row(out.resolve(), large, *told))
    if (data / "nwpu_vhr10").is_dir():
        folder = data / "nwpu_vhr10"
        for picture, _, boxes in nwpu_scenes(folder):
            if kept_out(picture.read_bytes(), KEPT["nwpu_vhr10"]):
                for phrase, box in phrases(boxes):
                    asked = "{VG} " + LOCATE.format(phrase=phrase)
                    rows.setdefault("VG_NWPU", []).append(_row(folder, picture, asked, format_boxes([box])))
    if (data / "rsvqa").is_dir():
        folder = data / "rsvqa"
        for part in ("LR", "HR"):
            for example in read_rsvqa(folder / f"{part}_questions.json", folder / f"Images_{part}"):
                name = f"RSVQA_{part}-{example.kinds[0]}"
                if name in BENCHMARKS and kept_out(example.picture.read_bytes(), KEPT["rsvqa"]):
                    row = _row(folder, example.picture, "{VQA} " + example.question.text, example.answer)
                    rows.setdefault(name, []).append(row)
    out.mkdir(parents=True, exist_ok=True)
    for name, made in rows.items():
        (out / f"{name}.json").write_text(json.dumps(made), encoding="utf-8")
    return [out / f"{name}.json" for name in rows]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, ask every model, print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m bench.pocket", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with any of aid, nwpu_vhr10, rsvqa")
    parser.add_argument("--out", type=Path, default=Path("runs/measured"), help="where files and answers go")
    parser.add_argument("--models", default="pocket,pocket-r1", help="names of the model table or folders")
    parser.add_argument("--limit", type=int, help="rows of each file, evenly spaced")
    parser.add_argument("--write", action="store_true", help="put the numbers beside the checkpoints")
    args = parser.parse_args(arguments)
    files = write_benchmarks(args.data, args.out)
    if not files:
        print(f"{args.data} holds none of aid, nwpu_vhr10 and rsvqa.", file=sys.stderr)
        return 2
    print("| benchmark | model | n | strict % | 95 % interval | mean IoU | well-formed % | majority % |")
    print("|---|---|---|---|---|---|---|---|")
    for model in args.models.split(","):
        measured = []
        for file in files:
            out = args.out / Path(model).name / file.stem
            limit = ["--limit", str(args.limit)] if args.limit else []
            asked = [
                "--model",
                model,
                "--data",
                str(file),
                "--kind",
                BENCHMARKS[file.stem],
                "--out",
                str(out),
            ]
            if evaluate.main([*asked, "--batch", "16", *limit]):
                return 2
            scores = json.loads((out / evaluate.SCORES).read_text())
            low, high = scores["strict_interval"]
            overlap = scores.get("mean_iou")
            print(
                f"| {file.stem} | {model} | {scores['n']} | {percent(scores['strict'])} | {percent(low)}-{percent(high)} "
                f"| {'-' if overlap is None else f'{overlap:.3f}'} | {percent(scores.get('well_formed'))} "
                f"| {percent(scores['majority'])} |",
                flush=True,
            )
            measured.append(out)
        if args.write:
            add_scores(Path(resolve(model).source), measured)
    return 0


if __name__ == "__main__":
    sys.exit(main())
