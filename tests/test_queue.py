"""Nobody gets what somebody else holds; the order is flagged, others, skipped; nothing waits for ever."""

import pytest

from annotate import queue
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


def test_flagged_captions_come_first_oldest_first_and_then_the_others(store):
    a, b = captions(store, 2)
    c = flagged(store, "farmland")
    d = add_caption(store, "Late.", "port", SCENE)
    e = flagged(store, "desert")
    assert done(store, "Ann") == [c, e, a, b, d]


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
