"""Length generalization as a chart."""

from seqtune.report.figures import theme
from seqtune.report.figures.growth import Curve, Part, growth, has_floor, off_scale
from tests.report.charts import channel, marks, rows


def grown(panel: str, name: str, *, mean: float = 0.2, best: float = 0.1) -> Curve:
    nan = float("nan")
    part = Part("", x=[1, 100], mean=[mean, 0.4], low=[0.1, nan], high=[0.5, nan], best=[best, nan])
    return Curve(panel=panel, name=name, parts=(part,))


def drawn(*curves: Curve, metric: str = "valid/loss") -> theme.Spec:
    borders = {"trained on 2": 10.0}
    return growth(curves, borders=borders, metric=metric, x="tokens", title="T", few=False)


def test_every_training_has_a_panel_with_its_cells_intervals_floors_and_border():
    spec = drawn(grown("trained on 2", "p"), grown("trained on 2", "q"), grown("other", "p"))
    assert spec["facet"]["sort"] == ["trained on 2", "other"]
    assert channel(spec, "color")["scale"]["domain"] == ["p", "q"]
    first, last = rows(spec, panel="trained on 2", name="p")
    assert (first["low"], first["high"], first["best"]) == (0.1, 0.5, 0.1)
    assert (last["low"], last["best"]) == (None, None)
    assert {row["border"] for row in rows(spec, panel="trained on 2")} == {10.0}
    assert {row["border"] for row in rows(spec, panel="other")} == {None}
    svg = theme.svg(spec)
    assert svg.count(">trained<") == 1
    assert has_floor([grown("other", "p")])


def test_what_a_logarithmic_scale_has_no_place_for_stands_at_its_edge():
    curve = grown("trained on 2", "p", mean=-0.25)
    assert off_scale([curve], metric="valid/loss") == 1
    assert off_scale([curve], metric="valid/accuracy") == 0
    spec = drawn(curve)
    assert [row["on_scale"] for row in rows(spec)] == [False, True]
    shapes = [each["mark"].get("shape") for each in marks(spec) if isinstance(each["mark"], dict)]
    assert "triangle-down" in shapes
    assert channel(spec, "y")["scale"]["type"] == "log"


def test_shares_have_a_linear_scale():
    spec = drawn(grown("trained on 2", "p"), metric="valid/accuracy")
    assert channel(spec, "y")["scale"].get("type", "linear") == "linear"
