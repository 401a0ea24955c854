"""Captions from a model behind a real HTTP server that misbehaves: what is kept, asked again, queued and paid."""

import json
import re
import threading
import time

import pytest

from annotate.__main__ import main
from annotate.generate import seconds_of
from annotate.imports import import_captions
from annotate.plan import Plan, read_rows
from annotate.record import Record
from annotate.rules import Refused
from annotate.store import Store
from annotate.thinking import SYSTEM, Wrote
from tests.generating import (
    KEY,
    LOOKS,
    asked,
    completion,
    data,
    good,
    out,
    row,
    rows_of,
    run,
    sends,
    writes,
)
from tests.loopback import begin, loopback, raw, refuses
from tinyrs.checks import Finding
from training.data import read

__all__ = ["data", "out", "run"]  # fixtures

# --- what comes out -------------------------------------------------------------------------------------


def test_captions_can_be_trained_on_and_imported(run, data, out, tmp_path):
    rows = [
        row("0.png"),
        row("0.png"),  # a copy is asked once
        row("1.png", "{VG} Identify the location of the roof.", "[[100,110,450,500]]"),
        row("2.png", "{CLS} Classify the image within one of the given classes: farm, port.", "port"),
    ]
    with loopback(good) as server:
        code, said, err = run(data(rows=rows), server)
    assert code == 0, err
    assert "3 different rows (1 classification, 1 grounding, 1 vqa)" in said
    assert "3 captions; 0 for people" in said
    examples = read(out / "think.json", tmp_path / "set", 1000, needs_reasoning=True)
    assert [example.answer for example in examples] == ["yes", "[[100,110,450,500]]", "port"]
    assert all(example.reasoning.startswith(LOOKS) for example in examples)
    manifest = rows_of(out / "think.manifest.json")
    assert (manifest["count"], manifest["missing"], manifest["model"]) == (3, 0, "m")
    assert manifest["tokens"] == {"in": 3000, "out": 300}
    with Store(tmp_path / "a.db") as store:
        assert import_captions(store, out / "think.json", images=tmp_path / "set").added == 3


def test_the_request_holds_picture_question_and_answer_under_our_system_prompt(run, data):
    with loopback(good) as server:
        run(data(1), server, "--temperature", "0.2", "--max-tokens", "77")
    headers, body = server.requests[0]
    assert body["messages"][0] == {"role": "system", "content": SYSTEM}
    assert body["messages"][1]["content"][0]["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert asked(body) == {"question": "Is there a roof in the image?", "answer": "yes"}
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("m", 0.2, 77)
    assert headers["authorization"] == f"Bearer {KEY}"


def test_the_same_command_again_asks_nothing_and_writes_the_same_bytes(run, data, out):
    with loopback(good) as server:
        assert run(data(3), server)[0] == 0
        before = {path.name: path.read_bytes() for path in out.iterdir()}
        assert set(before) == {"think.json", "think.jsonl", "think.queue.json", "think.manifest.json"}
        assert run(data(3), server)[0] == 0
        assert len(server.requests) == 3
        assert {path.name: path.read_bytes() for path in out.iterdir()} == before
        run(data(4), server)  # one row more
        assert len(server.requests) == 4


# --- the checks -----------------------------------------------------------------------------------------

WRONG = [
    (writes(f"{LOOKS}, which agrees with the given answer."), "leak"),
    (writes("The user told me that the answer is yes, and I see a roof in the upper left."), "leak"),
    (writes(f"{LOOKS}, so I am sure of it.", "no"), "given"),
    (writes(f"{LOOKS}, but it is a car. No, there is no roof in the image."), "contradiction"),
    (sends(completion("yes")), "format"),
    (sends(completion("")), "format"),
    (sends(completion(None, refusal="I cannot help with that.")), "format"),
    (sends(completion(f"<reasoning> {LOOKS}", reason="length")), "format"),
    (sends(completion("word " * 200_000)), "format"),  # a megabyte
    (writes("word " * 200_000), "format"),
    (writes("Bright."), "length"),
    (sends(completion("<reasoning> \ud800\x1b[2J </reasoning> <answer> yes </answer>")), ""),
    (writes("Ich sehe ein helles Dach und es ist links oben auf dem Bild."), "language"),
]


@pytest.mark.parametrize(("bad", "check"), WRONG)
def test_what_fails_the_checks_is_asked_again_with_the_finding(run, data, out, bad, check):
    with loopback(bad, good) as server:
        code, said, err = run(data(1), server)
    assert code == 0, err
    assert "1 captions; 0 for people" in said
    first, second = (body for _, body in server.requests)
    told = json.dumps(second["messages"])
    assert "cannot be used" in told and "cannot be used" not in json.dumps(first["messages"])
    line = json.loads((out / "think.jsonl").read_text().splitlines()[1])
    assert check in [name for name, _ in line["findings"]] or not check and line["findings"]
    assert len((out / "think.jsonl").read_bytes()) < 200_000


def test_numbers_that_do_not_fit_the_box_are_found(run, data, out):
    rows = [row("0.png", "{VG} Identify the location of the roof.", "[[100,110,450,500]]")]
    wrong = "Let me look closely. The roof runs from 700 horizontally and 800 vertically to 950 and 990."
    with loopback(writes(wrong), good) as server:
        assert run(data(1, rows), server)[0] == 0
    assert "numbers" in rows_of(out / "think.manifest.json")["found"]
    assert len(server.requests) == 2


@pytest.mark.parametrize(("bad", "check"), WRONG)
def test_what_fails_every_time_goes_to_people_with_the_reason(run, data, out, tmp_path, bad, check):
    with loopback(bad) as server:
        code, said, _ = run(data(1), server, "--attempts", "2")
        assert code == 0 and "0 captions; 1 for people" in said
        assert len(server.requests) == 2
        run(data(1), server, "--attempts", "2")
        assert len(server.requests) == 2  # used up is used up
    assert rows_of(out / "think.json") == []
    (queued,) = rows_of(out / "think.queue.json")
    assert queued["why"].startswith(check)
    with Store(tmp_path / "a.db") as store:
        assert import_captions(store, out / "think.queue.json", images=tmp_path / "set").added == 1
        caption = store.caption(1)
        assert caption["revision"]["answer"] == "yes"
        assert set(queued["why"].split("\n")) <= set(caption["why"].split("\n"))


def test_with_a_database_what_failed_is_queued_there_at_once(run, data, out, tmp_path):
    with loopback(writes("The answer was given as yes, and I see a roof there."), good) as server:
        for added in (1, 0):
            code, said, _ = run(
                data(3), server, "--attempts", "1", "--concurrency", "1", "--db", str(tmp_path / "a.db")
            )
            assert code == 0 and f"{added} new captions in the queue" in said
    with Store(tmp_path / "a.db") as store:
        caption = store.caption(1)
        assert store.stats()["captions"]["total"] == 1
    assert caption["revision"]["author"] == "model:m"
    assert "leak" in caption["why"]


def test_a_fault_of_the_data_sets_own_answer_is_not_the_models(run, data):
    rows = [row("0.png", told="A roof can be seen.")]  # the question wants yes or no
    with loopback(good) as server:
        code, said, _ = run(data(1, rows), server)
    assert code == 0 and "1 captions" in said and len(server.requests) == 1


# --- a server that misbehaves ---------------------------------------------------------------------------


def cut(handler):
    begin(handler, 200, "application/json", Content_Length="5000")
    raw(handler, '{"choices": [')


def hangs(handler):
    time.sleep(0.6)


TROUBLE = [
    refuses(429),
    refuses(429, Retry_After="0.2"),
    refuses(500),
    refuses(503),
    refuses(408),
    hangs,
    cut,
    sends("{"),
    sends("not json"),
    sends("[]"),
    sends("[" * 100_000),
    sends({}),
    sends({"choices": []}),
    sends({"choices": [{"message": None}]}),
    sends(completion(["no text"])),
    lambda handler: handler.connection.close(),
]


@pytest.mark.parametrize("bad", TROUBLE)
def test_a_call_that_fails_is_tried_again_until_it_works(run, data, out, bad):
    with loopback(bad, bad, good) as server:
        code, said, err = run(data(1), server, "--timeout", "0.3")
    assert code == 0, err
    assert len(server.requests) == 3
    assert "1 captions" in said


@pytest.mark.parametrize("bad", [refuses(500, KEY), hangs, sends(f"{{{KEY}")])
def test_a_row_without_an_answer_is_told_and_asked_again_next_time(run, data, out, bad):
    with loopback(bad, bad, good) as server:
        code, said, err = run(data(2), server, "--retries", "1", "--timeout", "0.3", "--concurrency", "1")
        assert code == 1
        assert "1 captions; 0 for people in think.queue.json; 1 not there yet." in said
        assert "1 rows got no answer; the same command asks them again." in err
        assert rows_of(out / "think.manifest.json")["missing"] == 1
        assert run(data(2), server)[0] == 0
    assert len(rows_of(out / "think.json")) == 2


def test_retry_after_is_kept_to_by_all(run, data):
    with loopback(refuses(429, Retry_After="1"), good) as server:
        began = time.monotonic()
        assert run(data(4), server, "--concurrency", "2")[0] == 0
    assert time.monotonic() - began > 0.9


def test_a_question_that_the_server_refuses_goes_to_people(run, data, out):
    with loopback(refuses(400), good) as server:
        code, said, _ = run(data(2), server, "--concurrency", "1")
    assert code == 0 and len(server.requests) == 2
    (queued,) = rows_of(out / "think.queue.json")
    assert "refused the question (400)" in queued["why"]
    assert queued["conversations"][1]["value"] == "yes"


def test_a_dead_server_ends_the_run(run, data):
    with loopback(refuses(500)) as server:
        code, _, err = run(data(30), server, "--retries", "0", "--concurrency", "1")
    assert code == 1 and len(server.requests) == 10
    assert "10 rows one after the other got no answer" in err


FATAL = [
    (refuses(401, KEY), "another key", 2),
    (refuses(403), "another key", 2),
    (refuses(404), "no model called m", 2),
    (refuses(429, Retry_After="86400"), "left alone for 86400 seconds", 1),
]


@pytest.mark.parametrize(("bad", "words", "exit_code"), FATAL)
def test_what_no_repetition_changes_ends_the_run_at_once(run, data, out, bad, words, exit_code):
    with loopback(bad) as server:
        code, _, err = run(data(9), server, "--concurrency", "2")
    assert code == exit_code and words in err and len(server.requests) <= 2
    assert not (out / "think.json").exists()


def test_the_key_is_in_no_file_and_no_output(run, data, out):
    leaky = [refuses(500, KEY), writes(f"{LOOKS}. {KEY} is what I see here."), refuses(400, KEY)]
    heard = ""
    with loopback(*leaky, good) as server:
        for _ in range(2):
            code, said, err = run(data(3), server, "--concurrency", "1", "--retries", "0")
            heard += said + err
    with loopback(refuses(401, KEY)) as server:
        heard += "".join(map(str, run(data(5), server)))
    assert KEY not in heard
    assert all(KEY.encode() not in path.read_bytes() for path in out.iterdir())


def test_calls_are_spaced_to_the_rate(run, data):
    times = []

    def timed(handler):
        times.append(time.monotonic())
        good(handler)

    with loopback(timed) as server:
        assert run(data(4), server, "--rpm", "300")[0] == 0
    assert max(times) - min(times) > 0.55


def test_no_more_calls_are_out_at_once_than_allowed(run, data):
    now, most, lock = [0], [0], threading.Lock()

    def counted(handler):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        with lock:
            now[0] -= 1
        good(handler)

    with loopback(counted) as server:
        assert run(data(9), server, "--concurrency", "3")[0] == 0
    assert 2 <= most[0] <= 3


# --- money ----------------------------------------------------------------------------------------------

PRICES = ("--price-in", "100", "--price-out", "1000")  # a call of 1000 and 100 tokens costs 0.2


def test_the_budget_is_kept_and_says_so(run, data, out):
    with loopback(good) as server:
        code, said, err = run(data(9), server, *PRICES, "--budget", "1.7")
        assert code == 1
        assert "The budget of 1.7 does not allow another call" in err
        asked = len(server.requests)
        assert 0 < asked < 9 and 0.2 * asked <= 1.7
        assert rows_of(out / "think.manifest.json")["missing"] == 9 - asked
        # What earlier runs cost counts.
        assert run(data(9), server, *PRICES, "--budget", "1.7")[0] == 1
        assert len(server.requests) == asked
        assert run(data(9), server, *PRICES, "--budget", "100")[0] == 0
    assert len(server.requests) == 9
    assert rows_of(out / "think.manifest.json")["cost"] == pytest.approx(1.8)


def test_a_model_whose_pictures_are_dear_does_not_break_the_budget(run, data, out):
    # 100,000 tokens a picture, where the estimate says a few hundred: 10 a call.
    with loopback(writes(f"{LOOKS}, so I am sure of it.", usage=(100_000, 0))) as server:
        code, _, err = run(data(9), server, *PRICES, "--budget", "45", "--max-tokens", "1")
    assert code == 1 and len(server.requests) == 4
    assert rows_of(out / "think.manifest.json")["cost"] == pytest.approx(40)


def test_a_call_that_brought_nothing_is_counted_as_paid(run, data, out):
    with loopback(hangs, good) as server:
        assert run(data(1), server, "--timeout", "0.3", "--max-tokens", "500")[0] == 0
    manifest = rows_of(out / "think.manifest.json")
    assert manifest["lost_calls"] == 1 and manifest["tokens"]["out"] == 100 + 500


def test_what_it_will_cost_is_said_first_or_that_nobody_knows(run, data):
    with loopback(good) as server:
        _, said, _ = run(data(3), server, "--dry-run")
        assert "The cost is unknown" in said
        _, said, _ = run(data(3), server, "--dry-run", *PRICES, "--budget", "5")
        # By hand: 3 x (300 tokens out + what goes in).
        tokens_in = int(re.search(r"About ([\d,]+) tokens in and 900 out", said)[1].replace(",", ""))
        cost = float(re.search(r"About ([\d.]+) at 100 in and 1000 out", said)[1])
        assert cost == pytest.approx(tokens_in * 100 / 1e6 + 0.9, abs=0.01)
        assert "the budget is 5." in said


def test_a_dry_run_asks_nothing_and_writes_nothing(run, data, out, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with loopback(good) as server:
        code, said, _ = run(data(3), server, "--dry-run")
        assert code == 0 and "0 are done, 3 are to be asked of m at 127.0.0.1" in said
        assert server.requests == [] and not out.exists()
        run(data(2), server)
        code, said, _ = run(data(3), server, "--dry-run")
        assert "2 are done, 1 are to be asked" in said


# --- what is refused ------------------------------------------------------------------------------------

BAD = [
    (["--model", "n"], "holds captions by m, 127.0.0.1"),
    (["--budget", "3"], "--budget needs --price-in"),
    (["--price-in", "3"], "both --price-in and --price-out"),
    (["--base-url", "ftp://x"], "--base-url is an address"),
    (["--out", "think.txt"], "ends in .json"),
    (["--out", "set/list.json"], "must have another name than --data"),
    (["--data", "set/list.jsonl", "--out", "set/list.json"], "must have another name than --data"),
    (["--out", "set/bad.json"], "is there already, without a record"),
    (["--out", "set/foreign.json"], "foreign.jsonl is no record"),
    (["--out", "export/think.json"], "is a finished export"),
    (["--data", "none.json"], "There is no file none.json."),
    (["--data", "set/bad.json"], "bad.json, row 1"),
    (["--concurrency", "0"], "whole number from 1"),
    (["--rpm", "0"], "a number above 0"),
    (["--price-out", "nan"], "a number from 0"),
    (["--box-scale", "-1"], "box scale"),
]


@pytest.mark.parametrize(("args", "words"), BAD)
def test_a_mistake_is_one_sentence_and_nothing_is_asked(run, data, tmp_path, monkeypatch, args, words):
    file = data(1)
    (file.parent / "bad.json").write_text(json.dumps([row("../x.png")]))
    (file.parent / "foreign.jsonl").write_text("something else")
    (file.parent / "list.jsonl").write_text(json.dumps(row("0.png")))
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "manifest.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    with loopback(good) as server:
        assert run(file, server)[0] == 0
        code, _, err = run(file, server, *args)
        assert (code, len(server.requests)) == (2, 1)
    assert words in err and err.count("\n") == 1 and err.rstrip().endswith(".")
    assert (file.parent / "foreign.jsonl").read_text() == "something else"
    assert json.loads((file.parent / "list.jsonl").read_text()) == row("0.png")


def test_openai_itself_needs_a_key(capsys, data, out):
    words = ["generate", "--data", str(data(1)), "--out", str(out / "think.json"), "--model", "m"]
    assert main(words) == 2
    assert "OPENAI_API_KEY is not set" in capsys.readouterr().err


def test_a_record_is_read_back_as_it_was_written(tmp_path):
    path, head = tmp_path / "a.jsonl", {"model": "m", "host": "h"}
    with Record(path, head) as record:
        record.answered("k", Wrote("a\u2028\u0085b", 5, 6), [Finding("leak", "So.")])
        record.went_astray("k", (7, 8))
        record.answered("k", Wrote("c", 1, 1), [])
        record.batch("t", "made", "f")
        record.batch("t", "sent", "f", "id")
        with pytest.raises(Refused, match="Another"):
            Record(path, head)
    with Record(path, head) as record:
        first, second = record.attempts["k"]
        assert first["text"] == "a\u2028\u0085b" and first["findings"] == [("leak", "So.")]
        assert (record.tokens_in, record.tokens_out, record.lost) == (13, 15, 1)
        assert record.good("k") == "c" and record.batches["t"]["id"] == "id"
    for text in ("{}\n", "[]\n", "1\n", '{"head": {}}\n{"key": 1}\n', "{\n"):
        path.write_text(text)
        with pytest.raises(Refused):
            Record(path, {} if "head" in text else head)


def test_rows_are_known_by_what_they_hold_not_by_where_they_lie(data, tmp_path):
    plan = Plan(data(2), tmp_path / "t.json", "m")
    keys = [row.key for row in read_rows(plan)]
    rows = [row("0.png"), row("1.png", told="no"), row("1.png")]
    moved = read_rows(Plan(data(2, rows), tmp_path / "t.json", "m"))
    assert [keys[0], keys[1]] == [moved[0].key, moved[2].key] and moved[1].key not in keys


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [("2", 2, 2), ("0.5", 0.5, 0.5), ("-3", 0, 0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0)],
)
def test_retry_after_in_seconds_or_as_a_date(header, low, high):
    assert low <= seconds_of(header) <= high


@pytest.mark.parametrize("header", [None, "", "soon", "nan", "inf"])
def test_any_other_retry_after_is_none(header):
    assert seconds_of(header) is None


def test_a_record_whose_first_line_was_cut_off_starts_anew(tmp_path):
    for torn in ("", '{"he', '{"head": {"model"'):
        path = tmp_path / "a.jsonl"
        path.write_text(torn)
        with Record(path, {"model": "m"}) as record:
            assert record.attempts == {}
        assert path.read_text() == '{"head": {"model": "m"}}\n'


def test_control_characters_of_a_model_do_not_spoil_the_file_for_an_import(run, data, out, tmp_path):
    with loopback(writes(f"{LOOKS}, so\x1b\u00a0I am\u200b sure\r\nof it.")) as server:
        assert run(data(1), server)[0] == 0
    with Store(tmp_path / "a.db") as store:
        assert import_captions(store, out / "think.json", images=tmp_path / "set").added == 1
        assert store.caption(1)["revision"]["reasoning"].endswith("so\u00a0I am\u200b sure\nof it.")
