"""Many questions in one go: every question about every picture, answered in small groups.

for group in ask(sources(["harbour.png", "scenes.zip"]), questions, {"A": spec}, {"A": "pocket"}, stop):
    for asked in group:
        print(asked.picture, asked.said("A"))

No Gradio in here. Pictures are read when their turn comes, out of a zip file too, so that memory does not grow with
them. A group grows while the models are quick and shrinks when they are slow: progress and Stop stay lively.
"""

from __future__ import annotations

import csv
import io
import queue
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from PIL import Image

from tinyrs.compare import Event, compare, lent, read
from tinyrs.config import Config
from tinyrs.engine import Engine, Options, open_engine
from tinyrs.example import Question
from tinyrs.image import BadImage, Picture, open_picture
from tinyrs.models import ModelSpec
from tinyrs.shown import Shown

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff")
"""What is read out of a zip file; anything else in it is passed over."""

MOST = 200
"""Questions times pictures that are asked in one go."""

LARGEST = 16
QUICK, SLOW = 1.0, 3.0
"""The most questions of a group; and the seconds within which a group is followed by a larger one, beyond which by a
smaller one."""


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
    """One question about one picture: what was answered, or the sentence `error` where the picture cannot be read.

    together   how many were asked at once: their times are those of the group
    """

    picture: str
    question: Question
    shown: Shown | None = None
    error: str = ""
    together: int = 1

    def as_json(self) -> dict:
        """A line of the results."""
        if self.shown is None:
            question = {"text": self.question.text, "task": self.question.task.value}
            return {"picture": {"name": self.picture}, "question": question, "error": self.error}
        return {**self.shown.as_json(), "asked_together": self.together}

    def said(self, side: str) -> str:
        """What a side answered, or why it did not."""
        if self.shown is None:
            return self.error
        answer = self.shown.answers.get(side)
        return self.shown.errors.get(side) or (answer.text if answer else "") or "no answer"


def as_csv(rows: Sequence[Asked], models: Mapping[str, str]) -> str:
    """The results as a table for a spreadsheet: one line an answer."""
    out = io.StringIO()
    writer = csv.writer(out)
    told = ("answer", "boxes", "reasoning", "well_formed", "truncated", "seconds", "tokens", "error")
    writer.writerow(["picture", "question", "task", "side", "model", *told, "iou"])
    for row in rows:
        line = row.as_json()
        for side, model in models.items():
            answer = line.get("answers", {}).get(side) or {"error": row.error}
            cells = {
                **answer,
                "reasoning": "\n".join(answer.get("reasoning", ())),
                "boxes": answer.get("boxes") or "",
            }
            start = (row.picture, row.question.text, row.question.task.value, side, model)
            writer.writerow(
                [_cell(cell) for cell in (*start, *(cells.get(key, "") for key in told), line.get("iou"))]
            )
    return out.getvalue()


def _cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula is kept from being one."""
    text = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if text else value


@dataclass
class _Row:
    """An answer that is still to come, and its picture; None where that cannot be read."""

    asked: Asked
    image: Image.Image | None = None


def ask(
    pictures: Sequence[Source],
    questions: Sequence[Question],
    engines: Mapping[str, Engine | ModelSpec],
    models: Mapping[str, str],
    cancelled: threading.Event,
    options: Options = Options(),
    largest: int = LARGEST,
) -> Iterator[list[Asked]]:
    """Put every question to every engine about every picture; what was answered before `cancelled` is set counts.

    `models` names the engine of each side; a group has at most `largest` questions. What one engine cannot answer, and a picture that cannot be read, is told
    in its row, and the others go on.
    """
    rows, size = _rows(pictures, questions, models, options.max_pixels), 1
    while not cancelled.is_set() and (group := _group(rows, size)):
        started = time.monotonic()
        events = _put(engines, [row for row in group if row.image], options, cancelled)
        if cancelled.is_set():
            return
        yield [_answered(row, events, len(group)) for row in group]
        took = time.monotonic() - started
        size = min(2 * size, largest) if took < QUICK else max(1, size // 2) if took > SLOW else size


def _rows(
    pictures: Sequence[Source], questions: Sequence[Question], models: Mapping[str, str], area: int | None
) -> Iterator[_Row]:
    for source in pictures:
        try:
            picture = source.open()
        except BadImage as error:
            yield from (_Row(Asked(source.name, question, error=str(error))) for question in questions)
            continue
        base = Shown("", source.name, picture.sha256, (picture.width, picture.height), tuple(picture.notes))
        for question in questions:
            yield _Row(
                Asked(source.name, question, base.next(question, dict(models), max_pixels=area)),
                picture.image,
            )


def _group(rows: Iterator[_Row], size: int) -> list[_Row]:
    """The next `size` rows; fewer where their pictures would take more memory than the largest single one may."""
    found: list[_Row] = []
    area, last = 0, None
    for row in rows:
        found.append(row)
        if row.image is not None and row.image is not last:
            last = row.image
            area += last.width * last.height
        if len(found) >= size or area > Config().max_pixels // 2:
            break
    return found


def _put(
    engines: Mapping[str, Engine | ModelSpec], rows: list[_Row], options: Options, cancelled: threading.Event
) -> dict[str, dict[int, Event]]:
    """What each side said to each row, by the row's id(); every engine in a thread of its own."""
    if lent():
        return _one_by_one(engines, rows, options, cancelled)
    said: queue.SimpleQueue = queue.SimpleQueue()

    def work(side: str, engine: Engine | ModelSpec) -> None:
        said.put((side, _side(side, engine, rows, options, cancelled)))

    for item in engines.items():
        threading.Thread(target=work, args=item, name=f"tinyrs many {item[0]}", daemon=True).start()
    found: dict[str, dict[int, Event]] = {}
    # A group that is being answered cannot be called back: what comes of it after Stop is not waited for.
    while len(found) < len(engines) and not cancelled.is_set():
        with suppress(queue.Empty):
            side, events = said.get(timeout=0.05)
            found[side] = {id(row): event for row, event in zip(rows, events, strict=True)}
    return found


def _one_by_one(
    engines: Mapping[str, Engine | ModelSpec], rows: list[_Row], options: Options, cancelled: threading.Event
) -> dict[str, dict[int, Event]]:
    """As `_put`, where the models answer in another process: one call of it for all sides of a row."""
    found: dict[str, dict[int, Event]] = {side: {} for side in engines}
    for row in rows:
        for event in compare(engines, row.image, row.asked.question, options, cancelled):
            found[event.side][id(row)] = event
    return found


def _side(
    side: str, engine: Engine | ModelSpec, rows: list[_Row], options: Options, cancelled: threading.Event
) -> list[Event]:
    """The last event of one engine about each row. One row alone is streamed, so that Stop ends it at once."""
    if len(rows) > 1:
        # Where the group fails one of it is at fault: alone, the others are answered, and it says what is wrong.
        with suppress(Exception):
            ready = open_engine(engine) if isinstance(engine, ModelSpec) else engine
            replies = ready.batch([(row.image, row.asked.question) for row in rows], options)
            return [read(Event(side, reply, done=True), ready.spec) for reply in replies]
    events = []
    for row in rows:
        *_, last = compare({side: engine}, row.image, row.asked.question, options, cancelled)
        events.append(last)
    return events


def _answered(row: _Row, events: Mapping[str, Mapping[int, Event]], together: int) -> Asked:
    shown = row.asked.shown
    if shown is None:
        return row.asked
    for side in shown.models:
        shown = shown.after(events[side][id(row)], cancelled=False)
    return replace(row.asked, shown=shown, together=together)
