"""The endpoints for programs: the examples of docs/api.md against a running page, and what must be refused."""

from __future__ import annotations

import contextlib
import json
import re
import shutil

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from annotate.keeper import at_start
from annotate.people import People
from screens.api import NAMES, READING
from tests.pages import ASKED, SHORT, THOUGHT, Hands, close_pages, engines, page, picture_file, served
from tests.payloads import PAYLOADS
from tinyrs.config import ROOT, Config


def ready(count: int = 12, **settings):
    """A page whose models answer the same `count` times."""
    return page(engines(a=(SHORT,) * count, b=(THOUGHT,) * count), **settings)


def client(url: str, **options) -> Client:
    return Client(url, verbose=False, **options)


def accept_all(store) -> None:
    """Accept every correction that waits."""
    for caption in range(1, store.stats()["captions"]["total"] + 1):
        store.add_review(store.caption(caption)["revision"]["id"], "accept", author="Bo")


def test_the_examples_of_the_docs_run(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert {name for name in NAMES if f'api_name="/{name}"' in "".join(blocks)} == set(NAMES)
    demo, world = ready(), {}
    with served(demo) as url:
        for block in blocks:
            if "/export" in block:
                accept_all(demo.page.store)
            exec(compile(block.replace("http://127.0.0.1:7860", url), "docs/api.md", "exec"), world)
    out = capsys.readouterr().out
    assert "[[120, 300, 380, 560]]" in out and "cot_sft.json" in out
    assert world["both"]["iou"] == pytest.approx(0.75, abs=0.1) and world["saved"]["revision"] > 0
    (row,) = world["made"]["files"]["cot_sft.json"]
    assert "[[100,200,300,400]]" in json.dumps(row)
    stats = demo.page.store.stats()
    assert (stats["runs"], stats["flags"]["total"], stats["exports"]) == (1, 1, 1)


def test_what_is_offered_is_listed_and_readable():
    with served(ready()) as url:
        info = httpx.get(f"{url}/gradio_api/info").json()
        assert sorted(info["named_endpoints"]) == sorted(f"/{name}" for name in NAMES)
        assert not info["unnamed_endpoints"] and set(READING) <= set(NAMES)
        for endpoint in info["named_endpoints"].values():
            assert endpoint["description"] and all(p["parameter_name"] for p in endpoint["parameters"])
        offered = httpx.get(f"{url}/gradio_api/openapi.json").json()["paths"]
        assert {path.rsplit("/", 1)[-1] for path in offered if "/call/" in path or "/run/" in path} >= {"ask"}


def test_mistakes_are_sentences_and_change_nothing(tmp_path):
    demo = ready()
    wrong = tmp_path / "wrong.png"
    wrong.write_text("<svg onload=alert(1)>")
    with served(demo) as url:
        one, picture = client(url), handle_file(picture_file(tmp_path))
        for options, words in (
            ({"picture": picture, "question": ""}, "Type a question"),
            ({"picture": picture, "question": ASKED, "model": "/etc"}, "not on offer"),
            ({"picture": picture, "question": ASKED, "task": "poetry"}, "task"),
            ({"picture": handle_file(wrong), "question": ASKED}, "."),
        ):
            with pytest.raises(AppError, match=re.escape(words)) as told:
                one.predict(**options, api_name="/ask")
            assert str(tmp_path) not in str(told.value) and "Traceback" not in str(told.value)
        for name, options, words in (
            ("flag", {"record": "nope", "side": "A", "reasons": ["wrong box"]}, "."),
            ("next_item", {}, "name"),
            ("submit", {"revision": 99, "reasoning": "", "answer": "x", "name": "Ada"}, "."),
            ("export", {"name": "Ada"}, "."),
            ("export", {"name": "Ada", "kind": "../x"}, "kind"),
        ):
            with pytest.raises(AppError, match=re.escape(words)):
                one.predict(**options, api_name=f"/{name}")
    stats = demo.page.store.stats()
    assert (stats["runs"], stats["flags"]["total"], stats["corrections"], stats["exports"]) == (0, 0, 0, 0)


def test_who_saves_second_gets_the_others_text(tmp_path):
    demo = ready()
    with served(demo) as url:
        one = client(url)
        both = one.predict(
            picture=handle_file(picture_file(tmp_path)), question=ASKED, keep=True, api_name="/compare"
        )
        one.predict(record=both["record"], side="A", reasons=["wrong box"], api_name="/flag")
        item = one.predict(name="Ada", api_name="/next_item")["item"]
        assert item["picture"].startswith("data:image/") and item["flags"][0]["reasons"] == ["wrong box"]
        assert one.predict(name="Bo", api_name="/next_item")["item"] is None  # Ada holds it
        told = {"reasoning": "", "revision": item["revision"]}
        one.predict(**told, answer="[[1,2,30,40]]", name="Ada", api_name="/submit")
        late = one.predict(**told, answer="[[9,9,90,90]]", name="Bo", api_name="/submit")
    assert late["conflict"]["author"] == "Ada" and late["conflict"]["answer"] == "[[1,2,30,40]]"
    assert demo.page.store.stats()["corrections"] == 1


def test_a_receipt_takes_back_what_was_stored_under_it_and_nothing_else(tmp_path):
    demo = ready()
    store = demo.page.store
    with served(demo) as url:
        one, kept = client(url), []
        for receipt in ("", ""):
            kept.append(
                one.predict(
                    picture=handle_file(picture_file(tmp_path)), question=ASKED, keep=True, receipt=receipt,
                    api_name="/compare",
                )
            )  # fmt: skip
        mine, other = kept
        told = {"side": "A", "reasons": ["wrong box"], "api_name": "/flag"}
        flag = one.predict(record=other["record"], receipt=mine["receipt"], note="My hut", **told)
        assert flag["receipt"] == mine["receipt"] != other["receipt"]
        unkept = one.predict(picture=handle_file(picture_file(tmp_path)), question=ASKED, api_name="/compare")
        assert unkept["receipt"] == unkept["record"] == ""
        for receipt, words in (("", "receipt is missing"), ("guessed", "no receipt")):
            with pytest.raises(AppError, match=words):
                one.predict(receipt=receipt, api_name="/delete")
            with pytest.raises(AppError, match="no receipt"):
                one.predict(record=other["record"], receipt="guessed", **told)
        assert one.predict(receipt="x" * 32, api_name="/delete")["deleted"] == {"runs": 0, "flags": 0, "votes": 0}
        assert (store.stats()["runs"], store.stats()["flags"]["total"]) == (2, 1)
        gone = one.predict(receipt=mine["receipt"], api_name="/delete")["deleted"]
        assert gone == {"runs": 1, "flags": 1, "votes": 0}
    assert not store.has_run(mine["record"]) and store.run(other["record"])["flags"] == []
    with store.read() as db:
        kept = "\n".join(db.conn.iterdump())
    assert "My hut" not in kept and mine["receipt"] not in kept and other["receipt"] not in kept


def test_without_a_login_nothing_is_leased_corrected_or_exported(tmp_path):
    demo = ready(people=People("closed"))
    with served(demo) as url:
        one = client(url)
        both = one.predict(
            picture=handle_file(picture_file(tmp_path)), question=ASKED, keep=True, api_name="/compare"
        )
        one.predict(record=both["record"], side="A", reasons=["wrong box"], api_name="/flag")
        for name, options in (
            ("next_item", {"name": "Ada"}),
            ("submit", {"revision": 1, "reasoning": "", "answer": "x", "name": "Ada"}),
            ("export", {"name": "Ada"}),
        ):
            with pytest.raises(AppError, match="login"):
                one.predict(**options, api_name=f"/{name}")
    stats = demo.page.store.stats()
    assert (stats["corrections"], stats["exports"], stats["flags"]["total"]) == (0, 0, 1)


def test_the_eleventh_flag_within_a_minute_is_refused(tmp_path):
    demo = ready()
    with served(demo) as url:
        one = client(url)
        both = one.predict(
            picture=handle_file(picture_file(tmp_path)), question=ASKED, keep=True, api_name="/compare"
        )
        told = {"record": both["record"], "side": "A", "reasons": ["other"]}
        for text in PAYLOADS[:10]:
            one.predict(**told, note=text.encode("utf-8", "replace").decode(), api_name="/flag")
        with pytest.raises(AppError, match="minute"):
            one.predict(**told, api_name="/flag")
    assert demo.page.store.stats()["flags"]["total"] == 10


def test_no_file_of_the_server_comes_in_as_a_picture():
    demo = ready()
    with served(demo) as url, httpx.Client(base_url=url, timeout=30) as raw:
        for name, rest in (("ask", ["What?", "", ""]), ("compare", ["What?", "", "", "", True])):
            for path in (str(ROOT / "README.md"), "/etc/passwd", "http://127.0.0.1:1/x.png"):
                for sent in ({"path": path, "meta": {"_type": "gradio.FileData"}}, {"path": path}, path):
                    answer = raw.post(f"/gradio_api/call/{name}", json={"data": [sent, *rest]})
                    if answer.status_code == 200:
                        stream = raw.get(f"/gradio_api/call/{name}/{answer.json()['event_id']}").text
                        assert "event: error" in stream and "complete" not in stream
                        assert path not in stream
    assert demo.page.store.stats()["runs"] == 0


def test_another_sites_page_cannot_call(tmp_path):
    demo = ready()
    with served(demo) as url:
        for name in NAMES:
            answer = httpx.post(
                f"{url}/gradio_api/call/{name}", json={"data": []}, headers={"sec-fetch-site": "cross-site"}
            )
            assert answer.status_code == 403


def test_a_link_to_a_kept_comparison_outlives_the_disk(tmp_path):
    """Kept by a program, saved elsewhere, the disk wiped: the page brings the comparison back under the same address."""
    kept = Config(backup=str(tmp_path / "kept"))
    demo = ready()
    with served(demo) as url:
        both = client(url).predict(
            picture=handle_file(picture_file(tmp_path)), question=ASKED, keep=True, api_name="/compare"
        )
    with contextlib.closing(at_start(kept)) as keeper:
        keeper.save()
    close_pages()
    shutil.rmtree(kept.data)
    at_start(kept).close()
    hands = Hands(page())
    hands.request.query_params["record"] = both["record"]
    seen = hands.call("record")
    assert seen["question"] == ASKED and "The longest hull" in seen["card-b"] and "box side-a" in seen["viewer"]
