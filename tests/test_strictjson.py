"""Files of rows are read strictly, and what is wrong is said with the file, the row and the line."""

import json

import pytest

from tinyrs.strictjson import BadData, each_row, load_json, row_name


@pytest.mark.parametrize(
    "data, words",
    [
        (b'[{"a": 1},\n{"b": ', "line 2, column 7: .*half written"),
        (b'[{"a": "x', "half written"),
        (b'[\n{"a": "\xff"}]', "not UTF-8 text: line 2 holds the byte 0xff"),
        (b"", "is empty"),
        (b"[NaN]", "NaN, which is no JSON number"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_json_is_refused(tmp_path, data, words):
    path = tmp_path / "x.json"
    path.write_bytes(data)
    with pytest.raises(BadData, match=words):
        load_json(path)


def test_json_lines_are_read_and_counted(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n\n{"a": 2}\n')
    assert load_json(path) == [{"a": 1}, {"a": 2}]
    path.write_text('{"a": 1}\n{"a"\n')
    with pytest.raises(BadData, match="line 2"):
        load_json(path)


@pytest.mark.parametrize(
    "row, words",
    [
        ("text", "it is no JSON object"),
        ({"note": "x" * 10_000_000}, "its note is 10,000,000 characters long"),
        ({"a": {"b": ["x" * 200_000]}}, "its b is 200,000 characters long"),
        ({"a": "\ud800"}, "a character that no text should"),
        ({"a": "\x00"}, "a character that no text should"),
        ({"id": 1}, "its id 1 is that of row 1"),
        ({"id": "1"}, "its id '1' is that of row 1"),
    ],
)
def test_an_insane_row_is_refused(tmp_path, row, words):
    path = tmp_path / "x.json"
    path.write_text(json.dumps([{"id": 1}, row]))
    with pytest.raises(BadData) as caught:
        each_row(path, load_json(path), lambda row: [])
    assert str(caught.value) == f"{path}, row 2 (line 1): {words}." or words in str(caught.value)


def test_a_row_that_is_nested_without_end_is_refused(tmp_path):
    row = {}
    for _ in range(40):
        row = {"a": row}
    with pytest.raises(BadData, match="nested too deeply"):
        each_row(tmp_path / "x.json", [row], lambda row: [])


def test_a_row_is_named_by_its_line(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('[\n{"a": "["},\n\n{"a":\n 1}, {"b": 2}\n]\n')
    assert [row_name(path, index).rpartition("(")[2] for index in range(3)] == [
        "line 2)",
        "line 4)",
        "line 5)",
    ]
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n\n{"a": 2}\n')
    assert row_name(path, 1) == f"{path}, row 2 (line 3)"
    assert row_name(tmp_path / "gone.json", 1) == f"{tmp_path / 'gone.json'}, row 2"


def test_the_examples_of_all_rows_are_given_in_order(tmp_path):
    rows = [{"id": 1}, {"id": 2}, {}]
    assert each_row(tmp_path, rows, lambda row: [row.get("id", 0)] * 2) == [1, 1, 2, 2, 0, 0]
