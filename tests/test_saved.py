"""The line that says how safe the record is, and an app whose disk is wiped."""

import shutil
import time

import httpx
import pytest

from annotate import markup
from annotate.keeper import Keeper, Status
from annotate.store import Store
from annotate.vault import Folder
from dev.served import the_app
from tests.pages import Hands, close_pages, page
from tests.serving import until
from tests.store_parts import Clock, add_run
from tests.test_backup import rows


@pytest.mark.parametrize(
    "status, wiped, words",
    [
        (None, True, 'data-state="failed">Not persisted: what is written here is lost'),
        (None, False, 'data-state="ok">Kept on this machine.'),
        (Status(None, 0, ""), True, "Nothing to save yet."),
        (Status(None, 2, ""), True, "Not saved yet; 2 changes on the way."),
        (Status(1_700_000_000, 0, ""), True, 'data-state="ok">Saved 2023-11-14 22:13 UTC.'),
        (Status(1_700_000_000, 1, ""), True, "Saved 2023-11-14 22:13 UTC; 1 change on the way."),
        (Status(1_700_000_000, 3, "/bucket: <b>"), True, 'data-state="failed">Not persisted since 2023-11-14 22:13 UTC: saving fails'),
        (Status(None, 3, "x"), True, "Not persisted: saving fails, and whoever runs this page finds why in its log. 3 changes would be lost"),
    ],
)  # fmt: skip
def test_the_line_says_how_safe_the_record_is(status, wiped, words):
    line = markup.saved(status, wiped)
    assert words in line and "bucket" not in line and "<b>" not in line


def test_today_is_a_time_alone():
    now = time.time()
    assert f"Saved {time.strftime('%H:%M', time.gmtime(now))} UTC." in markup.saved(Status(now, 0, ""), True)


def test_the_line_goes_stale_when_saving_fails_and_heals(tmp_path, monkeypatch):
    clock = Clock()
    first = page()
    database = first.page.config.database
    close_pages()
    bucket = tmp_path / "bucket"
    keeper = Keeper(database, Folder(bucket), clock=clock)
    hands = Hands(page(keeper=keeper))

    def line():
        return hands.call_line("saved")

    assert "Nothing to save yet" in line()
    add_run(hands.demo.page.store)
    assert "on the way" in line()
    keeper.save()
    assert "Saved 2023" in line()
    add_run(hands.demo.page.store)
    shutil.rmtree(bucket)
    bucket.write_text("no folder any more")
    with pytest.raises(Exception, match="not a directory"):
        keeper.save()
    assert "Not persisted since 2023" in line() and str(tmp_path) not in line()
    bucket.unlink()
    keeper.save()
    assert "Saved 2023" in line()
    keeper.close()


@pytest.mark.slow
def test_an_app_whose_disk_is_wiped_starts_with_all_that_was_written_before_it_ended(tmp_path, monkeypatch):
    data, bucket = tmp_path / "disk", tmp_path / "bucket"
    monkeypatch.setenv("TINYRS_BACKUP", str(bucket))
    monkeypatch.setenv("TINYRS_BACKUP_SECONDS", "3600")
    with the_app(data) as url, Store(data / "tinyrs.db") as store:
        assert "Nothing to save yet" in ask(url) or "Saved" in ask(url)
        for _ in range(3):
            add_run(store)
        assert "on the way" in ask(url)
    before = rows(data / "tinyrs.db")
    shutil.rmtree(data)
    with the_app(data) as url:
        assert rows(data / "tinyrs.db") == before
        until(lambda: "Saved" in ask(url))


def ask(url):
    """What the page says now."""
    with httpx.Client(base_url=url, timeout=60) as client:
        config = client.get("/config").json()
        number = next(each["id"] for each in config["dependencies"] if each["api_name"] == "saved")
        answer = client.post("/gradio_api/run/predict", json={"data": [], "fn_index": number, "session_hash": "s"})
        return answer.json()["data"][0]
