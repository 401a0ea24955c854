"""annotate/keeper.py and vault.py: the disk is wiped, and what had been saved is there again."""

import logging
import os
import shutil
import signal

import pytest

from annotate import keeper as module
from annotate.keeper import Keeper, at_start, restore
from annotate.rules import Refused, StoreError
from annotate.store import Store
from annotate.vault import Folder, Repository, open_vault
from tests.data_hub import REPO, TOKEN, data_hub
from tests.serving import until
from tests.store_parts import SCENE, Clock, add_caption, add_picture, add_run, check_whole, drawn, processes
from tests.test_backup import _append, rows
from tinyrs.config import Config

# The hub's library warns of its own way to store a large file; to the hub itself it takes another.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def data(tmp_path):
    """The database on the disk that will be wiped."""
    with Store(tmp_path / "disk" / "tinyrs.db") as store:
        add_caption(store, "Fields.", "farmland", SCENE, picture=add_picture(store, 1))
    return tmp_path / "disk" / "tinyrs.db"


@pytest.fixture(params=["folder", "repository"])
def vault(request, tmp_path, monkeypatch):
    """Each kind of place; `vault.hub` is the hub's side of it."""
    if request.param == "folder":
        found = Folder(tmp_path / "bucket")
        found.hub = None
        yield found
        return
    with data_hub(monkeypatch) as hub:
        found = Repository(REPO)
        found.hub = hub
        yield found


def wipe(database):
    shutil.rmtree(database.parent)


def log_of(vault):
    return sorted(name for name in vault.names() if name.startswith("log/"))


def test_a_wiped_disk_comes_back_with_all_that_was_saved(data, vault):
    with Store(data) as store:
        keeper = Keeper(data, vault, clock=Clock())
        assert keeper.save() and not keeper.save(), "the second time nothing was new"
        for shade in (2, 90):
            add_run(store, picture=add_picture(store, shade, "JPEG"))
            assert keeper.save()
        before = rows(data)
        add_run(store)  # not saved any more
    keeper.store.close()
    assert [name[-10:] for name in log_of(vault)] == ["0001.jsonl", "0002.jsonl"]
    wipe(data)
    back = restore(vault, data)
    assert (back.logs, back.problems) == (2, ()) and back.rows == 8
    assert rows(data) == before
    with Store(data) as store:
        check_whole(store)
        for shade, kind in ((1, "PNG"), (2, "JPEG"), (90, "JPEG")):
            assert store.picture_path(add_picture(store, shade, kind)).read_bytes() == drawn(shade, kind)
        assert [caption["id"] for caption in store.search("fields")] == [1]
    assert {path.name for path in data.parent.iterdir()} == {"tinyrs.db", "pictures"}


def test_a_restart_goes_on_with_a_snapshot_of_its_own_once_there_is_something_new(data, vault):
    keeper = Keeper(data, vault)
    keeper.save()
    keeper.close()
    wipe(data)
    restore(vault, data)
    names = vault.names()
    keeper = Keeper(data, vault, restored=True)
    assert not keeper.save() and keeper.status().saved and vault.names() == names
    with Store(data) as store:
        add_run(store)
    assert keeper.save()
    keeper.close()
    assert len([name for name in vault.names() - names if name.endswith(".db")]) == 1
    before = rows(data)
    wipe(data)
    restore(vault, data)
    assert rows(data) == before


def test_old_snapshots_go_and_the_newest_stay(data, vault, monkeypatch):
    monkeypatch.setattr(module, "LOGS", 2)
    keeper = Keeper(data, vault, clock=Clock())
    with Store(data) as store:
        for _ in range(14):
            add_run(store)
            keeper.save()
    keeper.close()
    manifests = sorted(name[10:18] for name in vault.names() if name.endswith(".json"))
    assert manifests == ["00000003", "00000004", "00000005"]
    assert {name[4:12] for name in log_of(vault)} == {"00000003", "00000004", "00000005"}
    before = rows(data)
    wipe(data)
    assert restore(vault, data).snapshot.startswith("00000005") and rows(data) == before


def test_an_empty_place_restores_nothing_and_an_empty_record_saves_nothing(tmp_path, vault):
    database = tmp_path / "new" / "tinyrs.db"
    assert restore(vault, database) is None and not database.exists()
    keeper = Keeper(database, vault)
    assert not keeper.save() and vault.names() == set()
    keeper.close()


def test_a_restore_never_replaces_a_database(data, vault):
    keeper = Keeper(data, vault)
    keeper.save()
    keeper.close()
    with pytest.raises(Refused, match="exists: move it away"):
        restore(vault, data)


def change(vault, part, what):
    """Let what is kept under a name with `part` become `what(bytes)`; its name."""
    if vault.hub:
        name = next(name for name in sorted(vault.hub.files, reverse=True) if part in name)
        vault.hub.files[name] = what(vault.hub.files[name])
    else:
        name = next(name for name in sorted(vault.names(), reverse=True) if part in name)
        (vault.path / name).write_bytes(what((vault.path / name).read_bytes()))
    return name


def two_snapshots(data, vault):
    """Two snapshots with a log each; the record as it was before the second snapshot, and at the end."""
    seen = []
    with Store(data) as store:
        for _ in range(2):
            keeper = Keeper(data, vault)
            for _ in range(2):
                add_run(store)
                keeper.save()
            keeper.store.close()
            seen.append(rows(data))
    wipe(data)
    return seen


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:-9] + b"\0" * 9], ids="abc")
def test_a_damaged_snapshot_gives_way_to_the_one_before_it(data, vault, damage, caplog):
    first, _ = two_snapshots(data, vault)
    change(vault, ".db", damage)
    back = restore(vault, data)
    assert rows(data) == first and back.logs == 1
    assert "damaged" in back.problems[0] and "damaged" in caplog.text


def test_a_damaged_log_gives_back_what_was_before_it_and_says_so(data, vault):
    two_snapshots(data, vault)
    change(vault, ".jsonl", lambda b: b[:-20])
    back = restore(vault, data)
    assert back.logs == 0 and "not restored" in back.problems[0]
    with Store(data) as store:
        check_whole(store)
        assert len(store.runs()) == 3


def test_a_damaged_picture_is_said_and_costs_no_row(data, vault):
    _, last = two_snapshots(data, vault)
    name = change(vault, "pictures/", lambda b: b + b"!")
    back = restore(vault, data)
    assert rows(data) == last and name[9:21] in back.problems[0]
    assert not (data.parent / name).exists()


def test_where_no_snapshot_is_whole_nothing_is_put_there(data, vault):
    two_snapshots(data, vault)
    for name in [name for name in vault.names() if name.endswith(".db")]:
        change(vault, name, lambda b: b"broken")
    with pytest.raises(Refused, match="None of the 2 snapshots"):
        restore(vault, data)
    assert not data.exists()


def test_while_saving_fails_the_status_says_so_and_afterwards_nothing_is_missing(data, vault, monkeypatch):
    clock = Clock()
    keeper = Keeper(data, vault, every=60, clock=clock)
    assert keeper.status().saved is None and keeper.status().waiting > 0 and not keeper.status().problem
    keeper.save()
    saved = keeper.status().saved
    assert saved == clock() and keeper.status().waiting == 0
    with Store(data) as store:
        add_run(store)
    clock.pass_minutes(1)
    with monkeypatch.context() as broken:
        if vault.hub:
            vault.hub.fails = {"/commit/": 503}
        else:
            broken.setattr("annotate.connection.os.replace", fails)
        with pytest.raises(StoreError):
            keeper.save()
    status = keeper.status()
    assert status.saved == saved and status.waiting == 4 and status.problem
    if vault.hub:
        vault.hub.fails = {}
    assert keeper.save() and keeper.status() == module.Status(clock(), 0, "")
    keeper.close()
    before = rows(data)
    wipe(data)
    restore(vault, data)
    assert rows(data) == before


def fails(*_):
    raise OSError(28, "No space left on device")


def test_a_thread_that_died_is_noticed_by_the_clock(data, tmp_path):
    clock = Clock()
    keeper = Keeper(data, Folder(tmp_path / "bucket"), every=60, clock=clock)
    keeper.save()
    with Store(data) as store:
        add_run(store)
    assert not keeper.status().problem, "it will be saved in a moment"
    clock.pass_minutes(4)
    assert keeper.status().problem == "Saving has stopped."
    keeper.close()


def test_the_thread_saves_by_itself_and_once_more_at_the_end(data, tmp_path):
    vault = Folder(tmp_path / "bucket")
    keeper = Keeper(data, vault, every=0.05)
    keeper.start()
    with Store(data) as store:
        until(lambda: keeper.status().saved is not None and not keeper.status().waiting)
        add_run(store)
        until(lambda: not keeper.status().waiting)
        keeper.every = 3600
        add_run(store)
        keeper.close()
    before = rows(data)
    wipe(data)
    restore(vault, data)
    assert rows(data) == before


# Under load, and killed


@pytest.mark.slow
def test_saving_under_load_holds_whatever_was_acknowledged_before(data, vault, monkeypatch):
    monkeypatch.setattr(module, "LOGS", 3)
    pipes = [processes.Pipe() for _ in range(4)]
    writers = [processes.Process(target=_append, args=(data, theirs)) for _, theirs in pipes]
    for writer in writers:
        writer.start()
    keeper = Keeper(data, vault)
    acknowledged = set()
    for i in range(6):
        for ours, _ in pipes:
            acknowledged.add(ours.recv())
            while ours.poll():
                acknowledged.add(ours.recv())
        keeper.save()
        held = set(acknowledged)
        new = data.parent.parent / str(i) / "a.db"
        restore(vault, new)
        with Store(new) as back:
            check_whole(back)
            assert held <= set(back.runs(10**6)), i
    for ours, _ in pipes:
        ours.send("stop")
    for writer, (ours, _) in zip(writers, pipes):
        while writer.is_alive():
            if ours.poll(0.05):
                acknowledged.add(ours.recv())
        assert writer.exitcode == 0
    keeper.close()
    wipe(data)
    restore(vault, data)
    with Store(data) as back:
        check_whole(back)
        assert acknowledged <= set(back.runs(10**6))


def _keep(database, folder, told):
    keeper = Keeper(database, Folder(folder))
    with Store(database) as store:
        while True:
            run = add_run(store)
            keeper.save()
            told.send(run)


@pytest.mark.slow
def test_a_process_killed_while_it_saves_loses_nothing_that_it_had_saved(data, tmp_path, monkeypatch):
    vault, saved = Folder(tmp_path / "bucket"), set()
    for _ in range(8):
        ours, theirs = processes.Pipe()
        process = processes.Process(target=_keep, args=(data, vault.path, theirs))
        process.start()
        theirs.close()
        for _ in range(3):
            saved.add(ours.recv())
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        while True:  # what it had acknowledged before it died
            try:
                saved.add(ours.recv())
            except (EOFError, OSError):
                break
        wipe(data)
        restore(vault, data)
        with Store(data) as back:
            check_whole(back)
            assert saved <= set(back.runs(10**6))


# The hub


def test_a_public_repository_is_refused_before_anything_is_sent(data, monkeypatch):
    with data_hub(monkeypatch) as hub:
        hub.private = False
        keeper = Keeper(data, Repository(REPO))
        with pytest.raises(Refused, match="is public: nothing is saved there"):
            keeper.save()
        assert hub.files == {} and "public" in keeper.status().problem
        with pytest.raises(Refused, match="is public"):
            restore(Repository(REPO), data.parent / "other.db")
        hub.private = True
        assert keeper.save()
        hub.private = False  # somebody opened it to everybody
        with Store(data) as store:
            add_run(store)
        files = dict(hub.files)
        with pytest.raises(Refused, match="is public"):
            keeper.save()
        assert hub.files == files
        keeper.close()


def test_a_round_is_one_commit(data, monkeypatch):
    with data_hub(monkeypatch) as hub:
        keeper = Keeper(data, Repository(REPO))
        keeper.save()
        with Store(data) as store:
            add_run(store, picture=add_picture(store, 5))
        keeper.save()
        keeper.close()
        assert hub.commits == 2


@pytest.mark.parametrize("where", [f"/api/datasets/{REPO}", "/tree/", "/preupload/", "/lfs/", "/store/", "/commit/"])
@pytest.mark.parametrize("status", [401, 403, 404, 409])
def test_the_token_is_in_no_error_log_status_or_file(data, monkeypatch, caplog, capfd, where, status):
    caplog.set_level(logging.DEBUG)
    with data_hub(monkeypatch) as hub:
        hub.fails = {where: status}
        keeper = Keeper(data, Repository(REPO))
        with pytest.raises(StoreError) as problem:
            keeper.save()
        told = str(problem.value) + keeper.status().problem + caplog.text + "".join(capfd.readouterr())
        assert TOKEN not in told and "canary" not in told
        assert problem.value.__cause__ is None and hub.commits == 0
        assert not any(TOKEN.encode() in path.read_bytes() for path in data.parent.rglob("*") if path.is_file())
        hub.fails = {}
        assert keeper.save()
        assert not any(TOKEN.encode() in content for content in hub.files.values())
        keeper.close()


def test_without_a_token_or_a_name_it_is_a_sentence(data, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(Refused, match="Set HF_TOKEN"):
        restore(Repository(REPO), data.parent / "other.db")
    for name in ("hf://notes", "hf://", "hf://a/b/c", "hf://../x"):
        with pytest.raises(Refused, match="hf://user/name"):
            open_vault(name)


# At the start


def config(data, monkeypatch, where):
    monkeypatch.setenv("TINYRS_DATA", str(data.parent))
    monkeypatch.setenv("TINYRS_BACKUP", where)
    return Config()


def test_the_app_brings_back_what_was_saved_when_its_disk_was_wiped(data, tmp_path, monkeypatch):
    settings = config(data, monkeypatch, str(tmp_path / "bucket"))
    keeper = at_start(settings)
    keeper.save()
    keeper.close()
    before = rows(data)
    wipe(data)
    keeper = at_start(settings)
    assert rows(data) == before and keeper.status().waiting == 0 and keeper.status().saved
    keeper.close()
    assert at_start(Config(backup="")) is None


def test_an_app_that_cannot_read_what_was_saved_does_not_start_empty(data, monkeypatch):
    with data_hub(monkeypatch) as hub:
        settings = config(data, monkeypatch, f"hf://{REPO}")
        keeper = at_start(settings)
        keeper.save()
        keeper.close()
        wipe(data)
        files = dict(hub.files)
        hub.fails = {"/resolve/": 403}
        with pytest.raises(StoreError):
            at_start(settings)
        assert not data.exists() and hub.files == files
        hub.fails = {}
        at_start(settings).close()
        assert data.exists()
