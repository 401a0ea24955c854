"""THREATS rows 1, 8, 15, 21 and 22 at the running app: on every event and endpoint, also those that no button shows.

A test here asks the page itself what there is, so that a screen that is added later is covered too.
"""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
import httpx
import pytest
import rasterio

import app
import screens.page
from annotate.people import People
from bench.memory import peak
from bench.others import bomb
from screens.api import NAMES
from tests.fake import FakeEngine
from tests.pages import ASKED, SHORT, THOUGHT, engines, page, picture_bytes, served
from tests.test_app import finish, join, upload
from tests.test_geo import PLACES
from tests.test_geo import scene as drawn
from tinyrs.config import ROOT, Config


def events_with(demo, *kinds) -> list:
    """The events with an input of one of these components."""
    return [fn for fn in demo.fns.values() if fn.fn and any(isinstance(block, kinds) for block in fn.inputs)]


FILES = (gr.File, gr.UploadButton, gr.Image, gr.Gallery, gr.ImageEditor, gr.DownloadButton)


def sent(fn, file) -> list:
    """What a caller may send to an event: `file` where it takes one, in a list where it takes many."""
    data = []
    for block in fn.inputs:
        many = getattr(block, "file_count", "single") != "single"
        data.append([file] if isinstance(block, FILES) and many else file if isinstance(block, FILES) else None)
    return data


def number(demo, fn) -> int:
    return next(i for i, each in demo.fns.items() if each is fn)


# Row 8: no file of the server, and no other host


def test_no_event_opens_a_file_of_the_server_or_asks_another_host(tmp_path):
    demo = page(engines(a=(SHORT,) * 99, b=(THOUGHT,) * 99))
    takers = events_with(demo, *FILES)
    assert {"upload", "ask_many", "scene_upload", "ask", "compare"} <= {fn.api_name for fn in takers}
    targets = [
        "/etc/passwd", str(ROOT / "assets" / "examples" / "port.png"), str(demo.page.config.database),
        "http://127.0.0.1:1/x.png", "http://169.254.169.254/latest/meta-data/", "https://example.com/x.png",
    ]  # fmt: skip
    with served(demo) as url, httpx.Client(base_url=url, timeout=60) as client:
        for fn in takers:
            for i, target in enumerate(targets):
                file = {"path": target, "url": target, "orig_name": "x.png", "meta": {"_type": "gradio.FileData"}}
                last = finish(client, number(demo, fn), sent(fn, file), f"{fn.api_name}{i}")[-1]
                assert last["msg"] == "process_completed" and not last["success"], (fn.api_name, target)
                told = json.dumps(last)
                assert "root:" not in told and "SQLite" not in told
                assert ("no address is fetched" in told) == target.startswith("http")
    assert demo.page.store.stats()["runs"] == 0 and not any(model.asked for model in models_of(demo))


def models_of(demo) -> list:
    return [demo.page.open_engine(demo.page.resolve(name)) for name in demo.page.pair]


# Row 1: a picture that would unpack to far more than it weighs


def scene_bomb(path) -> bytes:
    """A TIFF of few bytes whose one block would have to be unpacked at once."""
    size = {"width": 14_000, "height": 14_000, "count": 3, "blockysize": 14_000}
    with rasterio.open(path, "w", driver="GTiff", dtype="uint8", compress="deflate", sparse_ok=True, **size):
        pass
    return path.read_bytes()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_bomb_is_refused_on_every_way_in_and_the_others_go_on(tmp_path):
    demo = page(engines(a=(SHORT,) * 9, b=(THOUGHT,) * 9))
    slowest = 0.0
    with served(demo) as url, httpx.Client(base_url=url, timeout=60) as client, ThreadPoolExecutor(1) as other:
        bombs = {"b.png": bomb(), "b.tif": scene_bomb(tmp_path / "b.tif")}
        paths = client.post("/gradio_api/upload", files=[("files", item) for item in bombs.items()]).json()
        png, tif = ({"path": path, "meta": {"_type": "gradio.FileData"}} for path in paths)
        ways = [
            (fn, sent(fn, tif if "scene" in fn.api_name else png))
            for fn in events_with(demo, *FILES)
            if fn.api_name != "many_folder"  # it only hands on to ask_many
        ]
        finish(client, number(demo, ways[0][0]), ways[0][1], "first")  # what is imported once
        before = peak()
        for i, (fn, data) in enumerate(ways):
            if fn.api_name in ("ask", "compare", "ask_many"):
                data[1] = ASKED
            if fn.api_name == "ask_many":
                data[2] = ["quick"]
            call = other.submit(finish, client, number(demo, fn), data, f"bomb{i}")
            while not call.done():
                started = time.monotonic()
                assert httpx.get(f"{url}/gradio_api/app_id").status_code == 200
                slowest = max(slowest, time.monotonic() - started)
            told = json.dumps(call.result())
            words = "file is damaged" if "scene" in fn.api_name else "at most 40 million"
            assert words in told, (fn.api_name, told[-500:])
    assert peak() - before < 100  # MiB
    assert slowest < 2, "the page answered others meanwhile"
    assert not any(model.asked for model in models_of(demo))


def test_while_pictures_are_opened_and_a_model_thinks_everybody_else_is_answered(monkeypatch):
    """How long they wait is measured by bench.others; here it is that they do not wait for any of that to end."""
    go, thinking, opening = threading.Event(), threading.Event(), threading.Semaphore(0)
    demo = page(engines(a=([thinking.set, go, SHORT],), b=(THOUGHT,)))
    numbers = {fn.api_name: i for i, fn in demo.fns.items()}
    opens = screens.page.open_picture

    def slow(*args):
        opening.release()
        assert go.wait(60)
        return opens(*args)

    with served(demo) as url, httpx.Client(base_url=url, timeout=30) as client, ThreadPoolExecutor(3) as some:
        upload(client, demo, "asker")
        wanted = [None, ASKED, "any", "quick", "thinker", False, "full"]
        busy = [some.submit(finish, client, numbers["put"], wanted, "asker")]
        assert thinking.wait(30)
        screens.page._looked_at.cache_clear()
        monkeypatch.setattr("screens.page.open_picture", slow)
        busy += [some.submit(upload, client, demo, f"opener{i}") for i in range(2)]  # as many as there are places
        assert all(opening.acquire(timeout=30) for _ in range(2))

        assert client.get("/").status_code == 200
        assert client.post("/gradio_api/upload", files={"files": ("h.png", picture_bytes())}).status_code == 200
        for name, data in (
            ("kind", ["counting", ""]), ("next_caption", [None, "Ada", 0, None]), ("results", []), ("about", [""]),
            ("delete_ask", [""]),
        ):  # fmt: skip
            sent = {"data": data, "fn_index": numbers[name], "session_hash": "other"}
            assert client.post("/gradio_api/run/predict", json=sent).status_code == 200, name
        assert finish(client, numbers["stats"], [], "other")[-1]["success"]
        assert not go.is_set() and not any(each.done() for each in busy)
        go.set()
        assert busy[0].result()[-1]["success"] and [each.result() for each in busy[1:]] == [None, None]


# Row 15: more callers than there is room for


@pytest.mark.parametrize("name", ["ask", "compare", "ask_many"])
def test_thirty_callers_are_answered_or_told_at_once(name):
    go, busy = threading.Event(), threading.Event()
    models = engines(a=([busy.set, go, "port"],) + ("port",) * 40, b=(THOUGHT,) * 40)
    demo = page(models, queue_size=5)
    (fn,) = [fn for fn in demo.fns.values() if fn.api_name == name]
    with served(demo) as url, httpx.Client(base_url=url, timeout=60) as client:
        path = client.post("/gradio_api/upload", files={"files": ("h.png", picture_bytes())}).json()[0]
        data = sent(fn, {"path": path, "meta": {"_type": "gradio.FileData"}})
        data[1:3] = [ASKED, ["quick"]] if name == "ask_many" else [ASKED, ""]
        data = [value if value is not None else "" for value in data]
        if name == "compare":
            data[-2] = False
        if name == "ask_many":
            data[3] = None
            data[4:] = ["full"] * len(data[4:])
        crowd(client, lambda session: join(client, number(demo, fn), data, session), busy, go)


def crowd(client, ask, busy: threading.Event, go: threading.Event) -> None:
    """30 callers of a page whose queue takes 5: the first is being answered until `go`."""
    inside, refused = [], 0
    for i in range(30):
        answer = ask(f"caller{i}")
        if answer.status_code == 200:
            inside.append(f"caller{i}")
            assert busy.wait(20), "the first one is being answered"
        else:
            assert answer.status_code == 503 and "full" in answer.text.lower()
            refused += 1
    assert (len(inside), refused) == (6, 24)
    go.set()
    for session in inside:
        with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
            told = [json.loads(line[5:]) for line in stream.iter_lines() if line.startswith("data:")]
        done = [event for event in told if event["msg"] == "process_completed"]
        assert done and done[-1]["success"] and "port" in json.dumps(told), session


def test_thirty_callers_of_the_scene_tab_are_answered_or_told_at_once():
    go, busy = threading.Event(), threading.Event()
    demo = page(engines(a=([busy.set, go, "port"],) + ("port",) * 9), queue_size=5)
    ask, opened = (next(fn for fn in demo.fns.values() if fn.api_name == f"scene_{name}") for name in ("ask", "upload"))
    with served(demo) as url, httpx.Client(base_url=url, timeout=60) as client:
        scene = drawn(*PLACES["UTM north"])
        path = client.post("/gradio_api/upload", files={"files": ("h.tif", scene)}).json()[0]
        for i in range(6):
            file = {"path": path, "meta": {"_type": "gradio.FileData"}}
            assert finish(client, number(demo, opened), [file], f"caller{i}")[-1]["success"]
        data = [None, ASKED, ["quick"], "once", 100, 112, 25]
        crowd(client, lambda session: join(client, number(demo, ask), data, session), busy, go)


# Row 21: who may not, may not; and no other site's page


WAYS_IN = ["queue/join", "run/predict", "upload", "api/predict", *(f"call/{name}" for name in NAMES)]


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}])
def test_another_sites_page_writes_nothing_by_any_way_in(headers):
    demo = page()
    with served(demo) as url, httpx.Client(base_url=f"{url}/gradio_api/", timeout=60) as client:
        for way in WAYS_IN:
            answer = client.post(way, json={"data": [], "fn_index": 0, "session_hash": "s"}, headers=headers)
            assert answer.status_code == 403, way
    stats = demo.page.store.stats()
    assert (stats["runs"], stats["flags"]["total"], stats["corrections"]) == (0, 0, 0)


# Row 22: no secret, whatever fails


def test_no_key_is_in_a_page_a_log_a_database_or_an_error_whatever_fails(monkeypatch, caplog, capfd, tmp_path):
    canary = "hf_" + "canaryCanary0123456789"
    for name in ("HF_TOKEN", "OPENAI_API_KEY", "TINYRS_API_KEY"):
        monkeypatch.setenv(name, canary)
    caplog.set_level("DEBUG")
    gone = "http://127.0.0.1:1/v1#gone?dialect=tinyrs"
    monkeypatch.setattr(app, "here", lambda *_: People("names"))
    broken = FakeEngine([RuntimeError(f"refused {canary}")] * 9, name="quick")
    models = {"quick": broken, "thinker": engines()["thinker"]}
    demos = [page(models), page_of(gone)]
    seen = []
    for demo in demos:
        with served(demo) as url, httpx.Client(base_url=url, timeout=60) as client:
            path = client.post("/gradio_api/upload", files={"files": ("h.png", picture_bytes())}).json()[0]
            file = {"path": path, "meta": {"_type": "gradio.FileData"}}
            seen += [client.get(way).text for way in ("/", "/config", "/gradio_api/info", "/gradio_api/openapi.json")]
            for name, data in (
                ("compare", [file, ASKED, "", "", "", True]),
                ("ask", [file, "", "", ""]),
                ("flag", ["nope", "A", ["other"], ""]),
                ("export", ["../x", "Ada"]),
                ("stats", []),
            ):
                fn = next(fn for fn in demo.fns.values() if fn.api_name == name)
                seen.append(json.dumps(finish(client, number(demo, fn), data, f"s{name}")))
    out = capfd.readouterr()
    assert not any(canary in text for text in (*seen, caplog.text, out.out, out.err))
    database = demos[0].page.config.database
    assert database.stat().st_size and canary.encode() not in database.read_bytes()


def page_of(address: str):
    """A page whose models are both behind an address at which nobody answers."""
    from tests.pages import _in_a_loop, _made

    demo = _in_a_loop(lambda: app.build(Config(), pair=(address, address), people=People("names")))
    _made.append(demo)
    return demo
