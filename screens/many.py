"""The Ask many tab: a list of questions about one picture, or questions about many pictures, in one go."""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path

import gradio as gr

from screens import size
from screens.page import Page, Sentence, sentence
from tinyrs import many, render
from tinyrs.shown import SIDES, Shown
from tinyrs.suggestions import LONGEST_QUESTION
from tinyrs.suggestions import question as read_question

SHOWN = 200
"""Rows of the table: as many as can be asked."""


class Many:
    """The tab's components and what happens on each event. `compared` is the Compare tab's state."""

    def __init__(self, demo: gr.Blocks, page: Page, compared: gr.State):
        self.page = page
        with gr.Row(elem_classes="desk"):
            with gr.Column(scale=4, min_width=320, elem_classes="pane"):
                self.files = gr.File(
                    label="Pictures, or a zip of pictures", file_count="multiple", type="filepath",
                    file_types=[*many.SUFFIXES, ".zip"], elem_id="many-files", height=150,
                )  # fmt: skip
                self.folder = gr.UploadButton(
                    "Or a whole folder",
                    file_count="directory",
                    type="filepath",
                    size="sm",
                    elem_id="many-folder",
                )
                gr.HTML('<p class="fine">Without any, the picture of the Compare tab is taken.</p>')
                self.questions = gr.Textbox(
                    label="Questions, one a line", lines=4, max_lines=12, max_length=50 * LONGEST_QUESTION,
                    placeholder="Is there a road?\nHow many ships are there?", elem_id="many-questions",
                )  # fmt: skip
                self.models = gr.CheckboxGroup(
                    page.offered, value=list(page.pair), label="Models (one or two)", elem_id="many-models"
                )
                self.size = size.chips("many-size")
                with gr.Row(elem_classes="actions"):
                    self.ask = gr.Button("Ask all", variant="primary", size="md", elem_id="many-ask")
                    self.stop = gr.Button("Stop", visible=False, size="md", elem_id="many-stop")
                gr.HTML(
                    f'<p class="fine">At most {many.MOST} answers of each model in one go. Nothing is stored; uploads are '
                    "deleted after a day.</p>"
                )
            with gr.Column(scale=8, min_width=320):
                self.progress = gr.HTML(waiting(), elem_id="many-progress")
                with gr.Column(visible=False) as self.answers:
                    self.table = gr.Dataframe(
                        headers=["Picture", "Question", "A", "B"], datatype="str", interactive=False, wrap=True,
                        label="Answers", elem_id="many-table", max_height=520,
                    )  # fmt: skip
                with gr.Row(visible=False, elem_classes=["actions", "after"]) as self.files_made:
                    self.download = gr.DownloadButton("Download as JSONL", size="md", elem_id="many-download")
                    self.sheet = gr.DownloadButton("Download as CSV", size="md", elem_id="many-csv")
        made = [self.files_made, self.download, self.sheet]
        outputs = [self.ask, self.stop, self.progress, self.answers, self.table, *made]
        private = {"api_visibility": "private", "show_progress": "hidden"}
        self.folder.upload(
            self.of_folder,
            self.folder,
            [self.files, self.progress],
            api_name="many_folder",
            queue=False,
            **private,
        )
        self.ask.click(
            self.run, [self.files, self.questions, self.models, compared, self.size], outputs, api_name="ask_many",
            concurrency_limit=1, concurrency_id="many", trigger_mode="once", **private,
        )  # fmt: skip
        self.stop.click(self.stop_it, api_name="stop_many", queue=False, **private)
        demo.unload(self.leave)

    def run(
        self,
        files: list[str] | None,
        text: str,
        models: list[str],
        shown: Shown | None,
        request: gr.Request,
        large: str = "full",
    ):
        page, session = self.page, f"{request.session_hash or secrets.token_hex(8)} many"
        cancelled, rows = None, []
        try:
            asked = questions_of(text)
            if not models or len(models) > len(SIDES):
                raise Sentence("Choose one model or two.")
            names = dict(zip(SIDES, models))
            specs = {side: page.spec(name) for side, name in names.items()}
            engines = {side: page.open_engine(spec) for side, spec in specs.items()}
            how = size.options(specs.values(), large)
            if files:
                pictures = many.sources(files)
            elif shown is not None:
                pictures = [many.Source(Path(shown.path))]
            else:
                raise Sentence("Choose pictures first, or show one in the Compare tab.")
            total = len(pictures) * len(asked)
            if total > many.MOST:
                raise Sentence(
                    f"{len(pictures)} pictures times {len(asked)} questions are {total:,} answers; at most {many.MOST} are "
                    "asked for in one go."
                )
            cancelled, started = page.start(session), time.monotonic()
            yield {
                self.ask: gr.update(visible=False), self.stop: gr.update(visible=True),
                self.progress: progress(0, total), self.files_made: gr.update(visible=False),
                self.answers: gr.update(visible=False),
            }  # fmt: skip
            for group in many.ask(pictures, asked, engines, names, cancelled, how):
                rows += group
                left = (time.monotonic() - started) / len(rows) * (total - len(rows))
                yield {self.progress: progress(len(rows), total, left=left), **self._table(rows, names)}
            yield self._done(rows, names, total, "Stopped" if cancelled.is_set() else "Done")
        except GeneratorExit:
            raise
        except Exception as error:
            said = str(error) if isinstance(error, many.TooMuch) else sentence(error)
            yield {
                self.progress: render.notice(said), self.ask: gr.update(visible=True),
                self.stop: gr.update(visible=False),
            }  # fmt: skip
        finally:
            if cancelled is not None:
                page.finish(session, cancelled)

    def _done(self, rows: list[many.Asked], names: dict[str, str], total: int, word: str) -> dict:
        update = {
            self.ask: gr.update(visible=True),
            self.stop: gr.update(visible=False),
            self.progress: progress(len(rows), total, word),
            **self._table(
                rows, names
            ),  # once more: of updates in a row the browser may leave out all but the last
        }
        if rows:
            lines = (json.dumps(row.as_json(), ensure_ascii=False) + "\n" for row in rows)
            update[self.files_made] = gr.update(visible=True)
            update[self.download] = self._file("tinyrs-answers.jsonl", "".join(lines))
            # The mark at the start tells Excel that this is UTF-8.
            update[self.sheet] = self._file("tinyrs-answers.csv", "\ufeff" + many.as_csv(rows, names))
        return update

    def _table(self, rows: list[many.Asked], names: dict[str, str]) -> dict:
        return {
            self.answers: gr.update(visible=bool(rows)),
            self.table: gr.update(
                value=table(rows, names),
                headers=headers(names),
                column_widths=["20%", "30%", *[f"{50 // len(names)}%"] * len(names)],
            ),
        }

    def _file(self, name: str, text: str) -> dict:
        file = Path(self.download.GRADIO_CACHE) / secrets.token_hex(16) / name
        file.parent.mkdir(parents=True)
        # A model may write half a letter, which no file can hold.
        file.write_text(text, encoding="utf-8", errors="replace", newline="")
        return gr.update(value=str(file))

    def of_folder(self, paths: list[str] | None) -> dict:
        """The pictures of a folder; whatever else lies in it is passed over."""
        found = [path for path in paths or () if Path(path).suffix.lower() in many.SUFFIXES]
        if not found:
            return {self.progress: render.notice("There is no picture in that folder.")}
        return {self.files: found, self.progress: waiting()}

    def stop_it(self, request: gr.Request):
        self.page.stop(f"{request.session_hash} many")

    def leave(self, request: gr.Request):
        self.page.stop(f"{request.session_hash} many")


def questions_of(text: str | None) -> list:
    """The questions of a text, one a line. Raises Sentence without any, and BadQuestion for one that is too long."""
    lines = [line for line in (text or "").splitlines() if line.strip()]
    if not lines:
        raise Sentence("Type at least one question, one a line.")
    return [read_question(line) for line in lines]


def waiting() -> str:
    """What stands there before anything is asked."""
    return (
        '<div class="nothing-yet"><p><b>Answers appear here</b>, one row for each picture and question.</p>'
        "<p>They can be downloaded as JSONL or CSV, with reasoning, boxes, times and tokens.</p></div>"
    )


def progress(done: int, total: int, word: str = "Asked", left: float = 0) -> str:
    """How far it is, in words and as a bar; `left`: about how many seconds it will still take."""
    more = (
        ""
        if left < 2
        else f" About {left:.0f} s left."
        if left < 100
        else f" About {left / 60:.0f} minutes left."
    )
    return (
        f'<p class="many-progress" role="status"><progress value="{done}" max="{total}" aria-label="Answers so far">'
        f"</progress> {word}: {done} of {total}.{more}</p>"
    )


def headers(names: dict[str, str]) -> list[str]:
    """The table's columns for one model or two."""
    return ["Picture", "Question", *(f"{side}: {name}" for side, name in names.items())]


def table(rows: list[many.Asked], names: dict[str, str]) -> list[list[str]]:
    """The table's rows."""
    return [
        [render.plain(cell) for cell in (row.picture, row.question.text, *(row.said(side) for side in names))]
        for row in rows[-SHOWN:]
    ]
