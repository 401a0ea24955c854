"""What a name means. Nothing here needs torch or a network."""

from __future__ import annotations

import json

import pytest

from tinyrs import models
from tinyrs.models import MODELS, UnknownModel, resolve, table
from tinyrs.prompt import DIALECTS


def declare(folder, **values):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tinyrs.json").write_text(json.dumps(values))
    return folder


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """The pocket pair's folder, in a place where the test can write it."""
    source = tmp_path / "assets"
    spec = models.replace(MODELS["pocket"], source=str(source))
    monkeypatch.setitem(MODELS, "pocket", spec)
    return source


def test_every_model_of_the_design_has_its_name():
    assert {"pocket", "pocket-r1", "tinyrs", "tinyrs-cot", "tinyrs-r1", "tinyrs-pretrain"} < set(MODELS)
    assert {"qwen2-vl-2b", "qwen2-vl-7b", "vhm", "geochat", "lhrs-bot-nova", "skysensegpt"} < set(MODELS)
    assert {"qwen2-vl-rs", "qwen2-vl-rs-r1"} < set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_the_table_declares_what_its_dialect_says(name):
    spec = MODELS[name]
    assert spec.box_scale == DIALECTS[spec.dialect].box_scale
    assert spec.about and spec.min_pixels < spec.max_pixels
    assert "server" not in spec.about or spec.kind == "server"


def test_a_name_of_the_table_is_that_row():
    assert resolve("tinyrs-r1") is MODELS["tinyrs-r1"]
    assert resolve(" tinyrs ") is MODELS["tinyrs"]


def test_a_hub_id_of_the_table_is_that_row_with_the_commit_that_was_typed():
    assert resolve("aybora/Qwen2-VL-TinyRS-R1") == MODELS["tinyrs-r1"]
    assert resolve("Qwen/Qwen2-VL-2B-Instruct@main").revision == "main"


def test_the_pocket_pair_says_itself_what_it_is(shipped):
    declare(shipped, dialect="tinyrs", thinking=True, max_pixels=200_000, measured={"AID": 0.4}, system=None)
    spec = resolve("pocket")
    assert (spec.name, spec.thinking, spec.max_pixels, spec.measured) == (
        "pocket",
        True,
        200_000,
        {"AID": 0.4},
    )


def test_a_row_of_the_table_can_be_changed_where_it_is_typed(shipped):
    assert resolve("tinyrs?max_new_tokens=9&thinking=1") == models.replace(
        MODELS["tinyrs"], max_new_tokens=9, thinking=True
    )
    declare(shipped, max_new_tokens=64, about="Here.")
    assert resolve("pocket?max_new_tokens=9") == models.replace(
        MODELS["pocket"], max_new_tokens=9, about="Here."
    )


def test_a_missing_pocket_model_says_what_builds_it(shipped):
    with pytest.raises(UnknownModel, match="not in .*training.pocket builds"):
        resolve("pocket?dialect=tinyrs")


def test_the_table_lists_models_that_are_not_here(shipped):
    assert {spec.name: here for spec, here in table()}["pocket"] is False
    declare(shipped, about="Here.")
    rows = {spec.name: (spec, here) for spec, here in table()}
    assert rows["pocket"][1] is True and rows["pocket"][0].about == "Here."
    assert rows["tinyrs"] == (MODELS["tinyrs"], False)


def test_a_folder_is_what_its_declaration_says(tmp_path):
    folder = declare(
        tmp_path / "r1", dialect="geochat", thinking=True, min_pixels=1000, max_pixels=2000, max_new_tokens=7
    )
    spec = resolve(str(folder))
    assert (spec.name, spec.source, spec.kind) == (str(folder), str(folder), "local")
    assert (spec.dialect, spec.thinking, spec.box_scale) == ("geochat", True, 100)
    assert (spec.min_pixels, spec.max_pixels, spec.max_new_tokens) == (1000, 2000, 7)


def test_what_is_typed_behind_a_folder_wins(tmp_path):
    folder = declare(tmp_path / "a", dialect="tinyrs", max_new_tokens=7)
    spec = resolve(f"{folder}?thinking=1&max_new_tokens=9")
    assert (spec.source, spec.thinking, spec.max_new_tokens) == (str(folder), True, 9)


def test_a_folder_may_have_a_question_mark_in_its_name(tmp_path):
    folder = declare(tmp_path / "what?", thinking=True)
    assert resolve(str(folder)).thinking


def test_a_folder_that_declares_nothing_is_not_guessed_by_its_name(tmp_path):
    folder = tmp_path / "Qwen2-VL-TinyRS-R1"
    folder.mkdir()
    with pytest.raises(UnknownModel, match=r"does not declare .*tinyrs\.json.*\?dialect=qwen2-vl"):
        resolve(str(folder))
    assert resolve(f"{folder}?dialect=qwen2-vl").dialect == "qwen2-vl"


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        ({"max_pixel": 1000}, "'max_pixel', which means nothing"),  # the release's silent no-op
        ({"dialect": "klingon"}, "no dialect is called 'klingon'"),
        ({"thinking": "yes"}, "thinking must be true or false"),
        ({"thinking": 1}, "thinking must be true or false"),
        ({"box_scale": 0}, "box_scale must be a whole number above 0"),
        ({"max_new_tokens": True}, "max_new_tokens must be a whole number"),
        ({"max_pixels": 1e6}, "max_pixels must be a whole number"),
        ({"measured": []}, "measured must be a table"),
        ({"min_pixels": 9000, "max_pixels": 8000}, "min_pixels is 9000, which is above"),
        ([], "must hold a JSON object"),
    ],
)
def test_a_declaration_that_means_nothing_is_refused(tmp_path, declared, sentence):
    (tmp_path / "tinyrs.json").write_text(json.dumps(declared))
    with pytest.raises(UnknownModel, match=sentence):
        resolve(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"NaN nonsense"])
def test_a_broken_declaration_is_one_sentence(tmp_path, content):
    (tmp_path / "tinyrs.json").write_bytes(content)
    with pytest.raises(UnknownModel, match="cannot be read as JSON"):
        resolve(str(tmp_path))


def test_a_hub_id_declares_its_dialect_in_its_name():
    spec = resolve("owner/name@1a2b3c?dialect=qwen2-vl&thinking=true")
    assert (spec.source, spec.revision, spec.dialect, spec.thinking) == (
        "owner/name",
        "1a2b3c",
        "qwen2-vl",
        True,
    )


def test_a_hub_id_declares_its_dialect_in_its_repository(hub):
    hub("owner/name", {"tinyrs.json": json.dumps({"dialect": "tinyrs", "thinking": True})})
    assert resolve("owner/name").thinking
    assert resolve("owner/name?thinking=0").thinking is False


def test_a_hub_id_that_declares_nothing_is_refused():
    with pytest.raises(UnknownModel, match=r"no tinyrs\.json .*owner/nothing\?dialect=qwen2-vl"):
        resolve("owner/nothing")


def test_a_server_is_an_address_and_a_model():
    spec = resolve("http://127.0.0.1:8000/v1#my/model?dialect=geochat&thinking=1")
    assert (spec.kind, spec.dialect, spec.thinking, spec.box_scale) == ("server", "geochat", True, 100)
    assert spec.source.startswith("http://127.0.0.1:8000/v1#my/model")
    assert "not declared" not in spec.about


def test_a_server_of_a_model_of_the_table_needs_no_declaration():
    by_id = resolve("http://gpu:8000/v1#aybora/Qwen2-VL-TinyRS-R1")
    by_name = resolve("https://gpu/v1#tinyrs-r1")
    assert by_id.thinking and by_name.thinking and by_id.kind == by_name.kind == "server"
    assert resolve("http://gpu:8000/v1#MBZUAI/geochat-7B").dialect == "geochat"


def test_a_server_of_an_undeclared_model_says_so():
    assert "not declared" in resolve("http://127.0.0.1:8000/v1#whatever-r1").about
    assert not resolve("http://127.0.0.1:8000/v1#whatever-r1").thinking  # not guessed by its name


@pytest.mark.parametrize(
    "name",
    [
        "http://127.0.0.1:8000/v1",  # which model?
        "http://#model",
        "http://127.0.0.1:99999/v1#m",
        "http://[::1/v1#m",
        "http://127.0.0.1/v1?key=1#m",
        "http://127.0.0.1/v1#m?dialect=klingon",
        "http://127.0.0.1/v1#m?colour=red",
    ],
)
def test_an_address_that_names_no_model_is_refused(name):
    with pytest.raises(UnknownModel):
        resolve(name)


def test_an_address_with_a_password_is_refused_without_repeating_it():
    with pytest.raises(UnknownModel) as error:
        resolve("http://me:canary-1234@127.0.0.1/v1#m")
    assert "canary" not in str(error.value)


@pytest.mark.parametrize(
    "name", ["", "  ", "zz", "../x", "a/b/c", "\0", "x" * 5000, "owner/../../etc", "é/ü", None]
)
def test_any_other_name_is_one_sentence(name):
    with pytest.raises(UnknownModel) as error:
        resolve(name)
    assert str(error.value).endswith(".") and "\n" not in str(error.value) and len(str(error.value)) < 700


def test_specs_can_be_keys():
    assert len({MODELS["tinyrs"], models.replace(MODELS["tinyrs"], measured={"AID": 1})}) == 2


def test_the_kind_of_weights_is_declared_beside_them_and_nowhere_else(tmp_path):
    folder = declare(tmp_path / "int8", dialect="tinyrs", kind="openvino")
    assert resolve(str(folder)).kind == "openvino"
    assert resolve(str(declare(tmp_path / "plain", dialect="tinyrs"))).kind == "local"
    with pytest.raises(UnknownModel, match="declared beside them, not typed"):
        resolve(f"{tmp_path / 'plain'}?kind=openvino")
    for wrong in ("server", "int8"):
        with pytest.raises(UnknownModel, match="are not known, only local and openvino"):
            resolve(str(declare(tmp_path / "wrong", dialect="tinyrs", kind=wrong)))
