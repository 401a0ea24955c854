"""The Annotate tab: the next caption, its picture, boxes and steps, and the fields to correct it in."""

from __future__ import annotations

import gradio as gr

from annotate import queue
from annotate.desk import Desk, Memory
from annotate.people import People
from annotate.store import Store


def annotate_tab(demo: gr.Blocks, store: Store, tab: gr.Tab, *, people: People, memory: Memory) -> None:
    """Build the tab inside the current `gr.Tab`; `people` knows who may correct, `memory` is the browser's."""

    def take(person: str) -> dict | None:
        found = queue.next_to_annotate(store, person)
        # Who works alone also accepts alone.
        return found or (queue.next_to_review(store, person) if store.self_review else None)

    def waits() -> int:
        return sum(queue.left(store).values())

    Desk(demo, store, tab, people=people, memory=memory, take=take, waits=waits)
