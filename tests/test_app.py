"""app.py and screens/compare.py: what each event does to the page and to the store, called without a browser."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from importlib.metadata import version

import gradio as gr
import httpx
import pytest

import app
from annotate import queue
from screens.api import NAMES
from screens.page import FAILED
from tests.fake import FakeEngine
from tests.pages import (
    ASKED,
    SHORT,
    THOUGHT,
    Hands,
    close_pages,
    engines,
    page,
    picture_bytes,
    picture_file,
    request,
    served,
)
from tinyrs import suggestions
from tinyrs.config import ROOT
from tinyrs.engine import EngineFailure
from tinyrs.prompt import guess_task


@pytest.fixture
def picture_path(tmp_path):
    return picture_file(tmp_path)


@pytest.fixture
def hands(picture_path):
    """Hands on a page whose Compare tab shows a picture."""
    demo = page()
    hands = Hands(demo)
    hands.upload(picture_path)
    return hands


def open_page(models=None, picture=None, **who) -> Hands:
    hands = Hands(page(models), **who)
    if picture:
        hands.upload(picture)
    return hands


# The page as a whole


def test_every_event_has_a_name_and_only_those_of_the_api_are_offered_to_programs():
    demo = page()
    named = [fn for fn in demo.fns.values() if fn.fn is not None and "unload" not in str(fn.targets)]
    assert len(named) > 15
    for fn in named:
        visibility = "public" if fn.api_name in NAMES else "private"
        assert fn.api_visibility == visibility and fn.api_name and "lambda" not in fn.api_name, fn.targets
        assert getattr(fn.fn, "__name__", "") != "<lambda>"
    offered = demo.get_api_info()
    assert sorted(offered["named_endpoints"]) == sorted(f"/{name}" for name in NAMES)
    assert not offered["unnamed_endpoints"]


def test_building_the_page_imports_no_torch():
    code = "import sys, app; from tests.pages import page; page(); print([m for m in ('torch', 'transformers', 'openai') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_a_pair_that_is_not_there_ends_with_a_sentence_and_status_2(capsys, tmp_path):
    with pytest.raises(SystemExit) as stop:
        app.main(["--pair", f"{tmp_path}/nothing,pocket"])
    assert stop.value.code == 2 and "Traceback" not in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        app.main(["--pair", "pocket"])
    assert stop.value.code == 2


def test_the_libraries_are_new_enough_for_what_the_page_relies_on():
    assert tuple(map(int, version("gradio").split(".")[:2])) >= (6, 20)
    assert tuple(map(int, version("pillow").split(".")[:2])) >= (12, 3)


# Asking


def test_both_sides_stream_and_end_with_boxes_costs_and_overlap(hands):
    seen, updates = {}, list(hands.asking())
    assert 'data-state="waiting"' in updates[0]["card-a"]
    assert all("data-running" in update[card] for update in updates[:-1] for card in update if "card" in card)
    for update in updates:
        seen.update(update)
    assert "Well-formed, 1 box" in seen["card-a"] and "Well-formed, 1 box" in seen["card-b"]
    assert '<details class="reasoning">' in seen["card-b"] and "The longest hull" in seen["card-b"]
    assert "box side-a" in seen["viewer"] and "box side-b" in seen["viewer"]
    assert "IoU 0.7" in seen["below"] and "First token" in seen["card-a"]
    assert "data-running" not in seen["card-a"] + seen["card-b"] and seen["again"]["visible"]
    assert hands.shown.question.task.value == "grounding"
    assert not hands.demo.page.busy("one")


def test_a_chosen_task_beats_the_guess(hands):
    hands.ask("The long ship", "grounding")
    assert hands.shown.question.task.value == "grounding"
    hands.ask("Classify the image within one of the given classes: port, farmland.", "any")
    assert hands.shown.question.labels == ("port", "farmland")


def test_asking_again_asks_the_same(hands):
    models = engines(a=("port", "port"), b=(THOUGHT, THOUGHT))
    hands = open_page(models, hands.shown.path)
    hands.ask()
    first = hands.shown.answers
    hands.ask()
    assert hands.shown.answers == first
    (_, one, how), (_, two, again) = models["quick"].asked
    assert one == two and how == again and how.temperature == 0


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("", "any", "Type a question"),
        ("   ", "any", "Type a question"),
        ("x" * 4001, "any", "4,001 characters"),
    ],
)
def test_a_question_that_cannot_be_asked_gets_a_sentence(hands, text, kind, said):
    seen = hands.ask(text, kind)
    assert said in seen["notice"] and "running" not in seen["card-a"] and not hands.shown.asked


def test_without_a_picture_one_is_asked_for():
    assert "Choose a picture first" in Hands(page()).ask()["notice"]


def test_a_model_that_is_not_on_offer_is_refused_in_the_handler(hands):
    for name in ("/etc", "http://169.254.169.254/v1#x", "someone/weights", "", None):
        assert "not on offer" in hands.ask(a=name)["notice"]
    assert "not on offer" in hands.call_models("/etc", "thinker")["notice"]


def test_an_operator_may_let_visitors_type_any_model(monkeypatch):
    monkeypatch.setenv("TINYRS_ALLOW_ANY_MODEL", "1")
    demo = page()
    assert demo.page.any_model and demo.page.spec("thinker").name == "thinker"
    dropdowns = [block for block in demo.blocks.values() if isinstance(block, gr.Dropdown)]
    pickers = [block for block in dropdowns if "model" in block.elem_id]
    assert len(pickers) == 3 and all(picker.allow_custom_value for picker in pickers)


def test_a_side_that_dies_keeps_its_words_and_the_other_side_finishes(picture_path):
    models = engines(
        a=(["It is a ", EngineFailure("The model ran out of memory.")], "port"), b=(THOUGHT, THOUGHT)
    )
    hands = open_page(models, picture_path)
    seen = hands.ask()
    assert "The model ran out of memory." in seen["card-a"] and "It is a" in seen["card-a"]
    assert "Well-formed" in seen["card-b"]
    assert "port" in hands.ask()["card-a"], "the next question works"


def test_the_text_of_an_exception_never_reaches_the_page(picture_path, caplog):
    canary = "secret /srv/keys 4711"
    hands = open_page(engines(a=(["x", RuntimeError(canary)],)), picture_path)
    with caplog.at_level(logging.CRITICAL):
        shown = [json.dumps(update, default=str) for update in hands.asking()]
        hands.demo.page.store.run = None  # anything unforeseen in a handler
        hands.request.query_params["record"] = "x"
        shown.append(json.dumps(hands.call("record"), default=str))
        shown.append(json.dumps(hands.call("upload", {"not": "a path"}), default=str))
    assert not any(canary in text or "Traceback" in text or "Error" in text for text in shown)
    assert FAILED in shown[-1] and FAILED in shown[-2]


def test_stop_keeps_what_was_written_and_frees_the_slot(picture_path):
    never = threading.Event()
    models = engines(a=("port", "port"), b=(["<reasoning> Water ", "and ", never], THOUGHT))
    hands = open_page(models, picture_path)
    seen = {}
    for update in hands.asking():
        seen.update(update)
        if "Water" in seen.get("card-b", "") and 'data-state="done"' in seen.get("card-a", ""):
            hands.call("stop")
    assert "Stopped before it was finished" in seen["card-b"] and "Water" in seen["card-b"]
    assert "Well-formed" in seen["card-a"] and "data-running" not in seen["card-a"] + seen["card-b"]
    assert not hands.demo.page.busy("one")
    assert "Well-formed" in hands.ask()["card-b"]


def test_a_visitor_who_leaves_stops_the_models(picture_path):
    stopped, never = threading.Event(), threading.Event()

    class Watched(FakeEngine):
        def stream(self, picture, question, options, cancelled):
            yield from super().stream(picture, question, options, cancelled)
            if cancelled.is_set():
                stopped.set()

    models = engines()
    models["thinker"] = Watched(["<reasoning> ", never], name="thinker", thinking=True)
    hands = open_page(models, picture_path)
    asking = hands.asking()
    next(asking)
    next(asking)
    asking.close()
    assert stopped.wait(5) and not hands.demo.page.busy("one")
    leave = next(fn for fn in hands.demo.fns.values() if "unload" in str(fn.targets))
    hands.demo.page.start("one")
    leave.fn(hands.request)
    assert hands.demo.page._running["one"].is_set()


def test_the_picture_cannot_be_changed_while_an_answer_is_written(hands):
    asking = hands.asking()
    next(asking)
    assert "press Stop first" in hands.upload(hands.shown.path)["notice"]
    asking.close()


# Pictures


def test_a_file_that_is_no_picture_gets_the_openers_sentence(tmp_path):
    path = tmp_path / "page.png"
    path.write_text("<svg onload=alert(1)>")
    seen = Hands(page()).upload(path)
    assert 'role="alert"' in seen["notice"] and "Traceback" not in seen["notice"] and "viewer" not in seen


def test_a_tiff_is_shown_as_a_picture_of_ours_with_what_was_done_to_it(tmp_path):
    import numpy as np
    from PIL import Image

    path = tmp_path / "deep.tif"
    Image.fromarray((np.arange(64 * 64).reshape(64, 64) * 9).astype("uint16")).save(path)
    seen = Hands(page()).upload(path)
    assert "data:image/png;base64," in seen["viewer"] and "64 × 64 px ·" in seen["viewer"]


def test_an_upload_that_was_deleted_is_asked_for_again(hands, tmp_path):
    (tmp_path / "harbour.png").unlink()
    assert "no such file" in hands.ask()["notice"]


def test_after_a_question_that_failed_the_last_answers_stand_there_again(picture_path, monkeypatch):
    hands = open_page(engines(a=("port",) * 3, b=(THOUGHT,) * 3), picture_path)
    answered = hands.ask()
    with monkeypatch.context() as broken:
        broken.setattr("screens.compare.follow", lambda *_: 1 / 0)
        updates = list(hands.asking())
    assert 'data-state="waiting"' in updates[0]["card-b"] and "box side-b" not in updates[0]["viewer"]
    seen = {name: value for update in updates for name, value in update.items()}
    assert FAILED in seen["notice"]
    assert [seen[name] for name in ("card-a", "card-b", "viewer")] == [
        answered[name] for name in ("card-a", "card-b", "viewer")
    ]
    assert not hands.demo.page.busy("one") and "Well-formed" in hands.ask()["card-b"]


def test_boxes_can_be_downloaded_only_where_there_are_some(hands):
    assert not hands.call_plain("download", None)["download"]["visible"]
    hands.ask()
    update = hands.call_plain("download", hands.shown)["download"]
    assert update["visible"] and update["value"].endswith(".png")


def test_an_example_brings_its_question_but_never_overwrites_ones_own():
    hands, gallery = Hands(page()), suggestions.examples()
    assert gallery and all(path.is_file() for path, _, _ in gallery)
    for index, (path, question, kind) in enumerate(gallery):
        seen = hands.call("example", index, "")
        assert hands.shown.name == path.name and seen["question"] == question and seen["kind"] == kind
    assert "question" not in hands.call("example", 0, "What is the grey thing?")
    assert hands.call("example", 1, gallery[0][1])["question"] == gallery[1][1]
    for index in (-1, len(gallery), None, "0"):
        assert "no such example" in hands.call("example", index, "")["notice"]


def test_a_checkout_without_examples_has_a_page_too(monkeypatch, tmp_path):
    monkeypatch.setattr(suggestions, "EXAMPLE_PICTURES", tmp_path / "none")
    assert suggestions.examples() == [] and page()


def test_a_task_chip_fills_in_an_example_but_never_overwrites_ones_own():
    hands = Hands(page())
    first = suggestions.EXAMPLES["counting"][0][1]
    assert hands.call_plain("kind", "counting", "")["question"] == first
    assert hands.call_plain("kind", "grounding", first)["question"] == suggestions.EXAMPLES["grounding"][0][1]
    assert "question" not in hands.call_plain("kind", "counting", "What is the grey thing?")
    assert hands.event("example_question").fn([first]) == first


@pytest.mark.parametrize("kind", list(suggestions.EXAMPLES))
def test_every_example_question_is_understood_as_what_its_chip_says(kind):
    for _, question in suggestions.EXAMPLES[kind]:
        assert guess_task(question)[0].value == kind


# Keeping and flagging


def test_nothing_is_stored_before_somebody_asks_for_it(hands):
    hands.ask()
    counts = hands.demo.page.store.stats()
    assert counts["runs"] == 0 and counts["pictures"] == 0


def test_a_kept_run_is_the_same_after_a_restart(hands):
    hands.ask()
    seen = hands.call("keep", hands.shown)
    run = hands.shown.run
    assert f"?record={run}" in seen["link"]
    assert hands.call("keep", hands.shown)["link"] == seen["link"], "kept twice is kept once"
    before = hands.shown
    close_pages()

    later = Hands(page(), session="two")
    later.request.query_params["record"] = run
    seen = later.call("record")
    assert later.shown.answers == before.answers and later.shown.question == before.question
    assert later.shown.models == before.models and later.shown.size == before.size
    assert (
        seen["question"] == ASKED and "box side-b" in seen["viewer"] and "The longest hull" in seen["card-b"]
    )


@pytest.mark.parametrize("run", ["nope", "../../etc/passwd", "<img src=x onerror=1>", "x" * 5000])
def test_a_link_to_nothing_says_so(run):
    hands = Hands(page())
    hands.request.query_params["record"] = run
    seen = hands.call("record")
    assert 'role="alert"' in seen["notice"] and "<img" not in seen["notice"] and hands.shown is None


def test_a_flag_stores_the_run_and_queues_the_answer(hands):
    hands.ask()
    seen = hands.flag("B", ["wrong box", "other"], "too low")
    store = hands.demo.page.store
    assert "Annotate queue" in seen["link"] and not seen["flag-panel"]["visible"]
    assert store.stats()["runs"] == 1 and queue.left(store)["annotate"] == 1
    (flag,) = store.run(hands.shown.run)["flags"]
    assert (
        list(flag["reasons"]) == ["wrong box", "other"] and flag["note"] == "too low" and flag["side"] == "B"
    )
    assert flag["author"].startswith("visitor ") and "10.0.0.1" not in flag["author"]


def test_a_flag_on_a_side_that_wrote_nothing_is_kept_and_promises_nothing(picture_path):
    hands = open_page(engines(a=([EngineFailure("It broke.")],)), picture_path)
    hands.ask()
    assert "nothing that could be corrected" in hands.flag("A", ["other"])["link"]
    store = hands.demo.page.store
    assert len(store.run(hands.shown.run)["flags"]) == 1 and queue.left(store)["annotate"] == 0


@pytest.mark.parametrize(
    ("side", "why", "note"),
    [
        ("B", [], ""),  # no reason
        ("C", ["other"], ""),  # no such side
        ("B", ["<script>"], ""),  # no such reason
        ("B", ["other"], "x" * 100_000),  # too long
    ],
)
def test_a_flag_that_says_nothing_usable_is_refused(hands, side, why, note):
    hands.ask()
    assert 'role="alert"' in hands.flag(side, why, note)["notice"]
    assert queue.left(hands.demo.page.store)["annotate"] == 0


def test_the_eleventh_flag_within_a_minute_is_refused_whatever_the_tab(hands):
    hands.ask()
    for _ in range(10):
        assert "notice error" not in hands.flag()["notice"]
    hands.request.session_hash = "another tab"
    assert "notice error" in hands.flag()["notice"]
    hands.request.client.host = "10.9.9.9"
    assert "notice error" not in hands.flag()["notice"]


def test_on_a_full_disk_answering_goes_on_and_a_flag_counts_once_there_is_room(picture_path):
    hands = open_page(engines(a=[SHORT] * 2, b=[THOUGHT, THOUGHT.replace("longest", "longest " * 2000)]), picture_path)
    store = hands.demo.page.store
    hands.ask()
    hands.flag()
    with store.read() as db:
        pages = db.conn.execute("PRAGMA page_count").fetchone()[0]
        db.conn.execute(f"PRAGMA max_page_count = {pages}")
    before = store.stats()
    seen = hands.ask()
    assert "box side-a" in seen["viewer"] and "Well-formed" in seen["card-a"]
    assert "The disk is full: nothing was saved." in hands.flag()["notice"]
    assert store.stats() == before
    with store.read() as db:
        db.conn.execute("PRAGMA max_page_count = 1000000")
    assert "Annotate queue" in hands.flag()["link"]
    assert store.stats()["runs"] == before["runs"] + 1


def test_behind_a_spaces_proxy_visitors_are_told_apart_by_the_address_that_it_appends(monkeypatch):
    demo = page()
    one, two = request(), request()
    one.headers["x-forwarded-for"], two.headers["x-forwarded-for"] = "spoofed, 1.1.1.1", "spoofed, 2.2.2.2"
    assert demo.page.visitor(one) == demo.page.visitor(two)
    monkeypatch.setenv("SPACE_ID", "user/space")
    assert demo.page.visitor(one) != demo.page.visitor(two)


# Over the network


def test_no_file_of_the_server_and_no_other_host_can_be_read_through_the_page(tmp_path):
    demo = page()
    demo.page.store.backup(tmp_path / "backup.tar")
    database = demo.page.config.database
    assert database.exists()
    targets = [
        "/etc/passwd", "/gradio_api/../app.py", str(ROOT / "app.py"), str(ROOT / ".env"), str(database),
        "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", f"{database}%00.png",
        "http://127.0.0.1:1/", "http://169.254.169.254/latest/meta-data/", "https://evil.example/x.png",
        "HTTP://127.0.0.1/", "file:///etc/passwd",
    ]  # fmt: skip
    with served(demo) as url, httpx.Client(base_url=url) as client:
        for prefix in ("/gradio_api/file=", "/file=", "/gradio_api/proxy="):
            for target in targets:
                answer = client.get(prefix + target)
                assert answer.status_code in (400, 403, 404), (prefix, target, answer.status_code)
                assert b"root:" not in answer.content and b"SQLite" not in answer.content
        home = client.get("/")
        assert "default-src 'self'" in home.headers["content-security-policy"]
        assert str(ROOT) not in home.text and str(database) not in home.text


def test_a_file_name_of_the_servers_own_is_not_taken_as_an_upload():
    demo = page()
    number = next(i for i, fn in demo.fns.items() if fn.api_name == "upload")
    with served(demo) as url, httpx.Client(base_url=url) as client:
        for path in (
            "/etc/passwd",
            str(ROOT / "README.md"),
            "http://127.0.0.1:1/x.png",
            str(demo.page.config.database),
        ):
            data = [{"path": path, "meta": {"_type": "gradio.FileData"}}]
            events = finish(client, number, data, "s1")
            assert events[-1]["msg"] == "process_completed" and not events[-1]["success"]
            assert path not in json.dumps(events)


def finish(client: httpx.Client, number: int, data: list, session: str) -> list[dict]:
    """Send an event and read its stream to the end."""
    join(client, number, data, session).raise_for_status()
    events = []
    with client.stream(
        "GET", "/gradio_api/queue/data", params={"session_hash": session}, timeout=30
    ) as stream:
        for line in stream.iter_lines():
            if line.startswith("data:"):
                events.append(json.loads(line[5:]))
                if events[-1]["msg"] in ("process_completed", "close_stream"):
                    break
    return events


def join(client: httpx.Client, number: int, data: list, session: str) -> httpx.Response:
    body = {"data": data, "fn_index": number, "session_hash": session, "event_data": None, "trigger_id": None}
    return client.post("/gradio_api/queue/join", json=body)


def upload(client: httpx.Client, demo, session: str) -> None:
    """Put the drawn picture into that session's Compare tab."""
    path = client.post("/gradio_api/upload", files={"files": ("harbour.png", picture_bytes())}).json()[0]
    number = next(i for i, fn in demo.fns.items() if fn.api_name == "upload")
    events = finish(client, number, [{"path": path, "meta": {"_type": "gradio.FileData"}}], session)
    assert events[-1]["success"], events[-1]


def test_when_too_many_ask_the_others_are_told_at_once_and_those_inside_are_answered():
    go = threading.Event()
    busy = threading.Event()
    demo = page(engines(a=([busy.set, go, "port"],) + ("port",) * 9, b=(THOUGHT,) * 10), queue_size=5)
    number = next(i for i, fn in demo.fns.items() if fn.api_name == "put")
    with served(demo) as url, httpx.Client(base_url=url, timeout=30) as client:
        sessions = [f"caller{i}" for i in range(30)]
        for session in sessions[:6]:
            upload(client, demo, session)
        data = [None, ASKED, "any", "quick", "thinker", False, "full"]
        inside = [sessions[0]]
        assert join(client, number, data, sessions[0]).status_code == 200
        assert busy.wait(10), "the first one is being answered"
        refused = 0
        for session in sessions[1:]:
            answer = join(client, number, data, session)
            if answer.status_code == 200:
                inside.append(session)
            else:
                assert answer.status_code == 503 and "full" in answer.text.lower()
                refused += 1
        assert (len(inside), refused) == (6, 24)
        go.set()
        for session in inside:
            with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
                events = [json.loads(line[5:]) for line in stream.iter_lines() if line.startswith("data:")]
            assert any("Well-formed" in json.dumps(event) for event in events), session
