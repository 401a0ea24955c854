"""A benchmark as a task of other people's evaluation programs: lmms-eval and VLMEvalKit.

    python -m training.evaluate export-task cls_AID.json --kind cls --for lmms-eval --out tasks/aid
    python -m training.evaluate export-task LHRS-Bench.json --kind choice --for vlmevalkit --out LMUData

lmms-eval gets a folder: NAME.yaml, utils.py (training/lmms_task.py: this project's score) and the questions with their
pictures, saved by `datasets`. VLMEvalKit gets NAME.tsv with questions of lettered choices, which is what it scores without
code of its own; docs/harnesses.md says what is in the way of the rest.
"""

from __future__ import annotations

import argparse
import base64
import csv
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tinyrs.benchmarks import KINDS, layout_scale, read_evaluation
from tinyrs.datasets import scale_of
from tinyrs.example import Example
from tinyrs.prompt import choices, messages
from tinyrs.strictjson import BadData, load_json

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FORMATS = ("lmms-eval", "vlmevalkit")


def lmms_eval(examples: Sequence[Example], kind: str, name: str, out: Path, dialect: str = "tinyrs") -> Path:
    """Write the task into the folder `out`; returns its YAML."""
    import yaml
    from datasets import Dataset, DatasetDict, Features, Image, List, Value

    text = Value("string")
    features = Features(
        {"image": Image(), "question": text, "asked": text, "answer": text, "kind": text, "dialect": text}
        | {"labels": List(text), "types": List(text)}
    )

    def rows():
        for example in examples:
            asked = messages(example.question, dialect)[-1]["content"][-1]["text"]
            yield {
                "image": {"bytes": example.picture.read_bytes(), "path": None},
                "question": example.question.text,
                "asked": asked,
                "answer": example.answer,
                "kind": kind,
                "dialect": dialect,
                "labels": list(example.question.labels),
                "types": list(example.kinds),
            }

    out.mkdir(parents=True, exist_ok=True)
    DatasetDict(test=Dataset.from_list(list(rows()), features=features)).save_to_disk(out / "data")
    shutil.copyfile(Path(__file__).with_name("lmms_task.py"), out / "utils.py")
    metrics = ["strict", "iou"] if kind == "grounding" else ["strict"]
    told = {
        "task": name,
        # lmms-eval opens this path as it stands, from wherever it is started.
        "dataset_path": str((out / "data").resolve()),
        "dataset_kwargs": {"load_from_disk": True},
        "test_split": "test",
        "output_type": "generate_until",
        "generation_kwargs": {"max_new_tokens": 1024, "temperature": 0, "do_sample": False},
        "metric_list": [
            {"metric": each, "aggregation": "mean", "higher_is_better": True} for each in metrics
        ],
        "metadata": [{"version": 1.0}],
    }
    calls = ("doc_to_visual", "doc_to_text", "doc_to_target", "process_results")
    lines = "".join(f"{call}: !function utils.{call}\n" for call in calls)
    path = out / f"{name}.yaml"
    path.write_text(yaml.safe_dump(told, sort_keys=False, allow_unicode=True) + lines, encoding="utf-8")
    return path


def options(example: Example, kind: str) -> tuple[tuple[str, ...], str]:
    """(the choices, the letter of the true one) of a question with lettered choices; BadData for any other."""
    if kind == "choice":
        offered = choices(example.question.text)
        found, letter = tuple(text for _, text in offered), example.answer.strip(" .()")[:1].upper()
    else:
        found = example.question.labels if len(example.question.labels) <= len(LETTERS) else ()
        told = [label.casefold() for label in found]
        answer = example.answer.casefold()
        letter = LETTERS[told.index(answer)] if answer in told else ""
    if len(found) < 2 or not letter or letter not in LETTERS[: len(found)]:
        raise BadData(
            f"{example.source}: VLMEvalKit scores questions with 2 to {len(LETTERS)} lettered choices by itself; this "
            f"one has {len(example.question.labels) if kind != 'choice' else len(found)}: "
            f"{example.question.text[:120]!r}."
        )
    return found, letter


def vlmevalkit(examples: Sequence[Example], kind: str, name: str, out: Path) -> Path:
    """Write NAME.tsv into the folder `out`; returns it."""
    if kind == "grounding":
        raise BadData("VLMEvalKit scores boxes only with a class of its own: export grounding for lmms-eval.")
    told = [options(example, kind) for example in examples]
    letters = LETTERS[: max((len(found) for found, _ in told), default=0)]
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.tsv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, delimiter="\t", lineterminator="\n")
        rows.writerow(["index", "image", "question", *letters, "answer", "category"])
        for number, (example, (found, letter)) in enumerate(zip(examples, told, strict=True)):
            picture = base64.b64encode(example.picture.read_bytes()).decode()
            asked = example.question.text
            if kind == "choice":  # VLMEvalKit puts the choices there itself
                asked = re.split(r"\s*\b(?:choices|options)\s?:", asked, maxsplit=1, flags=re.I)[0]
            cells = [*found, *[""] * (len(letters) - len(found))]
            rows.writerow([number, picture, " ".join(asked.split()), *cells, letter, "/".join(example.kinds)])
    return path


def export_command(argv: Sequence[str]) -> int:
    """The command `python -m training.evaluate export-task`."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate export-task",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, metavar="FILE.json", help="a JSON file of the evaluation layout")
    parser.add_argument("--kind", required=True, choices=KINDS, help="what the rows ask for")
    parser.add_argument("--for", dest="program", required=True, choices=FORMATS, help="the program")
    parser.add_argument(
        "--out", required=True, type=Path, help="folder for the task (LMUData for vlmevalkit)"
    )
    parser.add_argument("--name", help="the task's name (default: tinyrs_ and the file's)")
    parser.add_argument("--image_dir", type=Path, help="where the pictures are, if not where the file says")
    parser.add_argument("--box_scale", help='what the true boxes run to: 1000, 100, 1, or "pixels"')
    parser.add_argument("--dialect", default="tinyrs", help="how the model is asked and answers (tinyrs)")
    args = parser.parse_args(argv)
    scale = scale_of(args.box_scale)
    if args.kind == "grounding" and scale is None:
        scale = layout_scale(args.data, load_json(args.data))
    examples = read_evaluation(args.data, args.kind, args.image_dir, scale)
    name = args.name or "tinyrs_" + re.sub(r"\W+", "_", args.data.stem).strip("_").lower()
    if not re.fullmatch(r"\w{1,80}", name):
        raise BadData("A task's name is made of letters, digits and _.")
    try:
        if args.program == "lmms-eval":
            path = lmms_eval(examples, args.kind, name, args.out, args.dialect)
        else:
            path = vlmevalkit(examples, args.kind, name, args.out)
    except ValueError as error:
        raise BadData(str(error)) from None
    print(f"{path}: {len(examples)} questions.", file=sys.stderr)
    return 0
