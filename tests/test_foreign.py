"""What Label Studio, Argilla and datasets write comes in as captions; what is wrong is named with its row."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, Value

from annotate.__main__ import main
from annotate.foreign import Names
from annotate.imports import Imported, import_captions
from annotate.store import Refused, Store
from tests.store_parts import check_whole, drawn
from tinyrs.example import Task


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "data" / "tinyrs.db") as opened:
        yield opened
        check_whole(opened)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set" / "7").mkdir(parents=True)
    for i in range(3):
        (tmp_path / "set" / f"{i}.png").write_bytes(drawn(i))
    (tmp_path / "set" / "7" / "0badf00d-a b.png").write_bytes(drawn(5))
    (tmp_path / "outside.png").write_bytes(drawn(9))
    return tmp_path / "set"


def written(folder, rows, name="export.json"):
    (folder / name).write_text(json.dumps(rows))
    return folder / name


def rectangle(x, y, width, height, label="plane", **more):
    value = {
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        "rotation": 0,
        "rectanglelabels": [label],
        **more,
    }
    return {"type": "rectanglelabels", "from_name": "label", "to_name": "image", "value": value}


def choice(text, control="answer"):
    return {"type": "choices", "from_name": control, "to_name": "image", "value": {"choices": [text]}}


def area(text, control):
    return {"type": "textarea", "from_name": control, "to_name": "image", "value": {"text": [text]}}


def task(*results, image="/data/upload/7/0badf00d-a%20b.png", cancelled=False, **data):
    return {
        "data": {"image": image, **data},
        "annotations": [{"result": list(results), "was_cancelled": cancelled, "completed_by": 1}],
        "predictions": [],
    }


def told(store):
    """(question, task, reasoning, answer) of every caption, in order."""
    rows = [store.caption(i) for i in range(1, store.stats()["captions"]["total"] + 1)]
    return [
        (r["question"].text, r["question"].task, r["revision"]["reasoning"], r["revision"]["answer"])
        for r in rows
    ]


# --- Label Studio ---------------------------------------------------------------------------------------


def test_label_studios_rectangles_choices_and_texts_become_captions(store, folder):
    rows = [
        task(rectangle(10, 20, 30.05, 40), rectangle(0, 0, 5, 5), rectangle(50, 50, 50, 50, "ship")),
        task(choice("port"), area("Ships lie at quays.", "reasoning"), question="{CLS} Which class: port, farm?"),
        task(rectangle(1, 2, 3, 4), question="Where is the plane?", task="grounding", image="1.png"),
        task(area("two", "answer"), question="How many roofs?", image="/data/local-files/?d=2.png"),
    ]
    assert import_captions(store, written(folder, rows)) == Imported(4, 5, 3)
    assert told(store) == [
        ("Identify the location of the plane.", Task.GROUNDING, "", "[[100,200,400,600],[0,0,50,50]]"),
        ("Identify the location of the ship.", Task.GROUNDING, "", "[[500,500,1000,1000]]"),
        ("Which class: port, farm?", Task.CLASSIFICATION, "Ships lie at quays.", "port"),
        ("Where is the plane?", Task.GROUNDING, "", "[[10,20,40,60]]"),
        ("How many roofs?", Task.COUNTING, "", "two"),
    ]


def test_label_studios_relations_and_other_shapes_are_passed_over_and_a_picture_in_the_cloud_is_looked_for_here(
    store, folder
):
    arrow = {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"}
    polygon = {"type": "polygonlabels", "from_name": "p", "to_name": "image", "value": {"points": [[1, 2], [3, 4], [5, 6]]}}
    (folder / "scenes").mkdir()
    (folder / "scenes" / "far.png").write_bytes(drawn(7))
    rows = [
        task(rectangle(10, 20, 30, 40), polygon, arrow, image="1.png"),
        task(polygon, image="2.png"),
        task(rectangle(1, 2, 3, 4), image="s3://bucket/scenes/far.png"),
        task(rectangle(1, 2, 3, 4), image="https://example.org/somewhere/0.png?token=x"),
    ]
    assert import_captions(store, written(folder, rows)) == Imported(4, 3, 3, unanswered=1)
    assert [answer for *_, answer in told(store)] == ["[[100,200,400,600]]", "[[10,20,40,60]]", "[[10,20,40,60]]"]


def test_every_annotator_counts_a_cancelled_one_does_not_and_a_prediction_stands_in(store, folder):
    two = task(choice("port"), question="Which class?")
    two["annotations"] += [{"result": [choice("farm")]}, {"result": [choice("pond")], "was_cancelled": True}]
    predicted = {
        "data": {"image": "1.png", "question": "Which class?"},
        "annotations": [],
        "predictions": [{"result": [choice("old")]}, {"result": [choice("desert")]}],
    }
    untouched = task(image="2.png", question="Which class?")
    done = import_captions(store, written(folder, [two, predicted, untouched]))
    assert done == Imported(3, 3, 2, unanswered=1)
    assert [answer for *_, answer in told(store)] == ["port", "farm", "desert"]


def test_label_studios_short_export_comes_in_too(store, folder):
    box = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0, "rectanglelabels": ["plane"]}
    about = {"annotator": 1, "lead_time": 3.5, "created_at": "2026-01-01T00:00:00Z"}
    rows = [
        {"image": "0.png", "id": 1, "annotation_id": 1, "label": [box], **about},
        {"image": "1.png", "id": 2, "annotation_id": 2, "class": {"choices": ["port"]}, **about},
        {
            "image": "2.png",
            "id": 3,
            "annotation_id": 3,
            "class": "farm",
            "reasoning": ["Rows.", "Fields."],
            **about,
        },
    ]
    names = Names.typed("answer=class", ask="{CLS} Which class?")
    assert import_captions(store, written(folder, rows), names=names).added == 3
    assert told(store) == [
        ("Identify the location of the plane.", Task.GROUNDING, "", "[[100,200,400,600]]"),
        ("Which class?", Task.CLASSIFICATION, "", "port"),
        ("Which class?", Task.CLASSIFICATION, "Rows.\nFields.", "farm"),
    ]


def test_twice_adds_nothing_and_the_command_says_so(tmp_path, folder, capsys):
    file = written(folder, [task(rectangle(1, 2, 3, 4)), task(image="1.png")])
    for new in (1, 0):
        assert main(["import", str(file), "--db", str(tmp_path / "x.db")]) == 0
        out = capsys.readouterr().out
        assert f"2 rows, 1 pictures, {new} new captions" in out and "1 rows hold no answer yet" in out


BAD = [
    (task(rectangle(90, 0, 20, 5)), "out of the picture"),
    (task(rectangle(-1, 0, 20, 5)), "out of the picture"),
    (task(rectangle(1, 0, 20, 5, rotation=30)), "turned by 30 degrees"),
    (task(rectangle("1", 0, 20, 5)), "x, y, width and height"),
    (task(rectangle(1, 0, float("inf"), 5)), "no JSON number"),
    (task(choice("port")), "--question"),
    (task(choice("port"), image="../outside.png", question="q"), "leads out of the folder"),
    (task(choice("port"), image="http://169.254.169.254/x.png", question="q"), "no file 'x.png'"),
    (
        task(choice("port"), image="/data/local-files/?d=../outside.png", question="q"),
        "leads out of the folder",
    ),
    (task(choice("port"), image="/data/upload/7/gone.png", question="q"), "no file"),
    (task(choice("port"), image=None, question="q"), "--columns picture=NAME"),
    (task(choice("port"), question="q", task="cls"), "unknown"),
    (task(choice("port"), question="q", labels=[1]), "labels"),
    (task(area({"a": 1}, "answer"), question="q"), "no text"),
    (task(area("left", "answer"), question="Identify the location of the roof."), "no box"),
    (task({"type": "choices"}), "not Label Studio's"),
    ({"data": {"image": "0.png"}, "annotations": {}}, "list of objects"),
    ({"data": {"image": "0.png"}, "annotations": [{}]}, "not Label Studio's"),
    ({"data": {"image": "0.png"}, "annotations": ["x"]}, "list of objects"),
    ({"fields": {"image": "0.png"}, "responses": [1]}, "not Argilla's"),
    ({"fields": {"image": "0.png"}, "responses": {"answer": [1]}}, "not Argilla's"),
    ({"fields": {"image": "0.png"}, "suggestions": {"answer": "x"}}, "not Argilla's"),
    ({"fields": {"image": "data:image/png;base64,@@", "question": "q", "answer": "a"}}, "an address"),
    ({"image": "0.png", "question": "q"}, "--columns answer=NAME"),
    ({"image": "0.png", "question": "q", "answer": True}, "no text"),
]


@pytest.mark.parametrize(("bad", "word"), BAD)
def test_a_bad_row_is_named_and_nothing_is_added(store, folder, bad, word):
    good = task(choice("port"), question="q", image="0.png")
    with pytest.raises(Refused) as refusal:
        import_captions(store, written(folder, [good, bad]))
    assert word in str(refusal.value) and len(str(refusal.value)) < 500
    assert "export.json, row 2" in str(refusal.value) or word == "no JSON number"
    assert store.stats()["captions"]["total"] == store.stats()["pictures"] == 0


def test_columns_are_named_in_one_way():
    assert Names.typed(" picture=img , labels= ").picture == "img"
    for text in ("img", "photo=img", "ask=x"):
        with pytest.raises(Refused, match="WHAT=NAME"):
            Names.typed(text)


# --- Argilla --------------------------------------------------------------------------------------------


def record(image, responses=(), suggestions=(), **fields):
    return {
        "id": f"r{hashlib.sha256(repr((image, fields)).encode()).hexdigest()[:6]}",
        "fields": {"image": image, "question": "Which class: port, farm?", **fields},
        "metadata": {},
        "suggestions": dict(suggestions),
        "responses": dict(responses),
        "vectors": {},
        "_server_id": None,
    }


def test_argillas_records_give_what_each_person_wrote_else_what_was_suggested(store, folder):
    uri = "data:image/png;base64," + base64.b64encode(drawn(7)).decode()
    both = {
        "answer": [
            {"value": "port", "user_id": "a"},
            {"value": "farm", "user_id": "b", "status": "discarded"},
        ],
        "reasoning": [{"value": "Ships.", "user_id": "a"}, {"value": "Rows.", "user_id": "b"}],
    }
    rows = [
        record("0.png", both, {"answer": {"value": "pond", "score": None, "agent": "m"}}),
        record(uri, {}, {"answer": {"value": ["farm"], "score": 0.5, "agent": "m"}}),
        record("1.png", answer="<reasoning> Sand. </reasoning> <answer> farm </answer>"),
        record("2.png"),
    ]
    (folder / "saved").mkdir()
    written(folder / "saved", rows, "records.json")  # as Dataset.to_disk lays it out
    done = import_captions(store, folder / "saved", images=folder)
    assert done == Imported(4, 3, 3, unanswered=1)
    assert [(reasoning, answer) for _, _, reasoning, answer in told(store)] == [
        ("Ships.", "port"),
        ("", "farm"),
        ("Sand.", "farm"),
    ]
    assert store.caption(2)["picture"] == hashlib.sha256(drawn(7)).hexdigest()


def test_a_flat_argilla_table_saved_by_datasets_comes_in(store, tmp_path):
    table = Dataset.from_dict(
        {
            "id": ["x", "y"],
            "image": [{"bytes": drawn(0), "path": None}, {"bytes": drawn(1), "path": None}],
            "question": ["Is a road present?"] * 2,
            "answer.responses": [["yes", "no"], None],
            "answer.responses.users": [["a", "b"], None],
            "answer.responses.status": [["submitted", "discarded"], None],
            "answer.suggestion": ["no", "no"],
            "answer.suggestion.agent": ["m", "m"],
        }
    ).cast_column("image", Image())
    table.save_to_disk(tmp_path / "flat")
    assert import_captions(store, tmp_path / "flat") == Imported(2, 2, 2)
    assert [answer for *_, answer in told(store)] == ["yes", "no"]


# --- datasets -------------------------------------------------------------------------------------------


def table(*answers):
    features = Features(
        {
            "img": Image(),
            "q": Value("string"),
            "label": ClassLabel(names=["port", "farm"]),
            "why": Value("string"),
        }
    )
    rows = {
        "img": [{"bytes": drawn(i), "path": None} for i in range(len(answers))],
        "q": ["{CLS} Which class: port, farm?"] * len(answers),
        "label": list(answers),
        "why": ["Ships."] * len(answers),
    }
    return Dataset.from_dict(rows, features=features)


TABLE = Names.typed("picture=img,question=q,answer=label,reasoning=why")


def test_a_saved_data_set_gives_its_pictures_and_the_names_of_its_classes(store, tmp_path):
    table(0, 1).save_to_disk(tmp_path / "saved")
    assert import_captions(store, tmp_path / "saved", names=TABLE) == Imported(2, 2, 2)
    assert import_captions(store, tmp_path / "saved", names=TABLE) == Imported(2, 0, 2)
    assert told(store)[1] == ("Which class: port, farm?", Task.CLASSIFICATION, "Ships.", "farm")
    assert store.caption(1)["revision"]["author"] == "import:saved"


def test_of_several_parts_one_is_chosen(store, tmp_path):
    DatasetDict(train=table(0), test=table(1, 1)).save_to_disk(tmp_path / "saved")
    with pytest.raises(Refused, match="train, test: choose one with --split"):
        import_captions(store, tmp_path / "saved", names=TABLE)
    assert import_captions(store, tmp_path / "saved", names=TABLE, split="test").rows == 2


def test_a_folder_that_is_no_data_set_or_half_of_one_is_refused(store, tmp_path, folder):
    with pytest.raises(Refused, match="neither a folder that datasets saved"):
        import_captions(store, folder)
    table(0).save_to_disk(tmp_path / "saved")
    (tmp_path / "saved" / "dataset_info.json").unlink()
    with pytest.raises(Refused, match="not whole"):
        import_captions(store, tmp_path / "saved")
    with pytest.raises(Refused, match="no file"):
        import_captions(store, tmp_path / "gone")


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub(files):
    """A hub on the loopback that has one data set, ours/roofs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            data, headers, code = b"{}", {}, 404
            name = self.path.partition("?")[0].partition(f"/resolve/{COMMIT}/")[2]
            if (
                self.path.startswith("/api/datasets/ours/roofs/revision/")
                or self.path == "/api/datasets/ours/roofs"
            ):
                about = {
                    "id": "ours/roofs",
                    "sha": COMMIT,
                    "siblings": [{"rfilename": name} for name in files],
                }
                data, code = json.dumps(about).encode(), 200
            elif self.path.startswith(f"/api/datasets/ours/roofs/tree/{COMMIT}"):
                tree = [
                    {"type": "file", "path": n, "size": len(d), "oid": "0" * 40} for n, d in files.items()
                ]
                data, code = json.dumps(tree).encode(), 200
            elif name in files:
                data, code = files[name], 200
                headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(data).hexdigest()}"'}
            self.send_response(code)
            for key, value in {
                "Content-Type": "application/json",
                "Content-Length": len(data),
                **headers,
            }.items():
                self.send_header(key, str(value))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        do_GET = do_HEAD = answer

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


IMPORT = """
import sys
from annotate.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def from_the_hub(tmp_path, address, source):
    """`annotate import` of a hub's data set, in a process that knows of no other hub."""
    import os
    import subprocess
    import sys

    names = "picture=img,question=q,answer=label,reasoning=why"
    return subprocess.run(
        [
            sys.executable,
            "-c",
            IMPORT,
            "import",
            source,
            "--columns",
            names,
            "--db",
            str(tmp_path / "hub.db"),
        ],
        env={**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
        | {"HF_HUB_OFFLINE": "0", "HF_TOKEN": "hf_" + "canaryCanary0123456789abcdefghij"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
def test_a_data_set_on_the_hub_comes_in_with_the_commit_it_was_read_at(tmp_path):
    table(0, 1).to_parquet(tmp_path / "data.parquet")
    with hub({"data/train-00000.parquet": (tmp_path / "data.parquet").read_bytes()}) as address:
        done = from_the_hub(tmp_path, address, "hf://datasets/ours/roofs")
        assert done.returncode == 0, done.stderr
        assert "2 rows, 2 pictures, 2 new captions" in done.stdout
        with Store(tmp_path / "hub.db") as store:
            assert store.caption(1)["source"] == f"hf://datasets/ours/roofs@{COMMIT}"
            assert told(store)[0][3] == "port"
        gone = from_the_hub(tmp_path, address, "hf://datasets/ours/none")
    assert gone.returncode == 2 and gone.stderr.strip().count("\n") == 0
    assert "could not be fetched" in gone.stderr and "canary" not in gone.stderr
