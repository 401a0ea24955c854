"""The Ask many tab: a list of questions about one picture, or questions about many pictures, in one go."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import gradio as gr

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
                gr.HTML('<p class="fine">Without any, the picture of the Compare tab is taken.</p>')
                self.questions = gr.Textbox(
                    label="Questions, one a line", lines=4, max_lines=12, max_length=50 * LONGEST_QUESTION,
                    placeholder="Is there a road?\nHow many ships are there?", elem_id="many-questions",
                )  # fmt: skip
                self.models = gr.CheckboxGroup(
                    page.offered, value=list(page.pair), label="Models (one or two)", elem_id="many-models"
                )
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
                self.download = gr.DownloadButton(
                    "Download all answers (JSONL)", visible=False, size="md", elem_id="many-download"
                )
        outputs = [self.ask, self.stop, self.progress, self.answers, self.table, self.download]
        private = {"api_visibility": "private", "show_progress": "hidden"}
        self.ask.click(
            self.run, [self.files, self.questions, self.models, compared], outputs, api_name="ask_many",
            concurrency_limit=1, concurrency_id="many", trigger_mode="once", **private,
        )  # fmt: skip
        self.stop.click(self.stop_it, api_name="stop_many", queue=False, **private)
        demo.unload(self.leave)

    def run(
        self, files: list[str] | None, text: str, models: list[str], shown: Shown | None, request: gr.Request
    ):
        page, session = self.page, f"{request.session_hash or secrets.token_hex(8)} many"
        cancelled, rows = None, []
        try:
            asked = questions_of(text)
            if not models or len(models) > len(SIDES):
                raise Sentence("Choose one model or two.")
            names = dict(zip(SIDES, models))
            engines = {side: page.open_engine(page.spec(name)) for side, name in names.items()}
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
            cancelled = page.start(session)
            yield {
                self.ask: gr.update(visible=False), self.stop: gr.update(visible=True),
                self.progress: progress(0, total), self.download: gr.update(visible=False),
                self.answers: gr.update(visible=False),
            }  # fmt: skip
            for one in many.ask(pictures, asked, engines, names, cancelled):
                rows.append(one)
                yield {
                    self.progress: progress(len(rows), total),
                    self.answers: gr.update(visible=True),
                    self.table: gr.update(value=table(rows, names), headers=headers(names)),
                }
            yield self._done(rows, total, "Stopped" if cancelled.is_set() else "Done")
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

    def _done(self, rows: list[many.Asked], total: int, word: str) -> dict:
        update = {
            self.ask: gr.update(visible=True),
            self.stop: gr.update(visible=False),
            self.progress: progress(len(rows), total, word),
        }
        if rows:
            file = Path(self.download.GRADIO_CACHE) / secrets.token_hex(16) / "tinyrs-answers.jsonl"
            file.parent.mkdir(parents=True)
            lines = (json.dumps(row.as_json(), ensure_ascii=False) + "\n" for row in rows)
            file.write_text("".join(lines), encoding="utf-8")
            update[self.download] = gr.update(value=str(file), visible=True)
        return update

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
        "<p>They can be downloaded as JSONL: one line an answer, with reasoning, boxes, times and tokens.</p></div>"
    )


def progress(done: int, total: int, word: str = "Asked") -> str:
    """How far it is, in words and as a bar."""
    return (
        f'<p class="many-progress" role="status"><progress value="{done}" max="{total}" aria-label="Answers so far">'
        f"</progress> {word}: {done} of {total}.</p>"
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
