"""Learning curves as a chart: its rows, its choices, and grey where a model read its own output."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from seqtune.report import load
from seqtune.report.figures import theme
from seqtune.report.figures.curves import Line, curves, is_log, stretches
from seqtune.report.sections import curves as section
from tests.report.charts import channel, marks, options, parameters, rows
from tests.report.made import make_run

PHASED = (1.0, 0.5, 0.5, 0.0)
PLAIN = (1.0,) * 4
UNKNOWN = (float("nan"),) * 4


def line(
    name: str,
    forcing: Sequence[float] = PLAIN,
    *,
    panel: str = "",
    seconds: float = 10.0,
    values: Sequence[float] = (0.8, 0.7, 0.6, 0.5),
    **facts: Any,
) -> Line:
    steps = [1.0, 2.0, 3.0, 4.0]
    points = pd.DataFrame(
        {
            "epoch": [1, 2, 3, 4],
            "tokens": [100 * step for step in steps],
            "step": steps,
            "flops": float("nan"),
            "seconds": [seconds * step for step in steps],
            "value": values,
            "low": [value - 0.1 for value in values],
            "high": [value + 0.1 for value in values],
            "forcing": forcing,
        }
    )
    return Line(panel, name, rank=None, points=points, **facts)


def drawn(*lines: Line, metric: str = "valid/loss") -> theme.Spec:
    spec, _ = curves(lines, metric=metric, title="T")
    return spec


def test_the_axis_can_be_any_cost_that_is_known_and_the_scale_linear_or_logarithmic():
    spec = drawn(line("p"), line("q"))
    assert options(spec, "axis") == ["tokens trained on", "optimizer steps", "seconds"]
    assert parameters(spec)["axis"]["value"] == "tokens"
    assert options(spec, "scale") == ["linear", "logarithmic"]
    assert parameters(drawn(line("p"), metric="valid/excess"))["scale"]["value"] == "log"
    assert is_log("valid/loss", [0.01, 1.0])
    assert not is_log("valid/accuracy", [0.01, 1.0])


def test_a_click_on_a_name_hides_a_curve_of_which_all_are_shown_at_first():
    spec = drawn(line("p"), line("q"))
    shown = parameters(spec)["shown"]
    assert (shown["bind"], shown["select"]["toggle"]) == ("legend", "true")
    assert shown["value"] == [{"name": "p"}, {"name": "q"}]
    assert "shown" not in parameters(drawn(line("p")))


def test_a_panel_has_its_own_rows_and_of_too_many_lines_goes_on_in_another():
    spec = drawn(line("p", panel="a"), line("p", panel="b"))
    assert spec["facet"]["sort"] == ["a", "b"]
    assert [len(rows(spec, panel=panel, kind="point")) for panel in ("a", "b")] == [4, 4]
    many = drawn(*(line(f"l{number}", panel="a") for number in range(12)))
    assert many["facet"]["sort"] == ["a (1 of 2)", "a (2 of 2)"]


def test_models_that_read_the_same_share_a_background():
    spec = drawn(line("p", PHASED), line("q", PHASED))
    greys = rows(spec, kind="background")
    assert [row["read"] for row in greys] == [0, 0.5, 1]
    assert [(row["tokens_from"], row["tokens_to"]) for row in greys] == [
        *((0, 100), (100, 300), (300, 400)),
    ]
    assert [(row["step_from"], row["step_to"]) for row in greys] == [(0, 1), (1, 3), (3, 4)]
    assert not rows(spec, kind="row")


def test_models_that_read_different_inputs_have_rows_above_the_panel():
    spec, notes = curves([line("p", PHASED), line("q", PLAIN)], metric="valid/loss", title="T")
    assert notes.shaded
    assert notes.has_rows
    assert {row["name"] for row in rows(spec, kind="row")} == {"p", "q"}
    assert all(row["bottom"] < 0 for row in rows(spec, kind="row"))
    assert not rows(spec, kind="background")


def test_panels_are_shaded_each_by_its_own_schedule():
    spec = drawn(line("p", PHASED, panel="a"), line("p", PLAIN, panel="b"))
    assert {row["read"] for row in rows(spec, kind="background", panel="b")} == {0}
    assert max(row["read"] for row in rows(spec, kind="background", panel="a")) == 1


@pytest.mark.parametrize("forcing", [PLAIN, UNKNOWN])
def test_plain_teacher_forcing_is_not_shaded(forcing: Sequence[float]):
    spec, notes = curves([line("p", forcing)], metric="valid/loss", title="T")
    assert not notes.shaded
    assert {row["kind"] for row in rows(spec)} == {"point"}


def test_neighbouring_epochs_that_look_the_same_are_one():
    given = line("p", (1.0, 0.995, 0.5, 0.49)).points
    assert [stretch["read"] for stretch in stretches(given)] == pytest.approx([0, 0.5])
    assert stretches(line("p", UNKNOWN).points) == []


def test_a_floor_is_one_line_a_panel_and_references_have_their_names():
    named = {"order-0": 3.0, "order-1": 1.0}
    lines = [line(name, floor=0.3, references=named) for name in ("p", "q")]
    spec, notes = curves(lines, metric="valid/loss", title="T")
    assert [(row["value"], row["text"]) for row in rows(spec, kind="floor")] == [(0.3, "floor")]
    assert {row["text"]: row["value"] for row in rows(spec, kind="reference")} == named
    assert (notes.has_floor, notes.has_references, notes.mixed_panels) == (True, True, 0)
    dashes = [each["mark"]["strokeDash"] for each in marks(spec) if "strokeDash" in each["mark"]]
    assert len({tuple(dash) for dash in dashes}) == 2
    _, notes = curves([line("p", references=named), line("q")], metric="valid/loss", title="T")
    assert (notes.has_references, notes.mixed_panels) == (False, 1)


def test_names_of_levels_that_lie_close_are_moved_apart():
    named = {f"order-{order}": 1.6 + 0.001 * order for order in range(6)}
    levels = rows(drawn(line("p", references=named)), kind="reference")
    # About as high as the panel is, all of them lie at one place.
    shifts = sorted(row["dy"] for row in levels)
    assert all(after - before >= 10 for before, after in itertools.pairwise(shifts))


def test_what_a_logarithmic_scale_has_no_place_for_is_counted_and_marked():
    values = (0.4, 0.2, 0.1, -0.1)
    spec, notes = curves([line("p", values=values)], metric="valid/excess", title="T")
    assert notes.off_scale == 1
    shapes = [each["mark"].get("shape") for each in marks(spec) if isinstance(each["mark"], dict)]
    assert "triangle-down" in shapes
    # A band ends at the least value that the scale has a place for.
    assert min(row["low"] for row in rows(spec, kind="point")) == 0.1


def test_colours_are_shared_by_panels():
    spec = drawn(line("p", panel="a"), line("q", panel="a"), line("q", panel="b"))
    assert channel(spec, "color")["scale"]["domain"] == ["p", "q"]


def test_every_specification_can_be_drawn():
    """A mistake in an expression shows when it is run."""
    given = [line("p", PHASED, panel="a", floor=0.3), line("q", panel="a", values=(1, 0, -1, 2))]
    svg = theme.svg(drawn(*given, line("p", panel="b")))
    assert all(f">{text}<" in svg for text in ("p", "q", "a", "b", "tokens trained on", "floor"))


def test_the_learning_curves_of_a_sweep_are_shaded_and_their_caption_says_so(tmp_path: Path):
    for layers, truth in ((1, 1.0), (2, 0.5)):
        make_run(
            tmp_path,
            f"run{layers}",
            excess=[0.3, 0.1],
            compared={"model.layers": layers},
            metrics={"forcing": truth},
        )
    for figure in section.section(load(tmp_path)).figures:
        assert "how much of its own output a model read" in figure.caption
        assert "a row above the panel shows it for each." in figure.caption
        assert sorted(set(figure.data["truth"])) == [0.5, 1.0]
        assert {row["read"] for row in rows(figure.chart, kind="row")} == {0, 0.5}


def test_nothing_is_said_of_grey_where_there_is_none(tmp_path: Path):
    make_run(
        tmp_path, "run", excess=[0.3, 0.1], compared={"model.layers": 1}, metrics={"forcing": 1.0}
    )
    for figure in section.section(load(tmp_path)).figures:
        assert "Grey" not in figure.caption
        assert "truth" not in figure.data
