"""Many questions in one go: every question about every picture, answers one after another.

for asked in ask(sources(["harbour.png", "scenes.zip"]), questions, {"A": spec}, {"A": "pocket"}, stop):
    print(asked.picture, asked.said("A"))

No Gradio in here. Pictures are read one at a time, out of a zip file too, so that memory does not grow with them.
"""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tinyrs.compare import compare
from tinyrs.config import Config
from tinyrs.engine import Engine, Options
from tinyrs.example import Question
from tinyrs.image import BadImage, Picture, open_picture
from tinyrs.models import ModelSpec
from tinyrs.shown import Shown

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff")
"""What is read out of a zip file; anything else in it is passed over."""

MOST = 200
"""Questions times pictures that are asked in one go."""


class TooMuch(ValueError):
    """What was handed in cannot be asked in one go; str(e) is one sentence for the person."""


@dataclass(frozen=True)
class Source:
    """One picture that was handed in: a file, or an entry of a zip file."""

    path: Path
    entry: str = ""

    @property
    def name(self) -> str:
        """The file's own name, without folders."""
        return PurePosixPath(self.entry).name if self.entry else self.path.name

    def open(self) -> Picture:
        """The picture itself. Raises BadImage."""
        if not self.entry:
            return open_picture(self.path)
        most = Config().max_bytes
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(self.entry) as file:
                # The size in a zip file's list is only a claim.
                data = file.read(most + 1)
        except (OSError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, EOFError):
            raise BadImage("This picture cannot be read out of the zip file.") from None
        if len(data) > most:
            raise BadImage(f"This picture is larger than {most // 2**20} MiB.")
        return open_picture(data)


def sources(paths: Sequence[str | Path], most: int = MOST) -> list[Source]:
    """Every picture in files and zip files, in order. Raises TooMuch for more than `most`, none, or a broken zip."""
    found: list[Source] = []
    for path in map(Path, paths):
        if path.suffix.lower() != ".zip":
            found.append(Source(path))
            continue
        try:
            with zipfile.ZipFile(path) as archive:
                names = [entry.filename for entry in archive.infolist() if _picture(entry)]
        except (OSError, ValueError, zipfile.BadZipFile):
            raise TooMuch(f"{path.name} is not a zip file that can be read.") from None
        found += [Source(path, name) for name in names]
        if len(found) > most:
            break
    if not found:
        raise TooMuch(
            "There is no picture in what you chose: PNG, JPEG, WebP, GIF and TIFF are read, also in a zip."
        )
    if len(found) > most:
        raise TooMuch(f"At most {most} pictures are asked about in one go: choose fewer.")
    return found


def _picture(entry: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(entry.filename)
    hidden = path.name.startswith(".") or "__MACOSX" in path.parts
    return not entry.is_dir() and not hidden and path.suffix.lower() in SUFFIXES


@dataclass(frozen=True)
class Asked:
    """One question about one picture: what was answered, or the sentence `error` where the picture cannot be read."""

    picture: str
    question: Question
    shown: Shown | None = None
    error: str = ""

    def as_json(self) -> dict:
        """A line of the results."""
        if self.shown is None:
            question = {"text": self.question.text, "task": self.question.task.value}
            return {"picture": {"name": self.picture}, "question": question, "error": self.error}
        return self.shown.as_json()

    def said(self, side: str) -> str:
        """What a side answered, or why it did not."""
        if self.shown is None:
            return self.error
        answer = self.shown.answers.get(side)
        return self.shown.errors.get(side) or (answer.text if answer else "") or "no answer"


def ask(
    pictures: Sequence[Source],
    questions: Sequence[Question],
    engines: Mapping[str, Engine | ModelSpec],
    models: Mapping[str, str],
    cancelled: threading.Event,
) -> Iterator[Asked]:
    """Put every question to every engine about every picture; what was answered before `cancelled` is set counts.

    `models` names the engine of each side. A picture that cannot be read is told once a question, and the others go on.
    """
    for source in pictures:
        try:
            picture = source.open()
        except BadImage as error:
            yield from (Asked(source.name, question, error=str(error)) for question in questions)
            continue
        base = Shown("", source.name, picture.sha256, (picture.width, picture.height), tuple(picture.notes))
        for question in questions:
            shown = base.next(question, dict(models))
            for event in compare(engines, picture.image, question, Options(), cancelled):
                shown = shown.after(event, cancelled.is_set())
            if cancelled.is_set():
                return
            yield Asked(source.name, question, shown)
