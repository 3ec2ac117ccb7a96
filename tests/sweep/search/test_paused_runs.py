"""Searches by promotion, with real Optuna and real runs."""

import io
import json
from pathlib import Path

import pytest
from optuna.trial import TrialState
from rich.console import Console

from seqtune.runs.directory import RunDirectory, run_directories
from seqtune.sweep.display.live_table import progress_table
from seqtune.sweep.search.studies import Studies
from tests.sweep.search.test_studies import started, states, work
from tests.sweep.sweeps import SMALL, plan_of

PROMOTION = (
    SMALL.replace("kind: asha, grace_period", "kind: asha, type: promotion, grace_period")
    .replace("[1, 2]", "[1]")
    .replace("trials: 4", "trials: 8")
)


def searched(root: Path) -> dict[int, RunDirectory]:
    found = (run for run in run_directories(root / "runs") if "-search" in run.name)
    return {run.info()["sweep"]["trial"]: run for run in found}


def events(root: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (root / "decisions.jsonl").read_text().splitlines()]


def check(root: Path) -> None:
    """That every rung let its best half pass, each run was measured once an epoch, and one won."""
    runs = searched(root)
    assert sorted(runs) == list(range(8))
    values = {
        number: {each.epoch: each.metrics["valid/excess"] for each in run.measurements()}
        for number, run in runs.items()
    }
    assert all(list(each) == list(range(1, len(each) + 1)) for each in values.values())
    for rung in (1, 2):
        reached = [number for number in runs if rung in values[number]]
        best = sorted(reached, key=lambda number: values[number][rung])[: len(reached) // 2]
        assert all(len(values[number]) > rung for number in best)
    for run in runs.values():
        ended = {4: ("finished", None)}.get(len(run.measurements()), ("stopped", "not promoted"))
        assert (run.info()["state"], run.info()["reason"]) == ended
        assert run.checkpoint.exists() is False
    told = states(root)["small/layers=1"]
    assert told.count(TrialState.COMPLETE) >= 1
    assert set(told) <= {TrialState.COMPLETE, TrialState.PRUNED}


def test_runs_rest_at_their_rungs_and_the_best_go_on(tmp_path: Path):
    studies = started(plan_of(PROMOTION), tmp_path)
    work(studies)
    assert studies.done
    check(tmp_path)
    kinds = [each["event"] for each in events(tmp_path)]
    assert kinds.count("paused") > 0
    assert kinds.count("promoted") > 0
    progress = studies.progress["layers=1"]
    assert (progress.running, progress.paused, progress.ended) == (0, 0, 10)


@pytest.mark.parametrize(
    ("runs", "epochs"),
    [
        pytest.param(2, None, marks=pytest.mark.slow),
        (5, 1),
        pytest.param(9, 2, marks=pytest.mark.slow),
    ],
)
def test_a_search_by_promotion_that_is_broken_off_goes_on(
    tmp_path: Path, runs: int, epochs: int | None
):
    plan = plan_of(PROMOTION)
    work(started(plan, tmp_path), runs=runs, epochs=epochs)
    kept = {run.name: run.measurements() for run in run_directories(tmp_path / "runs")}
    studies = started(plan, tmp_path)
    work(studies)
    assert studies.done
    check(tmp_path)
    for run in run_directories(tmp_path / "runs"):
        before = kept.get(run.name, [])
        assert run.measurements()[: len(before)] == before
    assert not work(Studies(plan, root=tmp_path))


def test_the_live_table_counts_paused_runs(tmp_path: Path):
    studies = started(plan_of(PROMOTION), tmp_path)
    work(studies, runs=1)
    text = io.StringIO()
    Console(file=text, width=140).print(progress_table(studies, width=140, height=40))
    assert "1 paused" in text.getvalue()
