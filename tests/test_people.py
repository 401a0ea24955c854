"""annotate/people.py and users.py: who may do what, also when the endpoint behind a hidden button is called directly."""

import json
import stat
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace

import httpx
import pytest

from annotate.people import LOGIN, NAMELESS, NEEDS, People, here
from annotate.rules import NotFound, Refused, StoreError
from annotate.users import ROLES, Users
from tests.pages import Hands, close_pages, hub_login, page, request, served
from tests.store_parts import SCENE, add_caption, add_picture
from tinyrs.config import Config

PASSWORD = "correct horse canary"
TEXT = "The fields are long and green."


@pytest.fixture
def users(tmp_path):
    users = Users(tmp_path / "data" / "users.json")
    for name, role in (("Ada", "annotator"), ("Rex", "reviewer"), ("Eve", "admin")):
        users.add(name, PASSWORD, role)
    return users


# The file


def test_a_password_opens_for_its_own_name_alone(users):
    assert (
        users.check("Ada", PASSWORD) and users.check(" ada ", PASSWORD) and users.check("\uff21da", PASSWORD)
    )
    for name, password in (
        ("Ada", ""),
        ("Ada", PASSWORD + "x"),
        ("Bob", PASSWORD),
        ("", PASSWORD),
        ("model:x", PASSWORD),
    ):
        assert not users.check(name, password), (name, password)
    users.add("ADA", "another password", "admin")
    assert not users.check("Ada", PASSWORD) and users.check("Ada", "another password")
    assert users.all() == {"ADA": "admin", "Eve": "admin", "Rex": "reviewer"}


def test_the_file_is_its_owners_alone_and_holds_no_password(users):
    assert stat.S_IMODE(users.path.stat().st_mode) == 0o600
    assert PASSWORD not in users.path.read_text()
    salts = [row["salt"] for row in json.loads(users.path.read_text()).values()]
    assert len(set(salts)) == 3, "the same password gives three hashes"
    assert [path.name for path in users.path.parent.iterdir()] == ["users.json"]


def test_who_is_removed_by_another_process_is_out_at_once(users):
    assert users.role("Ada") == "annotator"
    Users(users.path).remove("ada")
    assert users.role("Ada") is None and not users.check("Ada", PASSWORD)
    with pytest.raises(NotFound):
        users.remove("Ada")


@pytest.mark.parametrize("name, password, role", [("", PASSWORD, "admin"), ("model:x", PASSWORD, "admin"),
    ("Bob", "short", "admin"), ("Bob", "x" * 201, "admin"), ("Bob", PASSWORD, "king")])  # fmt: skip
def test_what_is_no_user_is_refused_and_changes_nothing(users, name, password, role):
    before = users.path.read_bytes()
    with pytest.raises(Refused):
        users.add(name, password, role)
    assert users.path.read_bytes() == before


@pytest.mark.parametrize("text", ["", "[]", "{", '{"ada": {}}', '{"ada": 3}'])
def test_a_broken_file_lets_nobody_in_and_is_not_overwritten(users, text):
    users.path.write_text(text)
    for what in (
        lambda: users.check("Ada", PASSWORD),
        lambda: users.role("Ada"),
        lambda: users.add("A", PASSWORD, "admin"),
    ):
        with pytest.raises(StoreError, match="cannot be read"):
            what()
    assert users.path.read_text() == text


# The way


@pytest.mark.parametrize(
    "host, file, environment, way",
    [
        (None, False, {}, "names"),
        ("localhost", False, {}, "names"),
        ("127.0.0.2", False, {}, "names"),
        ("::1", False, {}, "names"),
        ("0.0.0.0", False, {}, "closed"),
        ("lab.example", False, {}, "closed"),
        (None, False, {"GRADIO_SERVER_NAME": "0.0.0.0"}, "closed"),
        ("0.0.0.0", False, {"TINYRS_PEOPLE": "names"}, "names"),
        (None, True, {}, "users"),
        ("0.0.0.0", True, {}, "users"),
        (None, False, {"SPACE_ID": "a/b"}, "closed"),  # its login is not switched on
        (None, False, {"SPACE_ID": "a/b", "OAUTH_CLIENT_SECRET": "x"}, "hub"),
    ],
)
def test_people_are_known_by_where_the_page_runs(monkeypatch, tmp_path, host, file, environment, way):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if file:
        Users(Config().data / "users.json").add("Ada", PASSWORD, "admin")
    assert here(host=host).way == way


def test_another_way_is_a_sentence(monkeypatch):
    monkeypatch.setenv("TINYRS_PEOPLE", "everybody")
    with pytest.raises(SystemExit, match="TINYRS_PEOPLE must be one of"):
        here()


def told(people, who, what, typed=""):
    """The name, or the sentence."""
    try:
        return people.may(who, what, typed)
    except Refused as refused:
        return str(refused)


def test_each_role_may_what_those_before_it_may(users):
    people = People("users", users)
    may = {name: {what for what in NEEDS if people.can(name, what)} for name in ("Ada", "Rex", "Eve", "Bob")}
    assert may == {
        "Ada": {"correct"},
        "Rex": {"correct", "review", "agreement"},
        "Eve": set(NEEDS),
        "Bob": set(),
    }
    for name in ("Ada", "Rex"):
        assert "may not export captions here" in told(people, request(user=name), "export")
    assert told(people, request(user="EVE"), "export", "Ada") == "Eve", "the typed name does not count"
    assert told(people, request(user="Bob"), "correct") == told(people, request(), "correct", "Ada") == LOGIN


def test_on_a_laptop_a_typed_name_may_everything_and_none_nothing():
    people = People()
    assert {told(people, request(), what, " Ada  L. ") for what in NEEDS} == {"Ada L."}
    assert told(people, request(), "correct", "  ") == NAMELESS


def test_on_a_closed_page_nobody_may():
    for what in NEEDS:
        assert told(People("closed"), request(user="Ada"), what, "Ada") == LOGIN


def hub_request(*args, **more):
    found = request(user="eve")  # Gradio's own passwords are no login of the hub
    found.request = hub_login(*args, **more)
    return found


def test_a_spaces_lists_say_who_may_what(monkeypatch):
    settings = {"TINYRS_ANNOTATORS": "*", "TINYRS_REVIEWERS": "Rex, bob", "SPACE_AUTHOR_NAME": "Owner"}
    for name, value in ({"SPACE_ID": "a/b", "OAUTH_CLIENT_SECRET": "x"} | settings).items():
        monkeypatch.setenv(name, value)
    people = here()
    assert [people.role(name) for name in ("someone", "rex", "BOB", "owner")] == [
        *ROLES[:1],
        *ROLES[1:2] * 2,
        "admin",
    ]
    assert told(people, hub_request("rex"), "review") == "rex"
    assert "takes the role reviewer" in told(people, hub_request("someone"), "review")
    assert told(people, hub_request("rex", until=1.0), "review") == LOGIN, "a login that has run out"
    assert told(people, request(user="rex"), "review", "rex") == LOGIN
    monkeypatch.setenv("TINYRS_ANNOTATORS", "")
    assert "may not correct captions" in told(here(), hub_request("someone"), "correct")


# The handlers


def with_captions(people, count=3):
    demo = page()
    demo.page.store.close()
    close_pages()
    demo = page(people=people)
    picture = add_picture(demo.page.store)
    for row in range(count):
        add_caption(demo.page.store, f"{TEXT} Row {row}.", "farmland", SCENE, picture)
    return demo


def counts(store):
    tables = ("revisions", "reviews", "marks", "withdrawals", "golds", "leases")
    with store.read() as db:
        return {table: db.conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}


def test_an_annotator_corrects_but_gives_no_verdict(users):
    hands = Hands(with_captions(People("users", users)), user="Ada")
    store = hands.demo.page.store
    assert not store.self_review
    hands.next()
    seen = hands.judge("accept", hands.caption["revision"]["reasoning"], "farmland")
    assert "a reviewer accepts it" in seen["annotate-notice"], "found right as it is"
    assert store.caption(1)["state"] == "review" and [row["author"] for row in store.history(1)][-1] == "Ada"
    hands.judge("accept", f"{TEXT} Better.", "farmland")
    before = counts(store)
    assert before["reviews"] == 0
    assert "may not accept, reject" in hands.judge("reject")["annotate-notice"]
    assert "may not accept, reject" in hands.judge("gold", TEXT, "farmland")["annotate-notice"]
    assert (
        "may not accept, reject"
        in hands.call("review_next_caption", None, "Rex", 0)["review-annotate-notice"]
    )
    assert "may not see how well" in hands.call("agreement")["agreement-table"]
    assert counts(store) == before


# Over the network


@contextmanager
def client(url, **headers):
    with httpx.Client(base_url=url, headers=headers, timeout=60) as found:
        yield found


def send(client, demo, name, *data, session="s", **headers):
    """Call a hidden endpoint as a program would; the response."""
    number = next(i for i, fn in demo.fns.items() if fn.api_name == name)
    body = {"data": list(data), "fn_index": number, "session_hash": session}
    return client.post("/gradio_api/run/predict", json=body, headers=headers)


WRITING = {
    "next_caption": (None, "Rex", 0, None), "save": (None, "Rex", 0, "a", "b"), "accept": (None, "Rex", 0, "a", "b"),
    "reject": (None, "Rex", 0), "skip": (None, "Rex", 0), "gold": (None, "Rex", 0, "a", "b"),
    "review_next_caption": (None, "Rex", 0, None), "review_save": (None, "Rex", 0, "a", "b"),
    "review_accept": (None, "Rex", 0, "a", "b"), "review_reject": (None, "Rex", 0), "review_skip": (None, "Rex", 0),
}  # fmt: skip
"""Every endpoint behind a button of the two tabs, with what an attacker would send."""


def test_a_page_that_anybody_can_reach_refuses_every_writing_endpoint():
    demo = with_captions(People("closed"))
    before = counts(demo.page.store)
    with served(demo) as url, client(url) as anybody:
        for name, data in WRITING.items():
            answer = send(anybody, demo, name, *data)
            assert answer.status_code == 200 and "need a login" in answer.text, name
        assert "need a login" in send(anybody, demo, "agreement").text
    assert counts(demo.page.store) == before


def login(client, name, password=PASSWORD):
    return client.post("/login", data={"username": name, "password": password})


def test_on_a_lab_server_the_endpoints_know_people_by_their_passwords(users):
    demo = with_captions(People("users", users))
    store = demo.page.store
    before = counts(store)
    with served(demo) as url, client(url) as nobody, client(url) as ada, client(url) as rex:
        for name, data in WRITING.items():
            answer = send(nobody, demo, name, *data)
            assert answer.status_code == 401 or "need a login" in answer.text, name
        for bad in ("", "x" * 300, PASSWORD.upper()):
            assert login(ada, "Ada", bad).status_code in (400, 422)
        assert counts(store) == before
        assert login(ada, "ada").status_code == 200 and login(rex, "Rex").status_code == 200
        assert "Row 0" in send(ada, demo, "next_caption", None, "Eve", 0, None, session="a").text
        send(ada, demo, "accept", None, "Eve", 0, f"{TEXT} By Ada.", "farmland", session="a")
        assert store.history(1)[-1]["author"] == "Ada", "the login counts, not the name that was sent"
        for name in ("reject", "gold", "review_next_caption", "review_accept", "review_reject"):
            assert "may not" in send(ada, demo, name, *WRITING[name], session="a").text, name
        assert counts(store)["reviews"] == 0
        assert "By Ada" in send(rex, demo, "review_next_caption", None, "", 0, None, session="r").text
        send(rex, demo, "review_accept", None, "", 0, f"{TEXT} By Ada.", "farmland", session="r")
        (row,) = store.accepted()
        assert (row["author"], row["reviewer"], row["self_reviewed"]) == ("Ada", "Rex", False)
        Users(users.path).remove("Ada")
        revisions = counts(store)["revisions"]
        answer = send(ada, demo, "save", None, "Rex", 0, "a", "farmland", session="a")
        assert "need a login" in answer.text and counts(store)["revisions"] == revisions


def test_a_reviewer_cannot_accept_an_own_text_through_the_endpoints(users):
    demo = with_captions(People("users", users))
    with served(demo) as url, client(url) as rex:
        login(rex, "Rex")
        send(rex, demo, "next_caption", None, "", 0, None)
        send(rex, demo, "save", None, "", 0, f"{TEXT} Mine.", "farmland")
        assert (
            "somebody else has to accept it"
            in send(rex, demo, "accept", None, "", 0, f"{TEXT} Mine.", "farmland").text
        )
    assert demo.page.store.accepted() == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_another_sites_page_cannot_write_in_the_name_of_who_is_logged_in(users, headers):
    demo = with_captions(People("users", users))
    before = counts(demo.page.store)
    with served(demo) as url, client(url) as ada:
        login(ada, "Ada")
        for name, data in WRITING.items():
            answer = send(ada, demo, name, *data, **headers)
            assert answer.status_code == 403 and answer.content == b"", name
        assert (
            ada.post("/login", data={"username": "Ada", "password": PASSWORD}, headers=headers).status_code
            == 403
        )
        assert counts(demo.page.store) == before
        own = {"Origin": url, "Sec-Fetch-Site": "same-origin"}
        assert "Row 0" in send(ada, demo, "next_caption", *WRITING["next_caption"], **own).text
        assert "Row 0" in send(ada, demo, "next_caption", *WRITING["next_caption"], Origin=url).text


@contextmanager
def hub_of(name):
    """A hub that knows the owner of one token: what Gradio's stand-in for the hub's login page asks."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            told = {"type": "user", "name": name, "fullname": name.title(), "avatarUrl": "", "auth": {}}
            body = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.filterwarnings("ignore:Gradio does not support OAuth features outside")
def test_with_the_hubs_login_the_endpoints_know_people_by_their_profile(monkeypatch):
    from huggingface_hub import constants, hf_api
    from huggingface_hub.utils import _http

    people = People("hub", None, {"annotator": frozenset(["ada"])})
    with hub_of("ada") as endpoint:
        monkeypatch.setattr(hf_api.api, "endpoint", endpoint)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", "hf_" + "canary" * 6)
        _http.close_session()
        demo = with_captions(people)
        with served(demo) as url, client(url) as ada:
            assert "need a login" in send(ada, demo, "save", *WRITING["save"]).text
            ada.get("/login/huggingface", follow_redirects=True)
            # The cookie is for https alone; here is none.
            cookie = {"Cookie": "; ".join(f"{one.name}={one.value}" for one in ada.cookies.jar)}
            assert "session=" in cookie["Cookie"]
            answer = send(ada, demo, "next_caption", None, "Rex", 0, None, **cookie)
            assert "Row 0" in answer.text
            send(ada, demo, "accept", None, "Rex", 0, f"{TEXT} By Ada.", "farmland", **cookie)
            assert demo.page.store.history(1)[-1]["author"] == "ada"
            assert "may not" in send(ada, demo, "review_accept", *WRITING["review_accept"], **cookie).text
            forged = {"Cookie": cookie["Cookie"][:-8] + "AAAAAAAA"}
            assert "need a login" in send(ada, demo, "save", *WRITING["save"], **forged).text
            home = ada.get("/", headers=cookie)
            assert "canary" not in home.text + answer.text
    _http.close_session()


def test_the_request_of_an_event_without_a_session_is_nobody():
    for behind in (None, SimpleNamespace(scope={}), SimpleNamespace(scope={"session": {}})):
        found = SimpleNamespace(username="eve", request=behind)
        assert People("hub", None, {"admin": frozenset("*")}).login(found) is None
