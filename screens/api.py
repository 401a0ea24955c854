"""What programs may call by name: ask, compare, flag, delete, next_item, submit, stats, export. docs/api.md shows how.

Plain values go in and one JSON object comes out. An endpoint asks for the same rights as the page does and runs the
same code below; every other event of the page is private. A mistake of the caller's is an error with one sentence.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path

import gradio as gr

from annotate import queue
from annotate.export import export as write_export
from annotate.rules import Conflict
from screens.page import Page, look_at, new_key, sentence
from tinyrs import render
from tinyrs.compare import compare as run
from tinyrs.engine import Options
from tinyrs.example import Task
from tinyrs.image import open_picture
from tinyrs.shown import Shown
from tinyrs.suggestions import question as read_question

NAMES = ("ask", "compare", "flag", "delete", "next_item", "submit", "stats", "export")
"""All endpoints that are offered. A test holds that there are no others."""

READING = ("ask", "stats")
"""Those that change nothing and lease nothing: what a language model's tools may call (TINYRS_MCP=1).

`compare` is not among them, because it can be told to keep."""


def endpoints(page: Page) -> None:
    """Add the endpoints to the page, inside its `gr.Blocks`."""
    store, people = page.store, page.people

    def ask(picture: str, question: str, model: str, task: str):
        """Ask one model about a picture.

        Args:
            picture: PNG, JPEG, WebP, GIF, TIFF or GeoTIFF; for a tool, as a data: URL (no other address is fetched)
            question: what you want to know
            model: one of the models on offer; empty for the first
            task: any, classification, vqa, grounding, counting, captioning or open; empty leaves it to the question
        Returns:
            model, reasoning (steps), answer, boxes (0 to 1000 of the width and height), well_formed, seconds, tokens
        """
        shown = _answered(page, picture, question, {"A": model or page.pair[0]}, task)
        result = shown.as_json()
        return {"picture": result["picture"], "question": result["question"], **_side(result["answers"]["A"])}

    def compare(
        picture: str, question: str, model_a: str, model_b: str, task: str, keep: bool, receipt: str,
        request: gr.Request,
    ):  # fmt: skip
        """Ask two models the same about a picture.

        Args:
            picture: PNG, JPEG, WebP, GIF, TIFF or GeoTIFF
            question: what you want to know
            model_a: the first model; empty for the page's own
            model_b: the second model; empty for the page's own
            task: as for ask
            keep: whether the comparison and its picture are stored, so that they can be flagged
            receipt: one that you were given before, so that one is enough to delete all; empty for a new one
        Returns:
            picture, question, answers of A and B, iou of their first boxes, record: its id if it was kept, and receipt:
            what delete takes it back by, "" where nothing was kept or a login stands for it
        """
        receipt, holder = _receipt(page, request, receipt) if keep else ("", "")
        names = {"A": model_a or page.pair[0], "B": model_b or page.pair[1]}
        shown = _answered(page, picture, question, names, task)
        if keep:
            shown = page.keep(shown, page.visitor(request), holder)
        result = shown.as_json()
        sides = {side: _side(answer) for side, answer in result["answers"].items()}
        return {**result, "answers": sides, "record": shown.run, "receipt": receipt}

    def flag(
        record: str, side: str, reasons: list[str], request: gr.Request, note: str = "", receipt: str = ""
    ) -> dict:
        """Say what is wrong with an answer of a kept comparison.

        Args:
            record: the id that compare gave
            side: A or B
            reasons: one or more of the reasons on the page, such as "wrong box"
            note: anything else
            receipt: one that you were given before, such as that of compare; empty for a new one
        Returns:
            flag: its number, and receipt: as for compare
        """
        author, (receipt, holder) = page.visitor(request), _receipt(page, request, receipt)
        number = store.add_flag(record, side, reasons, render.plain(note or ""), author=author, holder=holder)
        return {"flag": number, "receipt": receipt}

    def delete(request: gr.Request, receipt: str = "") -> dict:
        """Take back for good what was stored under a receipt, or by your login: comparisons, flags and votes, with their
        words and pictures.

        Args:
            receipt: what compare or flag gave; empty where you are logged in
        Returns:
            deleted: how many runs, flags and votes
        """
        if not receipt and not people.login(request):
            raise gr.Error("A receipt is missing: compare and flag give one.", print_exception=False)
        return {"deleted": store.delete_held(_receipt(page, request, receipt)[1])}

    def next_item(request: gr.Request, name: str = "") -> dict:
        """The caption that waits for you to correct it, leased to you for a while; {"item": null} where none waits.

        Args:
            name: your name where nobody logs in
        """
        person = people.may(request, "correct", name)
        return {"item": _item(page, queue.next_to_annotate(store, person))}

    def submit(revision: int, reasoning: str, answer: str, request: gr.Request, name: str = "") -> dict:
        """Save a correction of a caption; a reviewer accepts it later.

        Args:
            revision: the one that next_item gave, on which the correction builds
            reasoning: the reasoning as it should read, one step a line
            answer: the answer as it should read
            name: your name where nobody logs in
        Returns:
            revision: the new one's number. {"conflict": ...} with the other text where somebody saved first
        """
        person = people.may(request, "correct", name)
        if type(revision) is not int:
            raise gr.Error("A revision is a number that next_item gave.", print_exception=False)
        try:
            saved = store.save_correction(revision, reasoning=reasoning, answer=answer, author=person)
        except Conflict as error:
            other = error.other
            texts = {key: other[key] for key in ("author", "reasoning", "answer")}
            return {"conflict": {"revision": other["id"], **texts}}
        queue.release(store, store.revision(saved)["caption"], person)
        return {"revision": saved}

    def stats() -> dict:
        """How much there is of everything: runs, votes, flags, captions by state, reviews, exports."""
        return store.stats()

    def export(request: gr.Request, kind: str = "cot_sft", name: str = "") -> dict:
        """The accepted captions as training reads them, without their pictures.

        Args:
            kind: cot_sft, sft, grpo or another kind that python -m annotate export knows
            name: your name where nobody logs in
        Returns:
            manifest, and files: the content of each by name
        """
        people.may(request, "export", name)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "export"
            manifest = write_export(store, out, kind)
            named = [path for path in out.iterdir() if path.is_file() and path.name != "manifest.json"]
            return {
                "manifest": manifest,
                "files": {path.name: json.loads(path.read_bytes()) for path in named},
            }

    models = {"concurrency_limit": 1, "concurrency_id": "models"}
    # A picture comes through Gradio's own component: it takes uploads only, never a path of this machine.
    text, tick = {"value": "", "visible": False}, gr.Checkbox(False, visible=False, label="keep")
    picture = gr.File(visible=False, type="filepath", label="picture")
    receipt = gr.Textbox(label="receipt", **text)
    fields = [gr.Textbox(label=label, **text) for label in ("question", "model", "task")]
    more = [gr.Textbox(label=label, **text) for label in ("question", "model_a", "model_b", "task")]
    for handler, inputs in ((ask, [picture, *fields]), (compare, [picture, *more, tick, receipt])):
        button = gr.Button(visible=False)
        button.click(_told(handler), inputs, gr.JSON(visible=False), api_name=handler.__name__, **models)
    for handler in (flag, delete, next_item, submit, stats, export):
        gr.api(_told(handler), api_name=handler.__name__, concurrency_limit=4, concurrency_id="api")


def only_reading(demo: gr.Blocks) -> None:
    """Take away every tool of Gradio's MCP server but those that read: it makes one of each endpoint."""
    if server := demo.mcp_server_obj:
        server.tool_to_endpoint = {
            name: endpoint
            for name, endpoint in server.tool_to_endpoint.items()
            if endpoint.removeprefix("/") in READING
        }


def _told(handler: Callable) -> Callable:
    """`handler`, whose errors are sentences for the caller: never the text of an exception."""

    @wraps(handler)
    def safe(*args):
        try:
            return handler(*args)
        except gr.Error:
            raise
        except Exception as error:
            raise gr.Error(sentence(error), print_exception=False) from None

    return safe


def _receipt(page: Page, request: gr.Request, given: str | None) -> tuple[str, str]:
    """The receipt under which a caller's things are stored, and whom it stands for in the store: the one that was given,
    or a new one. Of somebody who is logged in ("", the login)."""
    if page.people.login(request):
        return "", page.holder(request, None)
    receipt = given or new_key()
    holder = page.holder(request, receipt)
    if not holder:
        raise gr.Error("That is no receipt: compare and flag give one.", print_exception=False)
    return receipt, holder


def _answered(page: Page, path: str | None, text: str, names: dict[str, str], task: str) -> Shown:
    """The picture and question past the models of `names`, to the end."""
    if not path:
        raise gr.Error("A picture is missing.", print_exception=False)
    question = read_question(text)
    if task and task != "any":
        if task not in [known.value for known in Task]:
            raise gr.Error(
                "A task is any, " + ", ".join(known.value for known in Task) + ".", print_exception=False
            )
        question = replace(question, task=Task(task))
    engines = {side: page.open_engine(page.spec(name)) for side, name in names.items()}
    shown = replace(look_at(str(path), Path(path).name)[0], question=question, models=names)
    picture = open_picture(path)
    for event in run(engines, picture.image, question, Options()):
        shown = shown.after(event, False)
    return shown


def _side(answer: dict) -> dict:
    """An answer without what only this page's file format needs."""
    return {key: value for key, value in answer.items() if key != "raw"}


def _item(page: Page, caption: dict | None) -> dict | None:
    """A caption as a program gets it: its texts, and its picture as a data: URI."""
    if caption is None:
        return None
    revision, question = caption["revision"], caption["question"]
    picture = open_picture(page.store.picture_path(caption["picture"]))
    return {
        "caption": caption["id"],
        "revision": revision["id"],
        "question": question.text,
        "task": question.task.value,
        "reasoning": revision["reasoning"],
        "answer": revision["answer"],
        "flags": [{"reasons": flag["reasons"], "note": flag["note"]} for flag in caption["flags"]],
        "lease_until": caption["lease_until"],
        "picture": render.preview(picture.image),
        "size": [picture.width, picture.height],
    }
