"""`python -m annotate`, as a person types it: what is printed, or one sentence and exit code 2."""

import json
import os
import subprocess
import sys

import pytest

from annotate.__main__ import main
from annotate.store import Store
from tests.store_parts import ROOF, SCENE, add_caption, add_run, drawn, head
from tinyrs.config import Config


@pytest.fixture
def data(tmp_path):
    """A database with an accepted caption, one without reasoning, and one that waits; its path."""
    path = tmp_path / "mine" / "a.db"
    with Store(path) as store:
        for caption in (add_caption(store), add_caption(store, "", "port", SCENE)):
            store.add_review(head(store, caption), "accept", author="Bob")
        add_caption(store, "Waiting.", "port", SCENE)
        store.add_flag(add_run(store), "A", ["wrong box"], author="Ann")
    return path


@pytest.fixture
def said(capsys):
    """Run a command; returns (exit code, stdout, stderr)."""

    def run(*args):
        try:
            code = main([str(arg) for arg in args])
        except SystemExit as end:
            code = end.code
        heard = capsys.readouterr()
        return code, heard.out, heard.err

    return run


def vhm(folder, **more):
    (folder / "x.png").write_bytes(drawn())
    turns = [
        {"from": "human", "value": f"<image>\n{{VG}} {ROOF.text}"},
        {"from": "gpt", "value": "<reasoning> Bright. </reasoning> <answer> [[1,2,30,40]] </answer>"},
    ]
    file = folder / "list.json"
    file.write_text(json.dumps([{"image": "x.png", "conversations": turns, **more}]))
    return file


def test_help_is_answered_without_anything_heavy():
    code = (
        "import sys, annotate.__main__\n"
        "try: annotate.__main__.main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'gradio', 'PIL', 'numpy', 'sqlite_utils', 'transformers'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or None)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("export", "stats", "import", "check", "delete", "backup", "restore"):
        assert f"    {command}" in done.stdout


def test_an_operator_deletes_comparisons_by_id_or_link_and_hears_what_is_not_there(data, said):
    with Store(data) as store:
        (flagged,) = store.runs()
        other = add_run(store)
    assert said("delete", "--db", data, f"http://host:7860/?record={flagged}&x=1", "nope", other) == (
        2,
        f"http://host:7860/?record={flagged}&x=1: deleted, with 1 flag, 0 votes. Its words are gone, and its picture "
        "where nothing else needs it.\n",
        "There is no such run.\n",
    )
    with Store(data) as store:
        assert store.runs() == [other], "what comes after a mistake is not deleted"
    assert said("delete", "--db", data.with_name("none.db"), other)[0] == 2


def test_no_command_needs_torch_or_gradio(data, tmp_path):
    commands = [
        ["stats", "--db", str(data)],
        ["export", "--db", str(data), "--out", str(tmp_path / "out")],
        ["import", "--db", str(data), str(vhm(tmp_path))],
        ["check", "--db", str(data), str(vhm(tmp_path))],
        ["backup", "--db", str(data), str(tmp_path / "a.tar")],
    ]
    code = (
        f"import sys\nfrom annotate.__main__ import main\nfor command in {commands!r}: main(command)\n"
        "sys.exit(', '.join({'torch', 'gradio', 'transformers', 'openai'} & set(sys.modules)) or None)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["export", "stats", "import", "check", "backup", "restore"])
def test_every_command_takes_a_database_and_explains_itself(said, command):
    code, out, _ = said(command, "--help")
    assert code == 0 and "--db PATH" in out


def test_stats_can_be_read_by_people_and_programs(said, data):
    code, out, _ = said("stats", "--db", data)
    assert code == 0
    assert "captions     4 total, 2 annotate, 0 review, 2 accepted, 0 rejected\n" in out
    code, out, _ = said("stats", "--db", data, "--json")
    assert (code, json.loads(out)["flags"]) == (0, {"total": 1, "wrong box": 1})


def test_export_says_what_it_wrote_and_what_it_left_out(said, data, tmp_path):
    code, out, err = said("export", "--db", data, "--out", tmp_path / "out")
    assert (code, err) == (0, "")
    assert f"{tmp_path / 'out'}: 1 rows (1 grounding) by 1 authors.\n" in out
    assert "1 accepted captions were left out: without reasoning." in out
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["count"] == 1
    code, _, err = said("export", "--db", data, "--out", tmp_path / "out", "--kind", "sft")
    assert code == 2 and "--force" in err
    assert said("export", "--db", data, "--out", tmp_path / "out", "--kind", "sft", "--force")[0] == 0


def test_an_export_says_how_much_of_it_nobody_else_saw(said, tmp_path):
    with Store(tmp_path / "a.db", self_review=True) as store:
        caption = add_caption(store)
        mine = store.save_correction(head(store, caption), reasoning="r", answer="[[1,2,3,4]]", author="Ann")
        store.add_review(mine, "accept", author="Ann")
    code, out, _ = said("export", "--db", tmp_path / "a.db", "--out", tmp_path / "out")
    assert code == 0 and "1 of them were accepted by nobody but their own author." in out


def test_import_makes_the_database_and_counts(said, tmp_path):
    file = vhm(tmp_path)
    code, out, _ = said("import", file, "--db", tmp_path / "new" / "a.db")
    assert (code, out) == (0, f"{file}: 1 rows, 1 pictures, 1 new captions.\n")
    code, out, _ = said("import", file, "--db", tmp_path / "new" / "a.db")
    assert (code, out) == (0, f"{file}: 1 rows, 1 pictures, 0 new captions.\n")


def test_without_db_the_configured_folder_is_used(said, tmp_path):
    assert said("import", vhm(tmp_path))[0] == 0
    assert Config().database == tmp_path / "data" / "tinyrs.db"
    assert Config().database.is_file()


def test_check_prints_a_finding_a_line_and_says_so_by_its_exit_code(said, tmp_path):
    file = vhm(tmp_path)
    rows = json.loads(file.read_text())
    rows[0]["conversations"][1]["value"] = "<reasoning> \x1b[2J </reasoning> <answer> [[1,2,3]] </answer>"
    file.write_text(json.dumps(rows))
    code, out, err = said("check", file)
    assert (code, err) == (1, "")
    assert all(line.startswith("row 1: ") for line in out.splitlines())
    assert "\x1b" not in out  # a file must not command the terminal
    code, told, _ = said("check", file, "--json")
    found = [json.loads(line) for line in told.splitlines()]
    assert code == 1 and len(found) == len(out.splitlines())
    assert all(list(each) == ["row", "check", "sentence"] and each["row"] == 1 for each in found)
    rows[0]["conversations"][1]["value"] = "[[100,200,300,400]]"
    file.write_text(json.dumps(rows))
    assert said("check", file) == said("check", file, "--json") == (0, "", "")


def test_backup_and_restore_bring_everything_back(said, data, tmp_path):
    assert said("backup", tmp_path / "all.tar", "--db", data)[0] == 0
    code, out, _ = said("restore", tmp_path / "all.tar", "--db", tmp_path / "back" / "a.db")
    assert (code, out) == (0, f"{tmp_path / 'back' / 'a.db'} is back.\n")
    assert said("stats", "--db", data)[1] == said("stats", "--db", tmp_path / "back" / "a.db")[1]


BAD = [
    (["stats"], "There is no database at"),
    (["export", "--out", "x"], "There is no database at"),
    (["backup", "x.tar"], "There is no database at"),
    (["restore", "none.tar"], "no such file"),
    (["import", "none.json"], "There is no file none.json."),
    (["check", "none.json"], "There is no file none.json."),
    (["import", "bad.json", "--box-scale", "-3"], "box scale"),
    (["import", "bad.json"], "bad.json, row 1"),
    (["export", "--db", "a.db", "--kind", "rl", "--out", "x"], "no kind of export called 'rl'"),
    (["export", "--db", "a.db", "--refused-prompts", "--out", "x"], "Only an export of kind grpo"),
    (["export", "--db", "a.db", "--out", "x"], "nothing to export"),
    (["stats", "--db", "text.db"], "text.db is not a database."),
    (["restore", "text.db", "--db", "c.db"], "not a whole backup"),
    (["restore", "text.db", "--db", "a.db"], "exists"),
    (["export", "--db", "a.db"], "--out"),
    (["nonsense"], "nonsense"),
    ([], "COMMAND"),
    (["stats", "--nonsense"], "--nonsense"),
]


@pytest.mark.parametrize(("args", "words"), BAD)
def test_what_is_wrong_is_one_sentence_on_stderr_and_exit_code_2(said, tmp_path, monkeypatch, args, words):
    monkeypatch.chdir(tmp_path)
    Store(tmp_path / "a.db").close()
    (tmp_path / "text.db").write_text("no database, and no archive")
    vhm(tmp_path, image="../x.png").rename("bad.json")
    before = sorted(path.name for path in tmp_path.iterdir())
    code, out, err = said(*args)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1 and err.rstrip().endswith(".")
    assert sorted(path.name for path in tmp_path.iterdir()) in (before, sorted([*before, "data"]))


def test_no_secret_of_the_environment_is_in_any_output(tmp_path, data):
    canary = "canary-8c1f"
    env = {**os.environ, "HF_TOKEN": canary, "OPENAI_API_KEY": canary}
    heard = b""
    for args in (
        ["stats", "--db", data],
        ["export", "--db", data, "--out", tmp_path / "o"],
        ["import", "none"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "annotate", *map(str, args)], capture_output=True, env=env
        )
        heard += done.stdout + done.stderr
    assert heard and canary.encode() not in heard
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or canary.encode() not in path.read_bytes()


def test_a_reader_that_goes_away_is_no_error(data):
    command = f"{sys.executable} -m annotate stats --db {data} | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_users_are_added_listed_and_removed_and_their_passwords_come_by_a_pipe(tmp_path):
    def run(*args, typed=""):
        command = [sys.executable, "-m", "annotate", "user", *args, "--db", str(tmp_path / "a.db")]
        return subprocess.run(command, input=typed, capture_output=True, text=True, timeout=120)

    done = run("add", "Ada", "--role", "reviewer", typed="correct horse\n")
    assert done.returncode == 0 and "Ada may log in as reviewer" in done.stdout
    assert run("list").stdout == "reviewer   Ada\n"
    for args, typed in ((("add", "Bob"), "short\n"), (("add",), ""), (("add", "Bob", "--role", "king"), "x" * 9)):
        done = run(*args, typed=typed)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, args
    assert "nobody called 'Bob'" in run("remove", "Bob").stderr
    assert run("remove", "ada").returncode == 0 and run("list").stdout == ""
    assert not (tmp_path / "a.db").exists(), "people are no part of the database"


def test_a_folder_of_snapshots_is_written_and_read_by_the_same_commands(data, said, tmp_path):
    bucket, new = tmp_path / "bucket", tmp_path / "new" / "a.db"
    bucket.mkdir()
    assert said("restore", bucket, "--db", new) == (2, "", f"Nothing was ever saved to {bucket}.\n")
    assert said("backup", bucket, "--db", data)[0] == 0
    assert said("restore", bucket, "--db", new)[:2] == (0, f"{new} is back.\n")
    with Store(data) as before, Store(new) as after:
        assert after.stats() == before.stats()
    assert "exists: move it away" in said("restore", bucket, "--db", new)[2]
    assert "Set HF_TOKEN" in said("backup", "hf://ada/notes", "--db", data)[2]
    assert not (tmp_path / "hf:").exists()
