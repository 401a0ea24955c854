"""Below the answers of the Compare tab: how they relate, flags, the link to a kept run, and downloads."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import gradio as gr
from gradio.processing_utils import save_pil_to_cache

from annotate.store import REASONS
from screens.page import Sentence, new_key
from tinyrs import helped, render
from tinyrs.image import open_picture
from tinyrs.sharecard import share_card
from tinyrs.shown import SIDES, Shown

if TYPE_CHECKING:
    from screens.compare import Compare

log = logging.getLogger("tinyrs.app")

FOCUS = "() => setTimeout(() => document.querySelector('#reasons input')?.focus(), 150)"


class Keep:
    """A part of the Compare tab: the flag panel, the link, the downloads."""

    def __init__(self, tab: Compare):
        self.tab, self.page = tab, tab.page
        self.flagging = gr.State("")
        with gr.Column(visible=False, elem_classes="pane", elem_id="flag-panel") as self.panel:
            self.title = gr.HTML("")
            self.reasons = gr.CheckboxGroup(list(REASONS), label="What is wrong?", elem_id="reasons")
            self.note = gr.Textbox(label="Note (optional)", lines=2, max_length=2000, elem_id="note")
            with gr.Row(elem_classes="actions"):
                self.send = gr.Button("Send flag", variant="primary", size="md", elem_id="send-flag")
                self.close = gr.Button("Cancel", size="md", elem_id="close-flag")

    def draw_below(self) -> None:
        """What stands under the votes; the flag panel stands above them, right under the answers."""
        self.below = gr.HTML("", elem_id="below")
        with gr.Row(visible=False, elem_classes=["actions", "after"]) as self.row:
            self.keep = gr.Button("Keep and share link", size="md", elem_id="keep")
            self.card = gr.DownloadButton(
                "Share as a picture", size="md", elem_id="share-card", visible=False
            )
            self.download = gr.DownloadButton(
                "Download picture with boxes", size="md", elem_id="download", visible=False
            )
        self.link = gr.HTML("", elem_id="link")
        self.outputs = [
            *self.tab.flags.values(),
            self.panel,
            self.below,
            self.row,
            self.card,
            self.download,
            self.link,
        ]

    def connect(self, told, asking, loading) -> None:
        """What happens on each event; `asking` and `loading` are the events after which there is something new."""
        quick = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
        state, notice, files = self.tab.state, self.tab.notice, [self.download, self.card]
        asking.then(self.prepare_download, state, files, api_name="download", **quick)
        loading.then(self.prepare_download, state, files, api_name="download_record", **quick)
        for event, name in (
            (self.tab.parts[0].voted, "download_voted"),
            (self.tab.parts[0].revealed, "download_revealed"),
        ):
            event.then(self.prepare_download, state, files, api_name=name, **quick)
        key = self.tab.key
        self.keep.click(
            told(self.keep_it), [state, key], [state, key, self.link, notice], api_name="keep", **quick
        )
        opened = [self.flagging, self.panel, self.title, self.reasons, self.note, notice]
        for side, opener in (("A", self.open_a), ("B", self.open_b)):
            self.tab.flags[side].click(opener, state, opened, api_name=f"flag_{side.lower()}", **quick).then(
                None, js=FOCUS, api_name=f"focus_{side.lower()}", api_visibility="private"
            )
        self.close.click(self.close_panel, None, self.panel, api_name="close_flag", **quick)
        self.send.click(
            told(self.send_flag),
            [state, self.flagging, self.reasons, self.note, key],
            [state, key, self.panel, self.link, notice],
            api_name="send_flag",
            **quick,
        )

    def after(self, shown: Shown) -> dict:
        """The updates once nothing is running."""
        over = shown.asked and not shown.blind
        return {
            self.below: below(shown) if over else "",
            self.row: gr.update(visible=over),
            self.link: render.share(shown.run) if shown.run else "",
            self.panel: gr.update(visible=False),
            self.card: gr.update(visible=False),
            self.download: gr.update(visible=False),
            **{self.tab.flags[side]: gr.update(visible=over and side in shown.answers) for side in SIDES},
        }

    def prepare_download(self, shown: Shown | None):
        """The files behind the two buttons: the picture with its boxes, and the card to share."""
        hidden = gr.update(visible=False)
        update = {self.download: hidden, self.card: hidden}
        if shown is None or not shown.asked or shown.blind:
            return update
        try:
            image = open_picture(shown.path).image
            image.thumbnail((4096, 4096))
            if any(shown.layers.values()):
                drawn = render.draw(image, shown.layers)
                update[self.download] = self._file(drawn, "tinyrs-boxes")
            update[self.card] = self._file(share_card(image, shown), "tinyrs-comparison")
        except Exception as error:
            log.error("The pictures to download could not be drawn.", exc_info=error)
        return update

    def _file(self, image, name: str) -> dict:
        path = save_pil_to_cache(image, self.download.GRADIO_CACHE, name=name, format="png")
        return gr.update(value=path, visible=True)

    def keep_it(self, shown: Shown | None, request: gr.Request, key: str = ""):
        if shown is None or not shown.asked:
            raise Sentence("Ask something first; then the comparison can be kept.")
        key = key or new_key()
        shown = self.page.keep(shown, self.page.visitor(request), self.page.holder(request, key))
        return {self.tab.state: shown, self.tab.key: key, self.link: render.share(shown.run, "Kept.")}

    def open_panel(self, side: str, shown: Shown | None):
        name = shown.models.get(side, "") if shown else ""
        title = f'<h3 class="side-{side.lower()}">Flag answer <span class="letter">{side}</span> {render.escape(name)}</h3>'
        return {
            self.flagging: side, self.panel: gr.update(visible=True), self.title: title, self.reasons: [],
            self.note: "", self.tab.notice: "",
        }  # fmt: skip

    def open_a(self, shown: Shown | None):
        return self.open_panel("A", shown)

    def open_b(self, shown: Shown | None):
        return self.open_panel("B", shown)

    def close_panel(self):
        return gr.update(visible=False)

    def send_flag(
        self, shown: Shown | None, side: str, why: list[str], words: str, request: gr.Request, key: str = ""
    ):
        if shown is None or side not in shown.answers:
            raise Sentence("Ask something first; then its answer can be flagged.")
        if not why:
            raise Sentence("Tick at least one reason for the flag.")
        author, key = self.page.visitor(request), key or new_key()
        holder = self.page.holder(request, key)
        shown = self.page.keep(shown, author, holder)
        self.page.store.add_flag(
            shown.run, side, why, render.plain(words or ""), author=author, holder=holder
        )
        answer = shown.answers[side]
        said = f"Thank you: answer {side} is in the Annotate queue now."
        if not (answer.text or answer.reasoning):
            said = "Thank you: the flag is kept. That side wrote nothing that could be corrected."
        return {
            self.tab.state: shown,
            self.tab.key: key,
            self.panel: gr.update(visible=False),
            self.link: render.share(shown.run, said),
        }


def below(shown: Shown) -> str:
    """How the two answers relate, and the run as JSON."""
    return helped.card(shown) + render.json_fold(shown.as_json())
