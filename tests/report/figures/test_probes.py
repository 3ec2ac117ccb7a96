import itertools
from pathlib import Path

import pandas as pd
import pytest
from matplotlib import image
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from seqtune.report.figures import probes
from seqtune.tasks.score import Score
from seqtune.training.probes import ProbeResult, ProbeTarget, Reader, greatest_error, signed
from tests.storage.disk import no_room


def reading(
    value: float,
    *,
    target: ProbeTarget = "ancestor",
    level: str = "height 1",
    layer: int | None = 1,
    model: Reader = "trained",
    error: float = 0.01,
) -> ProbeResult:
    score = Score(value, count=9, standard_error=error)
    other = Score(value / 2, count=9, standard_error=2 * error)
    return ProbeResult(
        target,
        level,
        layer=layer,
        model=model,
        accuracy=score,
        balanced_accuracy=other,
        classes=3,
        positions=50,
    )


def run_of(layers: int, *, levels: int) -> list[ProbeResult]:
    found: list[ProbeResult] = []
    targets: tuple[ProbeTarget, ...] = ("ancestor", "ancestor_at_end", "boundary")
    for target, height in itertools.product(targets, range(1, levels + 1)):
        level = f"height {height}"
        for layer in range(1, layers + 1):
            found.append(reading(0.9 - 0.1 * height, target=target, level=level, layer=layer))
            found.append(reading(0.4, target=target, level=level, layer=layer, model="untrained"))
        found.append(reading(0.3, target=target, level=level, layer=None, model="majority"))
    return found


def write(readings: list[ProbeResult], *, name: str, caption: str, folder: Path) -> list[Path]:
    rows = [reading.to_data() | {"fitted_strings": 9} for reading in readings]
    return probes.write(readings, rows=rows, name=name, title="Run", caption=caption, folder=folder)


def test_the_numbers_and_a_figure_are_written(tmp_path: Path):
    readings = run_of(2, levels=2)
    paths = write(readings, name="probes", caption="n = 9.", folder=tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert [path.name for path in paths] == ["probes.csv", "probes.png", "probes.svg"]
    frame = pd.read_csv(paths[0])
    assert len(frame) == len(readings) == 30
    assert frame["accuracy"].tolist() == [each.accuracy.value for each in readings]
    assert frame["layer"].isna().sum() == 6
    assert (frame["fitted_strings"] == 9).all()
    svg = paths[2].read_text()
    for text in ("Run", "layer 2", "majority", "height 1", "0.800", "+0.400", "n = 9."):
        assert text in svg


def test_boundaries_are_shown_by_balanced_accuracy():
    assert reading(0.8, target="boundary").score.value == 0.4
    assert reading(0.8, target="ancestor").score.value == 0.8
    assert greatest_error([reading(1, error=0.1), reading(1, target="boundary")]) == 0.1
    assert greatest_error([reading(1, error=float("nan")), reading(1)]) == 0.01


@pytest.mark.parametrize(("layers", "levels"), [(1, 1), (6, 4)])
def test_figures_of_all_sizes_have_room_for_their_text(tmp_path: Path, layers: int, levels: int):
    """Nothing stands at the very edge of the picture."""
    readings = run_of(layers, levels=levels)
    if levels == 1:
        readings = [each for each in readings if each.target == "boundary"]
    caption = "A sentence about what was done, as long as such a sentence is. " * 3
    _, png, _ = write(readings, name="x", caption=caption, folder=tmp_path)
    pixels = image.imread(png)
    for edge in (pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:]):
        assert (edge == 1).all()


@pytest.mark.parametrize("height", [1, 2, 3, 4, 6])
def test_headings_stand_over_their_own_panels(height: int):
    """Of a tree of some height there is one level less to tell of ancestors, the root being known."""
    levels = {"ancestor": height - 1, "ancestor_at_end": height - 1, "boundary": height}
    readings = [
        each
        for each in run_of(2, levels=height)
        if int(each.level.removeprefix("height ")) <= levels[each.target]
    ]
    figure = probes.drawn(readings, title="Run", caption="n = 9.")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    headings = [
        text.get_window_extent(canvas.get_renderer())
        for axes in figure.axes
        for text in axes.get_children()
        if isinstance(text, Text) and text.get_text().endswith("accuracy")
    ]
    assert len(headings) == len({each.target for each in readings})
    for left, right in itertools.pairwise(headings):
        assert left.x1 + 5 < right.x0
    assert headings[-1].x1 < figure.bbox.x1
    assert all(heading.y1 < figure.bbox.y1 - 20 for heading in headings)


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path):
    paths = write(run_of(1, levels=2), name="x", caption="", folder=tmp_path)
    before = [path.read_bytes() for path in paths]
    with no_room(2_000), pytest.raises(OSError, match="File too large") as raised:
        write(run_of(2, levels=3), name="x", caption="", folder=tmp_path)
    assert raised.value.filename == str(tmp_path / "x.csv")
    assert [path.read_bytes() for path in paths] == before
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_the_same_readings_give_the_same_files(tmp_path: Path):
    files = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        paths = write(run_of(2, levels=2), name="x", caption="", folder=tmp_path / name)
        files.append([path.read_bytes() for path in paths])
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("difference", "text"), [(0.1234, "+0.123"), (-0.00001, "+0.000"), (-0.02, "-0.020")]
)
def test_differences_have_their_sign(difference: float, text: str):
    assert signed(difference) == text
