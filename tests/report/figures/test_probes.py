import itertools
from pathlib import Path

import pandas as pd
import pytest

from seqtune.report.figures import theme
from seqtune.report.figures.probes import probes
from seqtune.report.render.files import write_probes
from seqtune.tasks.score import Score
from seqtune.training.probes import ProbeResult, ProbeTarget, Reader, greatest_error, signed
from tests.report.charts import rows
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
    return write_probes(readings, rows=rows, name=name, title="Run", caption=caption, folder=folder)


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
def test_every_layer_and_the_majority_class_have_a_tile_of_every_level(layers: int, levels: int):
    spec = probes(run_of(layers, levels=levels), title="Run", caption="What was done.")
    tiles = rows(spec, target="boundary")
    assert len(tiles) == (layers + 1) * levels
    assert {tile["row"] for tile in tiles if tile["gain"] == ""} == {"majority class"}
    assert len(spec["hconcat"]) == 3
    assert ">What was done.<" in theme.svg(spec)


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
