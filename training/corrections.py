"""What people reviewed, mixed into a data set, and what they refused, taken out of it.

    from training.corrections import mix
    rows = mix(examples, "exports/first", dialect="tinyrs", thinking=True)

An export of kind cot_sft or sft brings its accepted captions; `corrections_weight` says how many times as often as
another row each is drawn (training/balance.py). Its manifest names, by checksum, the texts that people rejected or
replaced: rows of the data set that say one of these about the same picture are left out, and so are those that the
export brings itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from tinyrs.example import Example
from tinyrs.prompt import told_digest
from tinyrs.strictjson import BadData, load_json
from training.balance import CORRECTED
from training.data import MANIFEST, Rows, read


class Mixed(Rows):
    """Rows of which the last `corrected` are reviewed captions."""

    def __init__(self, examples, dialect="tinyrs", thinking=False, corrected: int = 0, left_out: int = 0):
        super().__init__(examples, dialect, thinking)
        self.corrected, self.left_out = corrected, left_out

    @property
    def tasks(self) -> list[str]:
        """The task of each row, and whether it was corrected."""
        tasks = super().tasks
        first = len(tasks) - self.corrected
        return tasks[:first] + [task + CORRECTED for task in tasks[first:]]

    def only(self, indices: Sequence[int]) -> Mixed:
        """The rows at `indices`, which are in order."""
        examples = [self.examples[index] for index in indices]
        corrected = sum(index >= len(self.examples) - self.corrected for index in indices)
        return Mixed(examples, self.dialect, self.thinking, corrected, self.left_out)


def mix(examples: Sequence[Example], export: str | Path, dialect: str, thinking: bool) -> Mixed:
    """`examples` without what people refused, and the captions of `export` after them.

    Raises BadData where `export` is no whole export, or one of another kind.
    """
    folder = Path(export)
    reviewed = read(folder, needs_reasoning=thinking) if folder.is_dir() else []
    manifest = load_json(folder / MANIFEST) if folder.is_dir() else {}
    if manifest.get("kind") not in ("cot_sft", "sft"):
        raise BadData(f"{folder} is no export of kind cot_sft or sft; only these can be mixed in.")
    refused = _refused(folder / MANIFEST, manifest)
    for example in reviewed:
        refused.setdefault(_digest(example), set()).add(_sha256(example.picture))
    kept = [
        example
        for example in examples
        if not (pictures := refused.get(_digest(example))) or _sha256(example.picture) not in pictures
    ]
    return Mixed([*kept, *reviewed], dialect, thinking, len(reviewed), len(examples) - len(kept))


def _refused(path: Path, manifest: dict) -> dict[str, set[str]]:
    """{checksum of a text: {sha256 of each picture that it was refused for}}."""
    rows = manifest.get("refused", [])
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and all(isinstance(row.get(name), str) for name in ("picture", "text"))
        for row in rows
    ):
        raise BadData(f'{path} must name in "refused" the picture and the text of each.')
    refused: dict[str, set[str]] = {}
    for row in rows:
        refused.setdefault(row["text"], set()).add(row["picture"])
    return refused


def _digest(example: Example) -> str:
    return told_digest(example.question.text, example.reasoning, example.answer)


def _sha256(path: Path) -> str:
    # An export writes some pictures anew, but names each by the checksum of what was uploaded.
    if path.parent.name == "pictures" and re.fullmatch("[0-9a-f]{64}", path.stem):
        return path.stem
    return hashlib.sha256(path.read_bytes()).hexdigest()
