"""What a person sees while a sweep runs."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from seqtune.sweep.display.progress import LiveTable
from seqtune.sweep.display.table import progress_table, spread
from seqtune.sweep.search.eta import TimeLeft
from seqtune.sweep.search.studies import Studies
from tests.sweep.search.test_studies import started, work
from tests.sweep.sweeps import SMALL, plan_of

WIDE = SMALL.replace(
    "  model.layers: [1, 2]", "  model.layers: [1, 2, 3]\n  model.width: [8, 16, 24, 32]"
)
TRIVIAL = SMALL.replace("epochs: 4, batches_per_epoch: 5", "epochs: 1, batches_per_epoch: 1")


def lines(studies: Studies, *, width: int, height: int = 40) -> list[str]:
    """The table as it is shown, every cell with 90 s to go."""
    text = io.StringIO()
    console = Console(file=text, width=width, height=height, force_terminal=True, color_system=None)
    left = dict.fromkeys(studies.progress, TimeLeft(95.0))
    console.print(progress_table(studies, left=left, console=console, height=height))
    return [line.rstrip() for line in text.getvalue().splitlines()]


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Studies:
    """Those of twelve cells: one at work in its search, one with a failure, one done, the others wait."""
    found = Studies(plan_of(WIDE), root=tmp_path_factory.mktemp("wide"))
    cells = list(found.progress.values())
    cells[6].running, cells[6].search, cells[6].best = 2, {"finished": 1, "stopped": 1}, 0.123456
    cells[8].search = {"failed": 1}
    cells[10].search, cells[10].confirm = {"finished": 3, "stopped": 1}, {"finished": 2}
    cells[10].best, cells[10].confirmed = 0.05, [0.06, 0.08]
    return found


@pytest.mark.parametrize("width", [140, 100, 80, 60, 44])
def test_every_width_has_room_for_the_figures(studies: Studies, width: int):
    shown = lines(studies, width=width)
    assert max(map(len, shown)) <= width
    text = "\n".join(shown)
    assert "…" not in text
    for word in ("cell", "lowest", "valid/excess", "0.1235", "left"):
        assert word in text
    assert text.count("1.6 min") == 12
    assert ("± 0.014" in text) == (width >= 60)
    assert ("stopped" in text) == (width >= 100)
    assert ("failed" in text) == (width >= 60)


def test_a_wide_table_has_a_line_for_every_cell(studies: Studies):
    heads, *rows = lines(studies, width=140)[1:]
    assert len(rows) == 12
    assert heads.split()[:2] == ["cell", "running"]
    by_cell = {row.split("  ")[0]: row.split("  ", 1)[1].split() for row in rows}
    assert by_cell["layers=2, width=24"] == ["2", "2/4", "1", "0/2", "0.1235", "1.6", "min"]
    assert by_cell["layers=3, width=8"] == ["1/4", "1", "0/2", "1.6", "min"]
    done = ["4/4", "1", "2/2", "0.05", "0.07", "±", "0.014", "1.6", "min"]
    assert by_cell["layers=3, width=24"] == done


@pytest.mark.parametrize("height", [4, 8, 12, 14])
def test_a_low_terminal_shows_what_is_at_work_or_went_wrong_and_counts_the_rest(
    studies: Studies, height: int
):
    shown = lines(studies, width=140, height=height)
    names = re.findall(r"layers=\d, width=\d+", "\n".join(shown))
    assert names == sorted(names, key=list(studies.progress).index)
    assert {"layers=2, width=24", "layers=3, width=8"} <= set(names)
    if height >= 14:
        assert len(names) == 12
        return
    assert len(names) == max(3, height - 3)
    done = "" if "layers=3, width=24" in names else "1 done, "
    assert shown[-1].startswith(f"... and {12 - len(names)} more cells: {done}")
    assert shown[-1].endswith("waiting")
    assert len(shown) == max(6, height)


def test_what_is_done_gives_way_to_what_waits(studies: Studies):
    assert "1 done, 8 waiting" in lines(studies, width=140, height=6)[-1]
    assert "1 done" in lines(studies, width=140, height=13)[-1]


def test_folded_names_take_their_lines_from_the_cells_that_are_shown(studies: Studies):
    shown = lines(studies, width=60, height=14)
    assert len(shown) <= 14
    assert "more cells" in shown[-1]


def test_the_spread_of_one_run_is_no_figure():
    assert [spread([]), spread([0.25]), spread([0.5, 1.0])] == ["", "0.25", "0.75 ± 0.35"]


def test_failures_stay_above_the_table_and_others_pass_beneath_it(tmp_path: Path):
    studies = started(plan_of(TRIVIAL), tmp_path)
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=120, height=40, color_system=None)
    with LiveTable(studies, console=console) as table:
        done = work(studies, runs=9)
        table.ended(done[0], "failed")
        for each in done[1:]:
            table.ended(each, "finished")
        table.interrupted()
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
        table.ended(first, "finished")
        last = work(studies)[-1]
        table.ended(last, "failed")
        table.tick()
        table.interrupted()
    lines = text.getvalue().splitlines()
    assert re.fullmatch(
        r"1/12 layers=1 search 0: finished, valid/excess \S+, at least \S+ s left", lines[0]
    )
    assert lines[1].endswith(f"{studies.directory(last).path}, all done")
    assert len(lines) == 3
