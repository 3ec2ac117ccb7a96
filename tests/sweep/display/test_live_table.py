"""The live table, its estimate of the time left, and plain lines where there is no terminal."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from seqtune.sweep.display.live_table import (
    LiveTable,
    duration,
    mean_and_std,
    progress_table,
    seconds_left,
)
from seqtune.sweep.search.cell_progress import CellProgress
from seqtune.sweep.search.studies import Studies
from tests.sweep.search.test_studies import started, work
from tests.sweep.sweeps import SMALL, plan_of

WIDE = SMALL.replace(
    "  model.layers: [1, 2]", "  model.layers: [1, 2, 3]\n  model.width: [8, 16, 24, 32]"
)
TRIVIAL = SMALL.replace("epochs: 4, batches_per_epoch: 5", "epochs: 1, batches_per_epoch: 1")


def lines(studies: Studies, *, width: int, height: int = 40) -> list[str]:
    text = io.StringIO()
    console = Console(file=text, width=width, height=height, force_terminal=True, color_system=None)
    console.print(progress_table(studies, width=width, height=height))
    return [line.rstrip() for line in text.getvalue().splitlines()]


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Studies:
    """Twelve cells: one is running, one has a failure, one is done, the others wait."""
    found = Studies(plan_of(WIDE), root=tmp_path_factory.mktemp("wide"))
    cells = list(found.progress.values())
    cells[6].running, cells[6].search, cells[6].best = 2, {"finished": 1, "stopped": 1}, 0.123456
    cells[8].search = {"failed": 1}
    cells[10].search, cells[10].confirm = {"finished": 3, "stopped": 1}, {"finished": 2}
    cells[10].best, cells[10].confirmed = 0.05, [0.06, 0.08]
    return found


@pytest.mark.parametrize("width", [140, 100, 90])
def test_every_cell_is_a_row_with_progress_best_value_and_states(studies: Studies, width: int):
    head, *rows = lines(studies, width=width)
    assert max(map(len, [head, *rows])) <= width
    for word in ("cell", "ended", "running", "failed", "lowest valid/excess"):
        assert word in head
    assert len(rows) == 12
    by_cell = {row.split("  ")[0]: row for row in rows}
    assert re.search(r" 2/6 +2 .*0\.1235", by_cell["layers=2, width=24"])
    assert "0.07 ± 0.014" in by_cell["layers=3, width=24"]


@pytest.mark.parametrize("height", [4, 8, 12])
def test_a_low_terminal_shows_active_and_failed_cells_and_counts_the_rest(
    studies: Studies, height: int
):
    shown = lines(studies, width=140, height=height)
    names = re.findall(r"layers=\d, width=\d+", "\n".join(shown))
    assert names == sorted(names, key=list(studies.progress).index)
    assert {"layers=2, width=24", "layers=3, width=8"} <= set(names)
    assert len(shown) <= max(5, height)
    assert f"... and {12 - len(names)} more cells" in shown[-1]


def test_the_time_left_is_epochs_left_times_their_median_seconds_over_runs_at_once():
    [one, other] = (CellProgress(cell) for cell in plan_of(SMALL).cells)
    epochs = {one.cell.name: 4, other.cell.name: 4}
    cells = {each.cell.name: each for each in (one, other)}
    assert seconds_left(cells, seeds=2, epochs=epochs) is None
    one.running, one.reached = 1, {"a": 1}
    one.epoch_seconds = {"a": 10.0, "b": 2.0, "c": 4.0}
    one.search, one.trial_epochs = {"finished": 1, "stopped": 1}, [4, 1]
    other.running, other.reached = 1, {"d": 0}
    # One: 3 epochs of the running trial, 1 trial of 2.5 epochs on average, 2 confirm runs of 4.
    # Other: 4 epochs of its running trial, 3 trials and 2 confirm runs of 4; at the median of all runs.
    assert seconds_left(cells, seeds=2, epochs=epochs) == (13.5 * 4 + 24 * 4) / 2
    other.given_up = "it failed"
    assert seconds_left(cells, seeds=2, epochs=epochs) == (13.5 * 4 + 4 * 4) / 2


def test_durations_have_two_digits_or_more():
    given = (0.0042, 4.2, 48, 89, 95, 720, 12600, 26e6)
    expected = ["0.0042 s", "4.2 s", "48 s", "89 s", "1.6 min", "12 min", "3.5 h", "301 d"]
    assert [duration(each) for each in given] == expected


def test_a_single_value_has_no_deviation():
    found = [mean_and_std([]), mean_and_std([0.25]), mean_and_std([0.5, 1.0])]
    assert found == ["", "0.25", "0.75 ± 0.35"]


def test_failures_stay_above_the_table_and_other_runs_pass_below_it(tmp_path: Path):
    studies = started(plan_of(TRIVIAL), tmp_path)
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=120, height=40, color_system=None)
    with LiveTable(studies, console=console) as table:
        done = work(studies, runs=9)
        table.on_end(done[0], "failed")
        for each in done[1:]:
            table.on_end(each, "finished")
        table.on_interrupt()
    _, *frames = re.split(r"(?=small: \d+ of 12 runs)", text.getvalue())
    failed = f"{done[0].cell.name} search 0: failed (None), see {studies.directory(done[0]).path}"
    assert text.getvalue().count(failed) == 1
    assert failed in frames[0]
    newest = [f"9/12 {each.cell.name} {each.phase} {each.number}: finished, " for each in done]
    assert [line in frames[-1] for line in newest] == [False] * 4 + [True] * 5
    assert "small: 9 of 12 runs, about" in frames[-1]
    assert "interrupted: finishing what is being written" in frames[-1]


def test_without_a_terminal_every_end_is_a_line_with_the_time_left(tmp_path: Path):
    studies = started(plan_of(TRIVIAL), tmp_path)
    text = io.StringIO()
    with LiveTable(studies, console=Console(file=text, width=60)) as table:
        [first] = work(studies, runs=1)
        table.on_end(first, "finished")
        last = work(studies)[-1]
        table.on_end(last, "failed")
        table.on_tick()
        table.on_interrupt()
    lines = text.getvalue().splitlines()
    assert re.fullmatch(
        r"1/12 layers=1 search 0: finished, valid/excess \S+, about .* left", lines[0]
    )
    assert lines[1].endswith(f"{studies.directory(last).path}, all done")
    assert len(lines) == 3
