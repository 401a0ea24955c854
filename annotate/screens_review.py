"""The Review tab: a second person judges what the first one made of a caption, and sees how well people agree.

The reviewer judges the same steps, before being told what the annotator said of them, so that the two can be
compared. Nobody reviews an own text: the queue offers none, and the store refuses it whoever calls.
"""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

from annotate import agreement, marks, markup, overlap, queue, rules
from annotate.desk import Desk, Memory
from annotate.people import People
from annotate.store import Store, StoreError
from tinyrs import render
from tinyrs.config import Config
from tinyrs.parse import split_steps


def review_tab(demo: gr.Blocks, store: Store, tab: gr.Tab, *, people: People, memory: Memory) -> None:
    """Build the tab inside the current `gr.Tab`; `people` knows who may review, `memory` is the browser's."""
    shared = Config().overlap

    def beside(caption: Mapping, person: str) -> str:
        """What was changed, and the annotator's verdicts once this person has given all of the own ones."""
        judged, now = caption["judged"], caption["revision"]
        steps = split_steps(judged["reasoning"])
        said = marks.of_revision(store, judged["id"])
        own = next((rows for name, rows in said.items() if rules.same_person(name, person)), {})
        others = {name: rows for name, rows in said.items() if not rules.same_person(name, person)}
        changed = [
            (name, markup.changes(caption["first"][key], now[key]))
            for name, key in (("Reasoning", "reasoning"), ("Answer", "answer"))
        ]
        return markup.review(changed, now["author"], others, own, len(steps))

    Desk(
        demo,
        store,
        tab,
        people=people,
        memory=memory,
        take=lambda person: queue.next_to_review(store, person, overlap=shared),
        waits=lambda: queue.left(store)["review"],
        review=True,
        beside=beside,
    )
    with gr.Accordion("How well people agree", open=False, elem_id="agreement"):
        show = gr.Button("Count", size="md", elem_id="count-agreement")
        table = gr.HTML("", elem_id="agreement-table")

    def count(request: gr.Request):
        """Per annotator, which is no stranger's business."""
        try:
            if not people.alone:
                people.may(request, "agreement")
            rows = overlap.compared(store)
        except StoreError as error:
            return render.notice(str(error))
        golds = {row.caption for row in rows if row.other == overlap.GOLD}
        twice = {row.caption for row in rows if row.other != overlap.GOLD}
        judged = overlap.judged(store)
        people_of = agreement.alpha(judged), len(judged)
        return markup.seen_twice(len(twice), len(golds), *people_of) + markup.agreement(
            {
                "All": {"everybody": agreement.agreement(rows)},
                "Annotator": agreement.by(rows, lambda row: row.by),
                "Against": agreement.by(rows, lambda row: "gold" if row.other == overlap.GOLD else "a second person"),
                "Task": agreement.by(rows, lambda row: row.kind),
                "Class": agreement.by([row for row in rows if row.label], lambda row: row.label),
            }
        )

    show.click(
        count, None, table, api_name="agreement", api_visibility="private", queue=False, show_progress="hidden"
    )
