"""How long does a visitor wait: for the page, for the first words, for both answers?

    python -m bench.app [--questions 8] [--json]

Starts `python app.py` on a free port as `make demo` does, opens it in Chromium, and asks about pictures of the scene
generator that no build has drawn. Every time is taken in the page, from the click to the words. The page's models read the
picture while the question is written, which here takes no longer than a browser needs to fill in a field. Afterwards,
without the page, both engines get the same pictures and questions at once, to tell what the page adds to them; and again
with pictures that they have read. Needs what requirements-dev.txt installs and a chromium on the PATH.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from dev.served import chromium, the_app
from tinyrs.compare import compare
from tinyrs.example import Question
from tinyrs.suggestions import question as typed
from training.pocket.scenes import draw

QUESTIONS = (
    "Identify the location of the {name}.",
    "Is there {name} in the image?",
    "Describe the image.",
    "Classify the image within one of the given classes: airport, beach, farmland, forest, harbor, river.",
)
ASK = """async () => {
    const start = performance.now(), seen = {};
    const read = (side) => document.querySelector(`#card-${side} .card`);
    document.querySelector('#ask').click();
    // The answers of the question before are still there until the first event.
    await new Promise((done) => { const look = () => {
        const now = performance.now() - start;
        for (const side of ['a', 'b']) {
            const card = read(side), state = card && card.dataset.state;
            if (state !== 'done' && !seen[side]) seen[side] = {};
            if (!seen[side]) continue;
            if (!seen[side].words && card && card.innerText.trim() && card.querySelector('.answer, .reasoning'))
                seen[side].words = now;
            if (!seen[side].done && state === 'done') seen[side].done = now;
        }
        if (seen.a && seen.b && seen.a.done && seen.b.done) done(); else requestAnimationFrame(look);
    }; look(); });
    return seen;
}"""


def measure(questions: int) -> dict:
    """Seconds: `page_up`, and medians and maxima of `first_words` (TinyRS), `a_done` and `b_done` (TinyRS-R1).

    `bare_words` is what the engines alone need, `added` what the page takes on top of it, by the medians; `read_words` is what
    they need where they have read the picture.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, the_app(Path(folder)) as url:
        up = time.monotonic() - started
        with chromium() as browser:
            times = [ask(browser, url, draw(3_000_000 + i), i, Path(folder)) for i in range(questions)]
    found = {"questions": questions, "page_up": up}
    # The first question also waits for the weights.
    found["first_question"] = {"first_words": times[0]["a"]["words"], "b_done": times[0]["b"]["done"]}
    for name, side, moment in (
        ("first_words", "a", "words"),
        ("a_done", "a", "done"),
        ("b_done", "b", "done"),
    ):
        values = [each[side][moment] for each in times[1:]]
        found[name] = {"median": statistics.median(values), "max": max(values)}
    for name, alone in zip(("bare_words", "read_words"), (bare(questions), bare(questions)), strict=True):
        found[name] = {"median": statistics.median(alone[1:]), "max": max(alone[1:])}
    found["added"] = found["first_words"]["median"] - found["bare_words"]["median"]
    return found


def bare(questions: int) -> list[float]:
    """Seconds to the first words of TinyRS for each question, both models being asked at once and nothing else.

    The second time in a process the pictures are known.
    """
    spent = []
    for number in range(questions):
        scene, begun = draw(3_000_000 + number), time.perf_counter()
        asked = compare({"A": "pocket", "B": "pocket-r1"}, Image.fromarray(scene.pixels), asked_about(scene, number))
        for event in asked:
            if event.side == "A" and event.reply is not None and event.reply.text.strip():
                spent.append(time.perf_counter() - begun)
                break
        for event in asked:
            pass
    return spent


def asked_about(scene, number: int) -> Question:
    """What is asked about the picture of that number, as the page takes it."""
    name = f"the {scene.boxes[0].label}" if scene.boxes else "the road"
    text = QUESTIONS[number % len(QUESTIONS)].format(name=name)
    return typed(text)


def ask(browser, url: str, scene, number: int, folder: Path) -> dict:
    """One visitor, one picture, one question: {"a": {"words", "done"}, "b": {...}} in seconds."""
    file = folder / f"scene{number}.png"
    Image.fromarray(scene.pixels).save(file)
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.set_default_timeout(120_000)
    page.goto(url)
    page.locator("input[type=file]").first.set_input_files(file)
    page.locator("#viewer .stage img").wait_for()
    page.locator("#question textarea").fill(asked_about(scene, number).text)
    seen = page.evaluate(ASK)
    page.close()
    return {
        side: {moment: value / 1000 for moment, value in moments.items()} for side, moments in seen.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.app", description=__doc__.split("\n\n")[0])
    parser.add_argument("--questions", type=int, default=8, help="how many are asked, one visitor each")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(arguments)
    if args.questions < 2:
        print("Ask at least 2 questions: the first one also waits for the weights.", file=sys.stderr)
        return 2
    found = measure(args.questions)
    if args.json:
        print(json.dumps(found))
        return 0
    print(f"page up after                   {found['page_up']:6.2f} s")
    first = found["first_question"]
    print(f"first question, first words     {first['first_words']:6.2f} s, R1 done {first['b_done']:.2f} s")
    for key, label in (
        ("first_words", "first words of TinyRS"),
        ("bare_words", "the same without the page"),
        ("read_words", "and the picture read before"),
        ("a_done", "TinyRS done"),
        ("b_done", "TinyRS-R1 done"),
    ):
        told = found[key]
        print(
            f"{label:31} {told['median']:6.2f} s median, {told['max']:.2f} s at most (n = {args.questions - 1})"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
