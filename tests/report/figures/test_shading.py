"""Grey says how much of its own output a model read: in the figure as it is rendered, and in its caption."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from seqtune.report import load
from seqtune.report.figures import lines
from seqtune.report.figures.lines import Line, small_multiples
from seqtune.report.figures.shading import Forced
from seqtune.report.sections import curves
from tests.report.made import make_run

EPOCHS = 10
TOKENS = tuple(100.0 * (epoch + 1) for epoch in range(EPOCHS))
PHASED = (1.0,) * 3 + (0.5,) * 4 + (0.0,) * 3
PLAIN = (1.0,) * EPOCHS


def line(name: str, truths: tuple[float, ...] | None, *, panel: str = "") -> Line:
    """A curve that keeps to the middle of its panel's height, so that the edges show the background."""
    return Line(
        panel=panel,
        name=name,
        rank=None,
        tokens=TOKENS,
        values=[1.0 + 0.1 * (epoch % 2) for epoch in range(EPOCHS)],
        floor=None,
        forced=None if truths is None else Forced(TOKENS, truths),
    )


def drawn(*curves: Line) -> lines.Picture:
    return small_multiples(curves, metric="valid/loss", title="valid/loss")


def pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3] / 255


def background(figure: Figure, *, panel: int, tokens: float) -> np.ndarray:
    """The colour of a panel's background over some tokens, just below its upper edge."""
    image = pixels(figure)
    axes = figure.axes[panel]
    x, _ = axes.transData.transform((tokens, 1.0))
    _, y = axes.transAxes.transform((0.0, 0.98))
    return image[image.shape[0] - 1 - int(y), int(x)]


def test_an_epoch_is_the_darker_the_more_of_its_own_the_model_read():
    figure = drawn(line("a", PHASED), line("b", PHASED)).figure
    truth, half, own = (background(figure, panel=0, tokens=tokens) for tokens in (150, 550, 850))
    assert all(np.ptp(colour) == 0 for colour in (truth, half, own))  # greys
    assert truth[0] == 1.0
    assert half[0] == pytest.approx((truth[0] + own[0]) / 2, abs=0.01)
    assert own[0] == pytest.approx(0.78, abs=0.01)


def test_panels_are_shaded_each_by_its_own_schedule():
    figure = drawn(line("a", PHASED, panel="p"), line("a", PLAIN, panel="q")).figure
    assert background(figure, panel=0, tokens=850)[0] < 0.8
    assert background(figure, panel=1, tokens=850)[0] == 1.0


def test_several_schedules_in_a_panel_are_rows_above_it():
    picture = drawn(line("a", PHASED), line("b", PLAIN), line("c", PHASED))
    assert picture.has_rows
    assert background(picture.figure, panel=0, tokens=850)[0] == 1.0
    [strip] = picture.figure.axes[0].child_axes
    assert [text.get_text() for text in strip.texts] == ["a", "b", "c"]
    assert strip.get_xlim() == picture.figure.axes[0].get_xlim()


@pytest.mark.parametrize("truths", [PLAIN, None])
def test_plain_teacher_forcing_leaves_a_figure_as_it_is(truths: tuple[float, ...] | None):
    picture = drawn(line("a", truths), line("b", truths))
    assert not picture.shaded
    assert not picture.has_rows
    assert picture.figure.legends == []
    assert (pixels(picture.figure) == pixels(drawn(line("a", None), line("b", None)).figure)).all()


def test_a_shaded_figure_says_what_its_greys_mean():
    [legend] = drawn(line("a", PHASED)).figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "own tokens read in an epoch: none",
        "half",
        "all",
    ]


@pytest.mark.parametrize(
    ("truths", "borders"),
    [
        (PHASED, [300, 700]),
        ((1.0, 1.0, 0.7, 0.65, 0.6, 0.55, 0.0, 0.0), [200, 600]),
        ((1.0, 0.75, 0.5, 0.25, 0.0), []),
        ((1.0, 0.96, 0.96, 0.96), []),
        ((1.0, 0.2), [100]),
        (PLAIN, []),
        ((0.5,), []),
    ],
)
def test_borders_are_where_the_value_jumps(truths: tuple[float, ...], borders: list[float]):
    assert Forced(TOKENS[: len(truths)], truths).borders() == borders


def test_schedules_are_one_where_a_reader_cannot_tell_them_apart():
    forced = Forced((100.0, 200.0), (1.0, 0.5))
    assert forced.alike(Forced((101.0, 201.0), (1.0, 0.5)))
    assert not forced.alike(Forced((100.0, 200.0), (1.0, 0.4)))
    assert not forced.alike(Forced((150.0, 300.0), (1.0, 0.5)))
    assert not forced.alike(Forced((100.0,), (1.0,)))


def test_the_learning_curves_of_a_sweep_are_shaded_and_their_caption_says_so(tmp_path: Path):
    for layers, truth in ((1, 1.0), (2, 0.5)):
        make_run(
            tmp_path,
            f"run{layers}",
            excess=[0.3, 0.1],
            compared={"model.layers": layers},
            metrics={"forcing": truth},
        )
    for chart in curves.section(load(tmp_path)).charts:
        assert "Grey: the share of its own predictions that a model read" in chart.caption
        assert "a row above the panel shows it for each." in chart.caption
        assert sorted(set(chart.data["truth"])) == [0.5, 1.0]


def test_nothing_is_said_of_grey_where_there_is_none(tmp_path: Path):
    make_run(
        tmp_path,
        "run",
        excess=[0.3, 0.1],
        compared={"model.layers": 1},
        metrics={"forcing": 1.0},
    )
    for chart in curves.section(load(tmp_path)).charts:
        assert "Grey" not in chart.caption
        assert "truth" not in chart.data
