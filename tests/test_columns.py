"""The published GRPO columns, from parquet and JSON: pictures inside the file or beside it, and refusals by row."""

import base64
import io
import json

import pytest
from PIL import Image

from tinyrs.example import Box, Task
from tinyrs.strictjson import BadData
from training.columns import is_columns, read_columns


def jpeg(shade=90):
    file = io.BytesIO()
    Image.new("RGB", (80, 60), (shade, 90, 60)).save(file, "JPEG")
    return file.getvalue()


def coded(shade=90):
    return base64.b64encode(jpeg(shade)).decode()


def prompt(text):
    return [
        {"role": "system", "content": [{"type": "text", "text": "Think."}]},
        {"role": "user", "content": [{"type": "image", "text": None}, {"type": "text", "text": text}]},
    ]


ROWS = [
    ("2", "[[100,200,500,600]]", "{VG} Identify the location of the bridge."),
    ("1", "farmland", "{CLS} Classify the image within one of the given classes: farmland, port, airport."),
    ("1", "15", "{VQA} How many ships can you see in the image?"),
    (
        "1",
        "B",
        "What is it?\nChoices: A. a road B. a river Answer from the given choices with A., B., C., D., etc.",
    ),
    ("0", "Seven ships in a harbour.", "{IT} Describe the image in detail."),
    ("0", "Two roads meet.", "{VQA} Is there anything odd in the image?"),
]


def json_rows(**changes):
    return [
        {"prompt": prompt(asked), "solution": [kind, told, asked, coded(number)], **changes}
        for number, (kind, told, asked) in enumerate(ROWS)
    ]


def write(path, rows):
    path.write_text(json.dumps(rows))
    return path


def parquet(folder, rows):
    import pyarrow
    import pyarrow.parquet

    (folder / "data").mkdir(parents=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "data" / "train-00000.parquet")
    return folder


def as_published(tmp_path):
    return parquet(
        tmp_path / "set",
        [{**row, "image": {"bytes": jpeg(number), "path": None}} for number, row in enumerate(json_rows())],
    )


def check(examples):
    assert [e.question.task for e in examples] == [
        Task.GROUNDING,
        Task.CLASSIFICATION,
        Task.COUNTING,
        Task.OPEN,
        Task.CAPTIONING,
        Task.OPEN,
    ]
    assert examples[0].boxes == (Box(100, 200, 500, 600),)
    assert examples[1].question.labels == ("farmland", "port", "airport")
    assert examples[3].question.labels == ("A", "B")
    assert [e.answer for e in examples] == [told for _, told, _ in ROWS]
    assert all("{V" not in e.question.text for e in examples)  # the tag is put there by the prompt
    for number, example in enumerate(examples):
        with Image.open(example.picture) as image:
            assert image.size == (80, 60) == example.size
            assert abs(image.getpixel((5, 5))[0] - number) < 6  # its own picture


def test_parquet_as_on_the_hub(tmp_path):
    folder = as_published(tmp_path)
    assert is_columns(folder) and is_columns(folder / "data" / "train-00000.parquet")
    check(read_columns(folder, tmp_path / "unpacked", 1000))


def test_json_with_pictures_inside(tmp_path):
    path = write(tmp_path / "rows.json", json_rows())
    assert is_columns(path)
    check(read_columns(path, tmp_path / "unpacked", 1000))


def test_json_with_pictures_beside_it(tmp_path):
    rows = json_rows()
    for number, row in enumerate(rows):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(number))
        row["image"] = f"{number}.jpg"
        row["solution"] = row["solution"][:3]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    check(read_columns(path, tmp_path / "unpacked", 1000))
    assert not (tmp_path / "unpacked").exists()


def test_the_question_is_taken_from_the_prompt_where_the_solution_has_none(tmp_path):
    rows = json_rows()
    for row in rows:
        row["solution"][2] = ""
    check(read_columns(write(tmp_path / "rows.json", rows), tmp_path / "unpacked", 1000))


def test_boxes_on_another_scale(tmp_path):
    rows = json_rows()[:1]
    rows[0]["solution"][1] = "[[80,160,400,480]]"
    path = write(tmp_path / "rows.json", rows)
    (example,) = read_columns(path, tmp_path / "u", 800)
    assert example.boxes == (Box(100, 200, 500, 600),) and example.answer == "[[100,200,500,600]]"
    with pytest.raises(BadData, match="row 1: .*nothing says what boxes run to"):
        read_columns(path, tmp_path / "u")
    rows[0]["solution"][1] = "[[80,160,400,900]]"
    with pytest.raises(BadData, match="row 1: "):
        read_columns(write(path, rows), tmp_path / "u", 800)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda row: row.pop("solution"), "its solution must be"),
        (lambda row: row.update(solution=["1", "yes"]), "its solution must be"),
        (lambda row: row.update(solution=[1, "yes", "q", ""]), "its solution must be"),
        (lambda row: row["solution"].__setitem__(0, "3"), "its type '3' is unknown"),
        (lambda row: row["solution"].__setitem__(1, " "), "its answer is empty"),
        (lambda row: row["solution"].__setitem__(2, "{XX} what?"), "task tag"),
        (lambda row: row["solution"].__setitem__(3, "not base64!"), "no base64"),
        (lambda row: row["solution"].__setitem__(3, "aGVsbG8="), "no picture that can be opened"),
        (lambda row: row["solution"].__setitem__(3, ""), "holds no picture"),
        (lambda row: row.update(image="../x.jpg"), "leads out of the folder"),
        (lambda row: row.update(image="missing.jpg"), "no file"),
        (lambda row: (row["solution"].__setitem__(2, ""), row.update(prompt=[])), "holds no question"),
        (lambda row: row["solution"].__setitem__(1, "x" * 200_000), "characters long"),
    ],
)
def test_what_is_ill_formed_is_refused_by_row(tmp_path, spoil, words):
    rows = json_rows()
    spoil(rows[1])
    with pytest.raises(BadData, match="rows.json, row 2: ") as refused:
        read_columns(write(tmp_path / "rows.json", rows), tmp_path / "u", 1000)
    assert words in str(refused.value)


def test_files_that_are_something_else(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_text("no parquet")
    with pytest.raises(BadData, match="cannot be read as parquet"):
        read_columns(path, tmp_path / "u")
    with pytest.raises(BadData, match="There is no file"):
        read_columns(tmp_path / "missing.parquet", tmp_path / "u")
    assert not is_columns(write(tmp_path / "vhm.json", [{"image": "x", "conversations": []}]))
    assert not is_columns(tmp_path / "missing.json")
