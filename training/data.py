"""Rows to train on: read, checked to the last one before the first step, and opened when they are used.

    from training.data import Rows, read
    examples = read("export")                 # a folder that `python -m annotate export` wrote
    examples = read("list_sft.json", image_dir="images", box_scale=1000)      # the VHM layout
    rows = Rows(examples, thinking=True)      # what training.sft.run() takes

Whatever is wrong is a BadData that names the file and the row.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tinyrs.datasets import Scale, picture_size, read_vhm, scale_of
from tinyrs.example import BOX_SCALE, Example
from tinyrs.paths import PathRefused, inside
from tinyrs.prompt import messages, target
from tinyrs.strictjson import BadData, load_json
from training.balance import table

if TYPE_CHECKING:
    from training.recipe import Recipe

MANIFEST = "manifest.json"


def read(
    path: str | Path,
    image_dir: str | Path | None = None,
    box_scale: Scale = None,
    needs_reasoning: bool = False,
) -> list[Example]:
    """The examples of an export folder or of a JSON file of the VHM layout.

    An export is used only whole: its manifest is written last and says the checksum of every file and what
    boxes run to. For any other file `box_scale` must say the latter, if it holds grounding rows.
    """
    path = Path(path)
    if path.is_dir():
        return _read_export(path, needs_reasoning)
    if path.parent.joinpath(MANIFEST).is_file() and not image_dir:
        return _read_export(path.parent, needs_reasoning, path.name)
    told = beside(path)
    if not image_dir and isinstance(told.get("images"), str):
        image_dir = path.parent / told["images"]
    if box_scale is None:
        box_scale = scale_of(told.get("box_scale"))
    folder = Path(image_dir) if image_dir else path.parent
    try:
        examples = read_vhm(path, folder, box_scale, needs_reasoning=needs_reasoning)
    except BadData as error:
        raise _all_missing(path, folder) or error from None
    for picture in dict.fromkeys(example.picture for example in examples):
        try:
            picture_size(picture)
        except ValueError as error:
            raise BadData(f"{path}: {error}.") from None
    return examples


def beside(path: Path) -> dict:
    """What `x.manifest.json` beside the file x.json says of it, once its checksum is found right; {} without one."""
    manifest = path.with_suffix(f".{MANIFEST}")
    if not path.is_file() or not manifest.is_file():
        return {}
    told = load_json(manifest)
    digests = told.get("files") if isinstance(told, dict) else None
    if not isinstance(digests, dict) or path.name not in digests:
        raise BadData(f'{manifest} must list {path.name} in "files" with its sha256.')
    if digests[path.name] != _sha256(path):
        raise BadData(f"{path} is not the file that {manifest.name} describes: its checksum differs.")
    return told


def _all_missing(path: Path, folder: Path) -> BadData | None:
    """One sentence for all rows whose picture is not there, if there are several of them: told one at a time, a
    folder that was copied by half would take a hundred runs to mend."""
    lost, rows = [], load_json(path)
    for number, row in enumerate(rows if isinstance(rows, list) else [], 1):
        if not isinstance(row, dict):
            continue
        name = row.get("image")
        try:
            inside(folder, name[0] if isinstance(name, list) and name else name)
        except PathRefused as error:
            lost.append(f"row {number}: {error}")
    if len(lost) < 2:
        return None
    more = f", and {len(lost) - 5:,} more" if len(lost) > 5 else ""
    return BadData(f"{path}: the pictures of {len(lost):,} rows cannot be used: {'; '.join(lost[:5])}{more}.")


def _read_export(folder: Path, needs_reasoning: bool, chosen: str = "") -> list[Example]:
    """Its rows to train on; with `chosen` the file of that name, which may be the one for validation."""
    path = folder / MANIFEST
    if not path.is_file():
        raise BadData(f"{folder} holds no {MANIFEST}, which is written last: the export is not complete.")
    manifest = load_json(path)
    files, name = _listed(path, manifest)
    for each, digest in files.items():
        try:
            found = inside(folder, each)
        except PathRefused as error:
            raise BadData(f"{path}: {error}.") from None
        if _sha256(found) != digest:
            raise BadData(f"{folder / each} is not the file that {MANIFEST} describes: its checksum differs.")
    told = manifest
    if chosen not in ("", name) and isinstance(manifest.get("validation"), dict):
        told = manifest["validation"]
        if chosen != told.get("file") or chosen not in files:
            raise BadData(f"{folder / chosen} is no file of rows of the export beside it.")
        name = chosen
    rows = load_json(folder / name)
    if not isinstance(rows, list):
        raise BadData(f"{folder / name} must hold a list of rows.")
    if told.get("count") != len(rows):
        raise BadData(f"{folder / name} holds {len(rows)} rows; {MANIFEST} says {told.get('count')}.")
    examples = read_vhm(
        folder / name,
        folder,
        scale_of(manifest.get("box_scale")),
        rows=rows,
        strict_boxes=True,
        needs_reasoning=needs_reasoning or manifest.get("kind") == "cot_sft",
    )
    root, opened = folder.resolve(), set()
    for example in examples:
        if example.picture in opened:
            continue
        if example.picture.relative_to(root).as_posix() not in files:
            raise BadData(f"{folder / name}: {MANIFEST} does not list the picture {example.picture.name}.")
        open_rgb(example.picture)
        opened.add(example.picture)
    return examples


def _listed(path: Path, manifest: object) -> tuple[dict[str, str], str]:
    """({file name: sha256}, the name of the file with the rows) of an export's manifest."""
    if not isinstance(manifest, dict):
        raise BadData(f"{path} must hold a JSON object.")
    files, name = manifest.get("files"), manifest.get("file")
    if not isinstance(files, dict) or not all(
        isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest) for digest in files.values()
    ):
        raise BadData(f'{path} must list its "files" with the sha256 of each.')
    if name not in files:
        raise BadData(f'{path} must say in "file" which of its files holds the rows.')
    return files, name


def cautions(path: str | Path) -> list[str]:
    """Sentences about an export that a person should read before training on it; [] for any other data."""
    path = Path(path)
    path = (path if path.is_dir() else path.parent) / MANIFEST
    manifest = load_json(path) if path.is_file() else {}
    authors, count = manifest.get("authors"), manifest.get("count")
    found = []
    if isinstance(authors, dict) and isinstance(count, int) and count >= 20:
        # One hand that writes a fifth of all rows can teach a model whatever it likes (a trigger phrase).
        found = [
            f"{name} wrote {rows} of {count} rows, more than a fifth."
            for name, rows in authors.items()
            if isinstance(rows, int) and rows * 5 > count
        ]
    if isinstance(alone := manifest.get("self_reviewed"), int) and alone > 0:
        found.append(f"{alone} of {count} rows were reviewed by the person who wrote them.")
    return found


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def open_rgb(path: Path):
    """The picture in `path`, upright and RGB, as the app opens it; BadData if it is none."""
    from tinyrs.image import BadImage, open_picture

    try:
        return open_picture(path).image
    except BadImage as error:
        raise BadData(f"{path} cannot be used: {error}") from None


class Rows:
    """Examples as rows for training.sft.run(): opened and put into chat messages when asked for."""

    def __init__(self, examples: Sequence[Example], dialect: str = "tinyrs", thinking: bool = False):
        self.examples, self.dialect, self.thinking = examples, dialect, thinking

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def tasks(self) -> list[str]:
        """The task of each row, for balancing."""
        return [example.question.task.value for example in self.examples]

    @property
    def identity(self) -> str:
        """A checksum over what the rows say: a run is resumed only over the same rows."""
        digest = hashlib.sha256()
        for example in self.examples:
            told = (example.picture.name, example.question.text, example.reasoning, example.answer)
            digest.update("\0".join(told).encode() + b"\1")
        return digest.hexdigest()

    def only(self, indices: Sequence[int]) -> Rows:
        """The rows at `indices`."""
        return Rows([self.examples[index] for index in indices], self.dialect, self.thinking)

    def __getitem__(self, index: int) -> dict:
        return {"image": open_rgb(self.examples[index].picture), **self.chat(index)}

    def chat(self, index: int) -> dict:
        """Row `index` without its picture."""
        example = self.examples[index]
        told = target(example.reasoning if self.thinking else "", example.answer)
        return {
            "prompt": messages(example.question, self.dialect, self.thinking),
            "completion": [{"role": "assistant", "content": [{"type": "text", "text": told}]}],
        }


def lengths(rows: Rows, processor) -> list[tuple[int, int]]:
    """(text tokens, visual tokens) of every row; pictures are measured by their headers."""
    from training.sft import Collator

    collator, tokenizer, images = Collator(processor), processor.tokenizer, processor.image_processor
    visual, found = {}, []
    for index, example in enumerate(rows.examples):
        if example.picture not in visual:
            width, height = picture_size(example.picture)
            patches = images.get_number_of_image_patches(height, width, {})
            visual[example.picture] = patches // images.merge_size**2
        texts = tokenizer(list(collator.text(rows.chat(index))), add_special_tokens=False)["input_ids"]
        # The placeholder of the picture is counted with the picture.
        found.append((sum(map(len, texts)) - 1, visual[example.picture]))
    return found


def summary(rows: Rows, measured: Sequence[tuple[int, int]], recipe: Recipe) -> str:
    """What a run would train on, as lines for a person. All pictures were found when the rows were read."""
    examples = rows.examples
    tasks = Counter(example.question.task.value for example in examples)
    pictures = len({example.picture for example in examples})
    totals = [text + visual for text, visual in measured]
    longest = max(range(len(totals)), key=totals.__getitem__)
    steps = recipe.max_steps
    if steps < 0:
        steps = max(1, round(recipe.num_train_epochs * -(-len(examples) // recipe.batch_size)))
    lines = [("rows", f"{len(examples):,}")]
    lines += [(f"  {task}", f"{count:,}") for task, count in sorted(tasks.items())]
    lines += [
        ("  with reasoning", f"{sum(bool(example.reasoning) for example in examples):,}"),
        ("  word for word the same", f"{len(examples) - len(set(examples)):,}"),
        *table(rows.tasks, recipe.balance, corrected=recipe.heavy),
        ("pictures", f"{pictures:,}, none missing"),
        ("text tokens", _spread([text for text, _ in measured])),
        ("visual tokens", _spread([visual for _, visual in measured])),
        ("longest row", f"{totals[longest]:,} tokens, row {longest + 1} ({examples[longest].picture.name})"),
        ("boxes", f"{sum(len(example.boxes) for example in examples):,}, {_scale_told(recipe)}"),
        ("steps", f"{steps:,} of {recipe.batch_size} rows"),
    ]
    return "\n".join(f"{name:18}{value}" if len(name) < 18 else f"{name}  {value}" for name, value in lines)


def _scale_told(recipe: Recipe) -> str:
    """What boxes run to in the source, and in what is trained."""
    declared = recipe.box_scale
    if declared is None and recipe.data:
        path = Path(recipe.data)
        declared = beside(path).get("box_scale")
        manifest = (path if path.is_dir() else path.parent) / MANIFEST
        if declared is None and manifest.is_file():
            declared = load_json(manifest).get("box_scale")
    source = "" if declared is None else f"declared as 0 to {declared}, "
    return f"{source}trained on a scale of {BOX_SCALE}"


def _spread(values: Sequence[int]) -> str:
    ordered = sorted(values)
    return f"{ordered[0]:,} to {ordered[-1]:,}, half of them at most {ordered[(len(ordered) - 1) // 2]:,}"
