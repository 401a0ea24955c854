"""Nobody gets what somebody else holds; the order is by information; nothing waits for ever."""

import pytest

from annotate import queue, signals
from annotate.store import Conflict, Refused, Store
from tests.store_parts import SCENE, Clock, add_caption, add_run, check_whole, head, processes


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    with Store(tmp_path / "tinyrs.db", clock=clock) as opened:
        yield opened
        check_whole(opened)


def captions(store, number):
    return [add_caption(store, f"Reason {i}.", "port", SCENE) for i in range(number)]


def flagged(store, text):
    run = add_run(store, SCENE, A=text)
    store.add_flag(run, "A", ["answer wrong"], author="visitor")
    return store.run(run)["flags"][0]["caption"]


def taken(store, author, **more):
    found = queue.next_to_annotate(store, author, **more)
    return found and found["id"]


def done(store, author):
    """Every caption in the order in which one person who submits each would see them."""
    order, found = [], queue.next_to_annotate(store, author)
    while found:
        order.append(found["id"])
        _, found = queue.submit(store, found["revision"]["id"], reasoning="r", answer="port", author=author)
    return order


def test_an_empty_queue_gives_nothing(store):
    assert queue.next_to_annotate(store, "Ann") is queue.next_to_review(store, "Ann") is None
    assert queue.left(store) == {"annotate": 0, "review": 0}


SOUND = "The fields in the middle are long and green, and no water or dock can be seen beside them."


def sound(store, number):
    """Captions that no check finds anything in."""
    return [
        add_caption(store, f"{SOUND} Row {i} of the crops lies parallel to the road.", "farmland", SCENE)
        for i in range(number)
    ]


def rank(store, caption):
    with store.read() as db:
        return db.conn.execute("SELECT rank FROM heads WHERE caption = ?", [caption]).fetchone()[0]


def test_what_looks_wrong_comes_first_and_of_two_alike_the_older(store):
    a, b = sound(store, 2)
    c = flagged(store, f"<reasoning> {SOUND} </reasoning> <answer> farmland </answer>")
    d = add_caption(store, f"{SOUND} So it is a port.", "farmland", SCENE)  # the checks see a contradiction
    e = flagged(store, f"<reasoning> {SOUND} So a port. </reasoning> <answer> farmland </answer>")
    assert [rank(store, caption) for caption in (a, c, d, e)] == [15, 13, 7, 5]
    assert done(store, "Ann")[:3] == [e, d, c]
    assert "contradiction" in store.caption(d)["why"] and store.caption(a)["why"] == signals.NO_SIGN


def test_every_fifth_caption_is_drawn_from_the_random_sample(store):
    sound(store, 60)
    with store.read() as db:
        sample = {c for (c,) in db.conn.execute("SELECT caption FROM heads WHERE sample")}
    assert 4 <= len(sample) <= 25, "about one in five"
    suspicious = captions(store, 20)
    ways, order, found = [], [], queue.next_to_annotate(store, "Ann")
    while found and len(order) < 20:
        ways.append(found["offered"])
        order.append(found["id"])
        found = queue.submit(store, found["revision"]["id"], reasoning="r", answer="port", author="Ann")[1]
    assert ways == ["order", "order", "order", "order", "random"] * 4
    assert set(order[4::5]) <= sample | set(suspicious)
    with store.read() as db:
        kept = db.conn.execute("SELECT why FROM leases WHERE kind = 'take' ORDER BY id LIMIT 20").fetchall()
    assert [why for (why,) in kept] == ways, "why each was offered is on record"


def test_the_sample_is_the_same_in_every_store(tmp_path):
    drawn = []
    for name in "ab":
        with Store(tmp_path / f"{name}.db") as one:
            sound(one, 30)
            with one.read() as db:
                drawn.append(db.conn.execute("SELECT caption FROM heads WHERE sample").fetchall())
    assert drawn[0] == drawn[1] and drawn[0]


def test_what_was_done_last_can_be_reopened_and_its_verdict_is_withdrawn(store, clock):
    a, b = captions(store, 2)
    assert queue.reopen(store, "Ann") is None
    assert taken(store, "Ann") == a
    store.add_review(head(store, a), "reject", author="Ann")
    queue.release(store, a, "Ann")
    assert taken(store, "Ann") == b
    back = queue.reopen(store, "Ann")
    assert (back["id"], back["state"]) == (a, "annotate") and taken(store, "Bob") is None
    queue.skip(store, a, "Ann")
    assert queue.reopen(store, "Ann")["id"] == a
    queue.release(store, a, "Ann")
    assert taken(store, "Bob") == a
    assert queue.reopen(store, "Ann") is None, "Bob works on it"


def test_an_imported_caption_that_is_flagged_later_moves_to_the_front(store):
    a, b = captions(store, 2)
    run = add_run(store, SCENE, A="<reasoning> Reason 1. </reasoning> <answer> port </answer>")
    store.add_flag(run, "A", ["other"], author="visitor")
    assert store.run(run)["flags"][0]["caption"] == b
    assert done(store, "Ann") == [b, a]


def test_a_reload_shows_the_caption_that_one_holds(store, clock):
    captions(store, 3)
    first = taken(store, "Ann")
    clock.pass_minutes(10)
    assert taken(store, "Ann") == first
    clock.pass_minutes(10)  # the reload renewed the lease
    assert taken(store, "Bob") != first


def test_two_people_never_hold_the_same_caption(store):
    captions(store, 3)
    held = [taken(store, author) for author in ("Ann", "Bob", "Cem", "Dan")]
    assert len(set(held[:3])) == 3
    assert held[3] is None


def test_a_lease_runs_out(store, clock):
    (caption,) = captions(store, 1)
    assert queue.next_to_annotate(store, "Ann", minutes=5)["lease_until"] == "2023-11-14T22:18:20.000Z"
    assert taken(store, "Bob") is None
    clock.pass_minutes(5.01)
    assert taken(store, "Bob") == caption
    assert taken(store, "Ann") is None


def test_a_caption_given_back_is_free_at_once(store):
    (caption,) = captions(store, 1)
    taken(store, "Ann")
    queue.release(store, caption, "Bob")  # not Bob's to give
    assert taken(store, "Bob") is None
    queue.release(store, caption, "Ann")
    assert taken(store, "Bob") == caption


def test_skipped_captions_come_back_after_all_others_first_skipped_first(store):
    a, b, c = captions(store, 3)
    for caption in (a, b):
        assert taken(store, "Ann") == caption
        queue.skip(store, caption, "Ann")
    assert taken(store, "Bob") == a  # what Ann skips is free for others
    assert taken(store, "Ann") == c
    queue.skip(store, c, "Ann")
    assert taken(store, "Ann") == b


def test_only_who_holds_a_caption_can_skip_it(store):
    (caption,) = captions(store, 1)
    taken(store, "Ann")
    with pytest.raises(Refused, match="do not hold"):
        queue.skip(store, caption, "Bob")
    assert taken(store, "Bob") is None


def test_submit_saves_gives_back_and_goes_on(store):
    a, b = captions(store, 2)
    first = queue.next_to_annotate(store, "Ann")
    revision, following = queue.submit(
        store, first["revision"]["id"], reasoning="Better.", answer="port", author="Ann"
    )
    assert store.caption(a)["revision"]["id"] == revision
    assert following["id"] == b
    assert queue.left(store) == {"annotate": 1, "review": 1}
    assert queue.next_to_review(store, "Bob")["id"] == a


def test_a_text_saved_after_the_lease_ran_out_is_taken_if_nobody_was_faster(store, clock):
    (caption,) = captions(store, 1)
    opened = queue.next_to_annotate(store, "Ann")["revision"]["id"]
    clock.pass_minutes(60)
    assert taken(store, "Bob") == caption
    queue.submit(store, opened, reasoning="Ann's.", answer="port", author="Ann")
    with pytest.raises(Conflict):
        queue.submit(store, opened, reasoning="Bob's.", answer="port", author="Bob")
    assert len(store.history(caption)) == 2


def test_undo_takes_back_and_holds_the_caption_again(store):
    a, _ = captions(store, 2)
    first = queue.next_to_annotate(store, "Ann")["revision"]
    revision, _ = queue.submit(store, first["id"], reasoning="Wrong key.", answer="port", author="Ann")
    back = queue.undo(store, revision, "Ann")
    assert (back["id"], back["state"], back["revision"]["reasoning"]) == (a, "annotate", first["reasoning"])
    assert taken(store, "Ann") == a
    assert taken(store, "Bob") != a


def test_reviewers_are_offered_what_others_wrote(store):
    a, b = captions(store, 2)
    for caption, author in ((a, "Ann"), (b, "Bob")):
        store.save_correction(head(store, caption), reasoning="r", answer="port", author=author)
    assert queue.next_to_review(store, "Ann")["id"] == b
    assert queue.next_to_review(store, "Bob")["id"] == a
    assert queue.next_to_review(store, "Cem") is None  # both are held


def test_nobody_is_offered_an_own_text_for_review_because_of_holding_its_caption(store):
    (caption,) = captions(store, 1)
    revision = store.save_correction(head(store, caption), reasoning="r", answer="port", author="Ann")
    back = queue.undo(store, revision, "Ann")
    queue.undo(store, back["revision"]["id"], "Ann")  # redo: it waits for a review, and Ann holds it
    assert store.caption(caption)["state"] == "review"
    assert queue.next_to_review(store, "Ann") is None


def test_captions_of_the_random_sample_are_judged_by_as_many_as_the_overlap_says(store):
    for caption in captions(store, 40):
        better = store.save_correction(head(store, caption), reasoning="r", answer="port", author="Ann")
        store.add_review(better, "accept", author="Rex")
    with store.read() as db:
        sample = {caption for (caption,) in db.conn.execute("SELECT caption FROM heads WHERE sample")}
    assert 0 < len(sample) < 40
    assert queue.next_to_review(store, "Eva") is None
    judged = set()
    while found := queue.next_to_review(store, "Eva", overlap=2):
        assert (found["offered"], found["state"]) == ("overlap", "accepted")
        store.add_review(found["revision"]["id"], "accept", author="Eva")
        queue.release(store, found["id"], "Eva")
        judged.add(found["id"])
    assert judged == sample
    # Neither who wrote or judged it, nor a third person, until three are wanted.
    assert all(queue.next_to_review(store, name, overlap=2) is None for name in ("Ann", "Rex", "Fay"))
    assert queue.next_to_review(store, "Fay", overlap=3)["id"] in sample


def test_a_lone_person_reviews_own_texts_where_that_is_allowed(store, clock):
    (caption,) = captions(store, 1)
    store.save_correction(head(store, caption), reasoning="r", answer="port", author="Ann")
    assert queue.next_to_review(store, "Ann") is None
    with Store(store.path, self_review=True, clock=clock) as laptop:
        assert queue.next_to_review(laptop, "Ann")["id"] == caption


def test_what_is_judged_leaves_both_queues(store):
    a, b = captions(store, 2)
    store.add_review(head(store, a), "accept", author="Ann")
    store.add_review(head(store, b), "reject", author="Ann")
    assert queue.left(store) == {"annotate": 0, "review": 0}
    store.save_correction(head(store, b), reasoning="Saved.", answer="port", author="Bob")
    assert queue.left(store) == {"annotate": 0, "review": 1}


def _work(path, author, gate, results):
    gate.wait()
    with Store(path) as store:
        results.put(done(store, author))


def test_four_people_at_once_do_every_caption_once(tmp_path):
    with Store(tmp_path / "real.db") as store:
        everything = captions(store, 40)
        gate, results = processes.Event(), processes.Queue()
        args = [(store.path, name, gate, results) for name in ("Ann", "Bob", "Cem", "Dan")]
        people = [processes.Process(target=_work, args=each) for each in args]
        for person in people:
            person.start()
        gate.set()
        work = [results.get(timeout=60) for _ in people]
        for person in people:
            person.join(60)
        assert sorted(caption for each in work for caption in each) == everything
        check_whole(store)


def test_the_bench_measures_the_queue_at_any_size(capsys):
    import json

    from bench.store import main

    assert main(["--captions", "50", "--rounds", "2", "--editors"]) in (0, 1)
    found = json.loads(capsys.readouterr().out)
    assert found["editors"]["saves"] == 400 and found["editors"]["p99"] >= found["editors"]["median"] > 0
    assert found["captions"] == 50 and set(found["milliseconds"]) == {"write", "next", "mark", "left", "accept"}
