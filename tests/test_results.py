"""The Results tab: numbers as the evaluation wrote them, whatever lies in the folder, and nothing live on the page."""

import json

import pytest
from playwright.sync_api import expect

from screens import results_markup
from tests.pages import page, served
from tests.visitor import CONTRAST, NAMELESS, SIZES, Visitor
from tinyrs.config import Config
from tinyrs.results import Results, Row, measured_rows, read_results, title
from training.report import build, collect

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def scores(folder, model="pocket", benchmark="cls_AID", strict=0.9, **more):
    """A scores.json with its costs, as training.evaluate leaves them."""
    folder.mkdir(parents=True)
    told = {
        "benchmark": benchmark,
        "model": model,
        "kind": "cls",
        "n": 200,
        "strict": strict,
        "chance": 0.0333,
    }
    told |= {"strict_interval": [strict - 0.05, strict + 0.05], "reference": strict, "majority": 0.05, **more}
    (folder / "scores.json").write_text(json.dumps(told))
    (folder / "costs.jsonl").write_text(
        json.dumps({"answers": 200, "seconds": 90, "tokens": 800, "peak_mib": 700})
    )
    return told


@pytest.fixture
def folder(tmp_path):
    """A folder with a report over two models and two benchmarks."""
    root = tmp_path / "results"
    scores(root / "a")
    scores(root / "b", model="pocket-r1", strict=0.6, thinking=True)
    scores(root / "c", benchmark="other", strict=0.25)
    root.joinpath("report.json").write_text(json.dumps(build(collect([root]))))
    return root


def test_a_report_is_read_as_it_was_written(folder):
    found = read_results(folder)
    told = json.loads((folder / "report.json").read_text())
    assert found.source == told["source"] and found.problems == ()
    first, _, other = sorted(found.rows, key=lambda row: (row.benchmark, row.model))
    assert (first.benchmark, first.model, first.n, first.strict) == ("AID", "pocket", 200, 0.9)
    assert (first.paper, first.system) == (89.6, "tinyrs") and first.inside
    assert first.points == pytest.approx(0.4)
    assert (other.benchmark, other.paper, other.points) == ("other", None, None)
    assert {(row.model, row.seconds, row.peak) for row in found.averages} == {
        ("pocket", 0.45, 700.0),
        ("pocket-r1", 0.45, 700.0),
    }


def test_scores_without_a_report_are_shown_too(tmp_path):
    scores(tmp_path / "x" / "aid", strict=0.5)
    (row,) = read_results(tmp_path).rows
    assert (row.benchmark, row.strict, row.paper) == ("AID", 0.5, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        '{"results": 7}',
        '{"results": [7, {}]}',
        '{"benchmark": "x", "n": "many"}',
        "[NaN]",
        "\xff",
    ],
)
def test_a_file_that_is_no_result_is_said_and_the_others_stay(folder, text):
    (folder / "z").mkdir()
    (folder / "z" / "report.json").write_bytes(text.encode("latin-1"))
    found = read_results(folder)
    assert len(found.rows) == 3 and len(found.problems) == 1
    assert "z/report.json" in found.problems[0] and str(folder) not in found.problems[0]


@pytest.mark.parametrize("value", [None, "0.5", True, 1e400, -0.1, 1.5, [], {}])
def test_a_number_that_is_none_is_shown_as_unknown(value):
    (row,) = measured_rows(
        [("m", {"x": {"n": 5, "strict": value, "strict_interval": [value, 1], "majority": value}})]
    )
    assert (row.strict, row.majority) == (None, None)
    assert "not known" in results_markup.table([row], "x")


def test_what_a_file_says_stays_text():
    row = Row(EVIL, EVIL, 1, 0.5, paper=1.0, system=EVIL, points=1.0)
    shown = results_markup.page([row], Results((row,), (), EVIL, (EVIL,)))
    assert "<img" not in shown and "<script" not in shown and shown.count("&lt;img") >= 6


def test_columns_that_nobody_knows_anything_for_are_left_out():
    shown = results_markup.table([Row("m", "x", 5, 0.5)], "x")
    assert "Right, %" in shown and "Paper" not in shown and "Majority" not in shown


def test_stems_are_read_as_people_do():
    assert [title(stem) for stem in ("cls_AID", "VG_NWPU", "RSVQA_LR-comp")] == [
        "AID",
        "NWPU grounding",
        "RSVQA LR comp",
    ]


def test_the_folder_is_set_by_the_environment(monkeypatch, tmp_path):
    assert Config().results is None
    monkeypatch.setenv("TINYRS_RESULTS", str(tmp_path))
    assert Config().results == tmp_path


@pytest.mark.browser
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_tab_is_readable_on_every_screen(browser, folder, tmp_path, size, scheme):
    told = json.loads((folder / "report.json").read_text())
    told["results"][0]["title"] = EVIL
    (folder / "report.json").write_text(json.dumps(told))
    with served(page(results=folder)) as url:
        with Visitor(browser, url, viewport=SIZES[size], color_scheme=scheme) as visitor:
            visitor.tab("Results")
            expect(visitor["#results table"].first).to_be_visible()
            expect(visitor["#results .good"].first).to_contain_text("inside")
            expect(visitor["#results .costs-figure"]).to_be_visible()
            expect(visitor["#results"]).to_contain_text("quick")
            visitor.shoot(tmp_path / "shots", f"results-{size}-{scheme}")
            assert visitor.fits()
            assert visitor.page.evaluate(CONTRAST) == []
            assert visitor.page.evaluate(NAMELESS) == []
            assert visitor["#results img, #results script"].count() == 0
            assert visitor.errors == [] and len(visitor.hosts) == 1
            (folder / "report.json").unlink()  # what lies there is read anew
            visitor.tab("Compare")
            visitor.tab("Results")
            expect(visitor["#results .good"]).to_have_count(0)


@pytest.mark.browser
def test_with_nothing_measured_the_tab_says_how_to(browser, tmp_path, monkeypatch):
    monkeypatch.setattr("screens.results.measured_rows", lambda models: ())
    with served(page()) as url, Visitor(browser, url, viewport=SIZES["390"]) as visitor:
        visitor.tab("Results")
        expect(visitor["#results"]).to_contain_text("No results yet")
        visitor.shoot(tmp_path / "shots", "results-empty-390")
        assert visitor.fits() and visitor.page.evaluate(CONTRAST) == []
