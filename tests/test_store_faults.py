"""Many writers, kills, full disks: real processes on a real file, and what the file says afterwards."""

import itertools
import os
import random
import resource
import signal
import time
from pathlib import Path

import pytest

from annotate.store import Store, StoreBusy, StoreError, StoreFull
from tests.store_parts import (
    PATIENCE,
    PROCESSES,
    SCENE,
    add_caption,
    add_picture,
    add_run,
    check_whole,
    drawn,
    head,
    processes,
    save_often,
    side,
    together,
)
from tinyrs.image import open_picture

APPENDS, SAVES = 200, 50


def _append(number, path, picture):
    done = []
    with Store(path) as store:
        for i in range(APPENDS):
            start = time.monotonic()
            run = store.add_run(picture, SCENE, {"A": side(f"{number} {i}")})
            done.append((run, f"{number} {i}", time.monotonic() - start))
    return done


@pytest.mark.slow
def test_eight_processes_append_200_times_each_and_nothing_is_lost(tmp_path):
    with Store(tmp_path / "a.db") as store:
        picture = add_picture(store)
        told = [row for rows in together(_append, store.path, picture) for row in rows]
        assert len({run for run, _, _ in told}) == PROCESSES * APPENDS == store.stats()["runs"]
        with store.read() as db:
            kept = dict(db.conn.execute("SELECT run, raw FROM sides").fetchall())
        assert kept == {run: raw for run, raw, _ in told}
        waits = sorted(seconds for _, _, seconds in told)
        assert waits[int(0.99 * len(waits))] < 5
        check_whole(store)


@pytest.mark.slow
def test_eight_editors_save_one_caption_50_times_each_in_one_line_of_history(tmp_path):
    with Store(tmp_path / "a.db") as store:
        caption = add_caption(store, "start", "port", SCENE)
        told = [save for saves in together(save_often, store.path, caption, SAVES) for save in saves]
        assert sum(conflicts for conflicts, _ in told) > 0  # or they did not meet, and this test showed nothing
        waits = sorted(seconds for _, seconds in told)
        assert waits[int(0.99 * len(waits))] < 5  # from the first try until it was in
        history = store.history(caption)
        assert [row["parent"] for row in history] == [None, *[row["id"] for row in history[:-1]]]
        texts = [row["reasoning"] for row in history[1:]]
        assert sorted(texts) == sorted(f"{n} {i}" for n in range(PROCESSES) for i in range(SAVES))
        check_whole(store)


def _work_until_killed(number, path, picture, told):
    """Every kind of write that several rows belong to: a run, a flag with its caption, a correction, a verdict."""
    with Store(path) as store:
        for i in itertools.count():
            run = add_run(store, SCENE, picture, A=f"{number} {i} first side", B="second side")
            told.send(("run", run))
            told.send(("flag", store.add_flag(run, "A", ["wrong class"], author=f"v{number} {i}")))
            caption = store.run(run)["flags"][0]["caption"]
            better = store.save_correction(
                head(store, caption), reasoning="I see quays.", answer="port", author="Ann"
            )
            told.send(("revision", better))
            told.send(("review", store.add_review(better, "accept", author="Rex")))


@pytest.mark.slow
def test_50_kills_at_random_moments_lose_nothing_that_was_acknowledged(tmp_path):
    chance = random.Random(7)
    acknowledged = []
    with Store(tmp_path / "a.db") as store:
        picture = add_picture(store)
    for number in range(50):
        heard, told = processes.Pipe(duplex=False)
        process = _spawn(_work_until_killed, number, tmp_path / "a.db", picture, told)
        told.close()
        # A few words say that it is at work, and at which write; where in that the kill then falls is left to chance.
        for _ in range(chance.randint(1, 6)):
            acknowledged.append(heard.recv())
        time.sleep(chance.uniform(0, 0.03))
        os.kill(process.pid, signal.SIGKILL)
        process.join(PATIENCE)
        assert process.exitcode == -signal.SIGKILL
        try:
            while True:
                acknowledged.append(heard.recv())
        except EOFError:
            heard.close()
    with Store(tmp_path / "a.db") as store:
        check_whole(store)
        assert len(set(acknowledged)) == len(acknowledged) >= 50
        assert {what for what, _ in acknowledged} == {"run", "flag", "revision", "review"}
        for what, table in (("run", "runs"), ("flag", "flags"), ("revision", "revisions"), ("review", "reviews")):
            more = " WHERE parent IS NOT NULL" if what == "revision" else ""
            with store.read() as db:
                there = {key for (key,) in db.conn.execute(f"SELECT id FROM {table}{more}")}
            said = {key for each, key in acknowledged if each == what}
            # One write may have been done and not told at each kill.
            assert said <= there and len(there) <= len(said) + 50, what
        with store.read() as db:
            # No half pairs: a run has both sides, a flag its caption, a caption its text and its place in the queue.
            for alone in (
                "SELECT run FROM sides GROUP BY run HAVING count(*) <> 2",
                "SELECT id FROM runs WHERE id NOT IN (SELECT run FROM sides)",
                "SELECT id FROM flags WHERE caption IS NULL OR caption NOT IN (SELECT caption FROM heads)",
                "SELECT id FROM captions WHERE id NOT IN (SELECT caption FROM revisions WHERE parent IS NULL)",
                "SELECT caption FROM heads WHERE revision <> (SELECT max(id) FROM revisions r WHERE r.caption = heads.caption)",
            ):
                assert db.conn.execute(alone).fetchall() == [], alone
        add_run(store)


def _spawn(work, *args):
    process = processes.Process(target=work, args=args)
    process.start()
    return process


# --- a full disk ------------------------------------------------------------------------------------------


def test_a_full_disk_is_said_and_rolled_back_and_the_next_write_works_once_there_is_room(tmp_path):
    with Store(tmp_path / "a.db") as store:
        picture = add_picture(store)
        run = add_run(store, picture=picture)
        with store.read() as db:
            pages = db.conn.execute("PRAGMA page_count").fetchone()[0]
            db.conn.execute(f"PRAGMA max_page_count = {pages + 2}")
        before = store.stats()
        done = 0
        with pytest.raises(
            StoreFull, match=r"^The disk is full: nothing was saved\. Make room and try again\.$"
        ):
            for _ in range(100):
                add_run(store, picture=picture, A="word " * 500, B="word " * 500)
                done += 1
        assert store.stats()["runs"] == before["runs"] + done
        assert set(store.run(run)["sides"]) == {"A", "B"}  # reading goes on
        with store.read() as db:
            db.conn.execute("PRAGMA max_page_count = 1000000")
        add_run(store, picture=picture, A="word " * 500, B="word " * 500)
        check_whole(store)


def _no_bigger_files(path, results):
    """A limit on the size of files is the nearest to a full disk that a test without root can have."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Store(path) as store:
        size = Path(path).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        problems = []
        data = drawn(9, "TIFF") + b"\0" * size
        picture = open_picture(data)
        first = store.run(store.runs()[0])["picture"]
        for write in (
            lambda: store.add_picture(picture, data),
            lambda: [add_run(store, picture=first, A="word " * 4000) for _ in range(50)],
        ):
            try:
                write()
                problems.append(None)
            except StoreError as problem:
                problems.append(str(problem))
        runs = store.stats()["runs"]
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        store.add_picture(picture, data)
        add_run(store)
        results.put((problems, store.stats()["runs"] - runs))


def test_files_that_cannot_grow_are_a_sentence_and_leave_nothing_half(tmp_path):
    with Store(tmp_path / "a.db") as store:
        add_run(store)
    results = processes.Queue()
    process = _spawn(_no_bigger_files, tmp_path / "a.db", results)
    problems, later = results.get(timeout=PATIENCE)
    process.join(PATIENCE)
    assert all(problems), problems
    assert later == 1
    assert not list(tmp_path.rglob("*.part"))
    with Store(tmp_path / "a.db") as store:
        check_whole(store)


def test_a_database_that_another_process_holds_is_said_to_be_busy(tmp_path):
    with Store(tmp_path / "a.db") as one, Store(tmp_path / "a.db") as other:
        add_picture(one)
        with other.read() as db:
            db.conn.execute("PRAGMA busy_timeout = 50")
        with one.write(), pytest.raises(StoreBusy, match="busy: nothing was saved"), other.write():
            pass
        add_run(other)


def test_an_error_in_the_middle_of_a_write_takes_all_of_it_back(tmp_path):
    with Store(tmp_path / "a.db") as store:
        picture = add_picture(store)
        with pytest.raises(KeyboardInterrupt), store.write() as db:
            db.conn.execute(
                "INSERT INTO captions (key, picture, question, task, labels, source, rank, why, created_at)"
                " VALUES ('k', ?, 'q', 'open', '[]', '', 1, '', '')",
                [picture],
            )
            raise KeyboardInterrupt
        assert store.stats()["captions"]["total"] == 0
        add_caption(store)
        check_whole(store)
