"""The studies with real Optuna and real runs, driven one after another without Ray."""

import io
import json
import math
from dataclasses import replace
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from rich.console import Console

from seqtune.cli.app import parse_changes
from seqtune.config.yaml_file import parse_yaml
from seqtune.report import load
from seqtune.runs.directory import run_directories
from seqtune.runs.record import record
from seqtune.sweep.display.live_table import LiveTable
from seqtune.sweep.execution.driver import read_plan
from seqtune.sweep.planning.plan import Plan
from seqtune.sweep.search.cell_search import CONFIRM_SEED
from seqtune.sweep.search.directory import claim
from seqtune.sweep.search.proposal import Proposal
from seqtune.sweep.search.studies import Studies
from tests.sweep.sweeps import SMALL, plan_of


def work(studies: Studies, *, runs: int | None = None, epochs: int | None = None) -> list[Proposal]:
    """Does what the studies propose; with `epochs`, breaks the last of `runs` runs off after so many."""
    done: list[Proposal] = []
    while (proposal := studies.next()) is not None:
        done.append(proposal)
        directory = studies.directory(proposal)
        recording = record(proposal.spec, directory=directory, sweep=studies.position(proposal))
        for measurement in recording:
            if len(done) == runs and measurement.epoch == epochs:
                return done
            verdict = studies.on_measurement(proposal.name, measurement)
            if verdict != "continue":
                recording.close()
            if verdict == "stop":
                directory.end("stopped", reason="pruned")
        if directory.info()["state"] == "running":
            studies.pause(proposal.name)
        else:
            studies.close(proposal.name)
        if len(done) == runs:
            return done
    return done


def started(plan: Plan, root: Path) -> Studies:
    (root / "runs").mkdir(parents=True, exist_ok=True)
    return Studies(plan, root=root)


def states(root: Path) -> dict[str, list[TrialState]]:
    storage = JournalStorage(JournalFileBackend(str(root / "studies.journal")))
    return {
        study.study_name: [trial.state for trial in study.trials]
        for study in (
            optuna.load_study(study_name=name, storage=storage)
            for name in optuna.get_all_study_names(storage)
        )
    }


def test_every_cell_is_searched_then_its_best_is_confirmed_on_fresh_seeds(tmp_path: Path):
    studies = started(plan_of(SMALL), tmp_path)
    done = work(studies)
    assert studies.done
    for cell in studies.plan.cells:
        search = [each for each in done if each.cell is cell and each.phase == "search"]
        confirm = [each for each in done if each.cell is cell and each.phase == "confirm"]
        assert [each.spec.seed for each in search] == [0, 1, 2, 3]
        assert [each.spec.seed for each in confirm] == [CONFIRM_SEED, CONFIRM_SEED + 1]
        finals = {
            each.spec.optimizer.lr: studies.directory(each)
            .measurements()[-1]
            .metrics["valid/excess"]
            for each in search
            if studies.directory(each).info()["state"] == "finished"
        }
        assert {each.spec.optimizer.lr for each in confirm} == {min(finals, key=finals.__getitem__)}


def test_confirm_runs_start_when_their_own_cell_is_done(tmp_path: Path):
    studies = started(plan_of(SMALL), tmp_path)
    order = [(each.cell.name, each.phase) for each in work(studies)]
    first_confirm = next(index for index, (_, phase) in enumerate(order) if phase == "confirm")
    assert order[first_confirm][0] == "layers=1"
    assert ("layers=2", "search") in order[first_confirm:]


def test_stopped_trials_are_told_as_pruned_with_their_curves(tmp_path: Path):
    text = SMALL.replace("trials: 4", "trials: 8").replace("[1, 2]", "[1]")
    studies = started(plan_of(text), tmp_path)
    done = work(studies)
    told = states(tmp_path)["small/layers=1"]
    assert len(told) == 8
    assert set(told) == {TrialState.COMPLETE, TrialState.PRUNED}
    for each, state in zip([d for d in done if d.phase == "search"], told, strict=True):
        directory = studies.directory(each)
        finished = state == TrialState.COMPLETE
        assert directory.info()["state"] == ("finished" if finished else "stopped")
        assert len(directory.measurements()) < 4 or finished


@pytest.mark.parametrize(
    ("runs", "epochs"),
    [
        pytest.param(1, None, marks=pytest.mark.slow),
        (3, 2),
        pytest.param(6, 1, marks=pytest.mark.slow),
        pytest.param(9, 3, marks=pytest.mark.slow),
    ],
)
def test_a_sweep_broken_off_goes_on_without_losing_or_repeating(
    tmp_path: Path, runs: int, epochs: int | None
):
    plan = plan_of(SMALL)
    work(started(plan, tmp_path), runs=runs, epochs=epochs)
    before = {
        run.name: run.info()
        for run in run_directories(tmp_path / "runs")
        if run.info()["state"] != "running"
    }
    second = work(started(plan, tmp_path))
    assert not {each.name for each in second} & set(before)
    runs_now = run_directories(tmp_path / "runs")
    assert len(runs_now) == plan.runs
    assert {run.name: run.info() for run in runs_now if run.name in before} == before
    for run in runs_now:
        assert [m.epoch for m in run.measurements()] == list(range(1, len(run.measurements()) + 1))
    assert all(
        len(found) == 4 and all(state.is_finished() for state in found)
        for found in states(tmp_path).values()
    )


def test_a_grid_broken_off_goes_on(tmp_path: Path):
    text = SMALL.replace("{log: [3.0e-3, 1.0e-1]}", "{choice: [0.01, 0.03, 0.1]}")
    plan = plan_of(text.replace("trials: 4, ", "sampler: grid, "))
    first = work(started(plan, tmp_path), runs=4, epochs=1)
    rest = work(started(plan, tmp_path))
    assert rest[0].name == first[-1].name
    assert len({each.name for each in (*first, *rest)}) == plan.runs == 2 * (3 + 2)


def test_what_was_measured_but_not_told_is_told_on_the_next_start(tmp_path: Path):
    plan = plan_of(SMALL)
    first = started(plan, tmp_path)
    proposal = first.next()
    assert proposal is not None
    list(record(proposal.spec, directory=first.directory(proposal), sweep=first.position(proposal)))
    work(started(plan, tmp_path))  # the first driver died before it heard of anything
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "studies.journal")))
    trial = optuna.load_study(study_name=f"small/{proposal.cell.name}", storage=storage).trials[0]
    measured = first.directory(proposal).measurements()
    assert trial.state == TrialState.COMPLETE
    assert trial.intermediate_values == {m.epoch: m.metrics["valid/excess"] for m in measured}
    assert trial.value == measured[-1].metrics["valid/excess"]


def test_a_journal_cut_short_and_a_lock_left_behind_are_mended(tmp_path: Path):
    plan = plan_of(SMALL)
    work(started(plan, tmp_path), runs=2)
    journal = tmp_path / "studies.journal"
    with journal.open("ab") as file:
        file.write(b'{"op_code": 5, "worker_id"')
    (tmp_path / "studies.journal.lock").symlink_to(journal)
    work(started(plan, tmp_path))
    assert len(run_directories(tmp_path / "runs")) == plan.runs


def test_a_trial_that_failed_is_told_as_failed_and_not_made_up(tmp_path: Path):
    text = SMALL.replace(
        "optimizer.lr: {log: [3.0e-3, 1.0e-1]}", "optimizer.lr: {choice: [0.01, 1.0e38]}"
    )
    text = text.replace("batch_size: 16", "batch_size: 16, clip_norm: null")
    text = text.replace("{trials: 4, ", "{sampler: grid, ").replace(
        "evaluation:", "optimizer: {kind: sgd}\n  evaluation:"
    )
    studies = started(plan_of(text), tmp_path)
    work(studies)
    assert set(states(tmp_path)["small/layers=1"]) == {TrialState.COMPLETE, TrialState.FAIL}
    assert studies.progress["layers=1"].search == {"finished": 1, "diverged": 1}


def test_a_cell_with_no_finished_trial_is_named_and_not_confirmed(tmp_path: Path):
    text = SMALL.replace("{log: [3.0e-3, 1.0e-1]}", "{log: [1.0e37, 1.0e38]}")
    text = text.replace("batch_size: 16", "batch_size: 16, clip_norm: null").replace(
        "evaluation:", "optimizer: {kind: sgd}\n  evaluation:"
    )
    studies = started(plan_of(text), tmp_path)
    done = work(studies)
    assert {each.phase for each in done} == {"search"}
    assert studies.done
    assert [*studies.unconfirmed] == ["layers=1", "layers=2"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [
        ("tpe", "asha"),
        ("random", "hyperband"),
        ("gp", "median"),
        ("qmc", "none"),
    ],
)
def test_every_sampler_and_pruner_completes_a_search(tmp_path: Path, sampler: str, pruner: str):
    text = SMALL.replace("[1, 2]", "[1]").replace(
        "{trials: 4, pruner: {kind: asha, grace_period: 1, reduction_factor: 2}}",
        f"{{trials: 5, sampler: {sampler}, pruner: {pruner}}}",
    )
    studies = started(plan_of(text), tmp_path)
    work(studies, runs=2)
    studies = started(studies.plan, tmp_path)  # a sampler started anew must not repeat itself
    work(studies)
    rates = [
        run.info()["sweep"]["tuned"]["optimizer.lr"]
        for run in run_directories(tmp_path / "runs")
        if run.info()["sweep"]["phase"] == "search"
    ]
    assert len(rates) == 5
    # A Gaussian process may well ask for a bound twice, but none asks for its first points again.
    assert not set(rates[:2]) & set(rates[2:])
    assert all(3e-3 <= rate <= 1e-1 for rate in rates)


@pytest.mark.slow
def test_conditions_and_blocks_are_searched_and_found_again(tmp_path: Path):
    tune = """tune:
  optimizer: {choice: [{kind: sgd, lr: 0.5}, {kind: adamw, lr: 0.01}]}
  optimizer.momentum: {uniform: [0.5, 0.9], when: {optimizer: {kind: sgd, lr: 0.5}}}
  model.width: {int_log: [4, 16]}"""
    text = SMALL.replace("tune:\n  optimizer.lr: {log: [3.0e-3, 1.0e-1]}", tune).replace(
        "trials: 4", "trials: 8"
    )
    plan = plan_of(text.replace("[1, 2]", "[1]"))
    work(started(plan, tmp_path), runs=4, epochs=2)
    done = work(started(plan, tmp_path))
    assert done[0].number == 3
    for run in run_directories(tmp_path / "runs"):
        spec, tuned = run.info()["spec"], run.info()["sweep"]["tuned"]
        assert ("optimizer.momentum" in tuned) == (spec["optimizer"]["kind"] == "sgd")
        assert 4 <= spec["model"]["width"] <= 16


@pytest.mark.slow
def test_a_sweep_given_more_trials_confirms_its_winner_whichever_it_is(tmp_path: Path):
    plan = plan_of(SMALL.replace("[1, 2]", "[1]"))
    work(started(plan, tmp_path))
    larger = plan_of(SMALL.replace("[1, 2]", "[1]").replace("trials: 4", "trials: 9"))
    done = work(started(larger, tmp_path))
    assert [each.number for each in done if each.phase == "search"] == [4, 5, 6, 7, 8]
    cell = load(tmp_path).cells.iloc[0]
    assert (cell["n"], cell["search_trials"]) == (2, 9)
    ranked = load(tmp_path).runs.query("ranked")
    assert set(ranked["optimizer.lr"]) == {cell["best.optimizer.lr"]}


def test_every_decision_is_logged(tmp_path: Path):
    plan = plan_of(SMALL)
    work(started(plan, tmp_path))
    started(plan, tmp_path)  # nothing that happened to a run is written twice
    events = [json.loads(line) for line in (tmp_path / "decisions.jsonl").read_text().splitlines()]
    assert len([each for each in events if each["event"] == "ended"]) == plan.runs
    proposed = [each["run"] for each in events if each["event"] == "proposed"]
    ended = {each["run"]: each["state"] for each in events if each["event"] == "ended"}
    stopped = {each["run"] for each in events if each["event"] == "stopped"}
    assert len(proposed) == plan.runs
    assert set(proposed) == set(ended)
    assert stopped == {run for run, state in ended.items() if state == "stopped"}


def test_a_trial_whose_values_cannot_be_combined_fails_and_the_search_goes_on(tmp_path: Path):
    text = SMALL.replace("kind: lstm, layers: 1, width: 8, embedding: 8", TRANSFORMER)
    text = text.replace("  model.layers: [1, 2]", "  model.layers: [1]")
    text = text.replace("optimizer.lr: {log: [3.0e-3, 1.0e-1]}", INSIDE_UNTRIED)
    text = text.replace("trials: 4", "trials: 6, sampler: random")
    plan = plan_of(text)
    studies = started(plan, tmp_path)
    done = work(studies)
    assert studies.done
    told = states(tmp_path)["small/layers=1"]
    searched = [each for each in done if each.phase == "search"]
    assert len(told) == 6
    assert 0 < len(searched) < 6
    assert told.count(TrialState.FAIL) == 6 - len(searched)
    assert sum(studies.progress["layers=1"].search.values()) == 6
    refused = [json.loads(line) for line in (tmp_path / "decisions.jsonl").read_text().splitlines()]
    reasons = [each["reason"] for each in refused if each["event"] == "refused"]
    assert len(reasons) == 6 - len(searched)
    assert all("must divide heads" in each for each in reasons)
    again = started(plan, tmp_path)
    assert again.done
    assert again.progress["layers=1"].search == studies.progress["layers=1"].search


BLOWN_UP = SMALL.replace("batch_size: 16", "batch_size: 16, clip_norm: null").replace(
    "evaluation:", "optimizer: {kind: sgd}\n  evaluation:"
)


def test_a_cell_whose_first_three_runs_fail_alike_is_given_up_and_the_others_go_on(tmp_path: Path):
    text = BLOWN_UP.replace("[1, 2]", "[1]").replace(
        "compare:", "compare:\n  optimizer.momentum: [0.0, 0.5]\n  exclude: []"
    )
    text = text.replace(
        "optimizer.lr: {log: [3.0e-3, 1.0e-1]}", "optimizer.lr: {log: [1.0e37, 1.0e38]}"
    )
    text = text.replace("{kind: sgd}", "{kind: sgd, momentum: 0.0}").replace(
        "trials: 4", "trials: 9"
    )
    plan = plan_of(text)
    studies = started(plan, tmp_path)
    done = work(studies)
    assert studies.done
    assert len(done) == studies.runs == 2 * 3
    reason = "its first 3 runs all failed in the same way (diverged)"
    assert {each.given_up for each in studies.progress.values()} == {reason}
    assert set(studies.unconfirmed.values()) == {reason}
    again = started(plan, tmp_path)
    assert again.done
    assert again.unconfirmed == studies.unconfirmed
    retried = Studies(plan, root=tmp_path, retry={"diverged"})
    assert {each.name for each in work(retried)} == {each.name for each in done}


def test_runs_that_fail_in_different_ways_or_late_do_not_end_a_cell(tmp_path: Path):
    text = BLOWN_UP.replace("[1, 2]", "[1]").replace("trials: 4, ", "sampler: grid, ")
    lrs = "[1.0e38, 1.0e37, 0.01, 1.0e36, 1.0e35, 1.0e34]"
    text = text.replace("{log: [3.0e-3, 1.0e-1]}", f"{{choice: {lrs}}}")
    studies = started(plan_of(text), tmp_path)
    work(studies)
    assert studies.progress["layers=1"].search == {"diverged": 5, "finished": 1}
    assert studies.progress["layers=1"].given_up is None


def test_what_failed_is_done_again_when_asked_and_counts_once(tmp_path: Path):
    """A third of the trials fails; done again they are the same runs, and the search has as many trials."""
    plan = plan_of(
        SMALL.replace("[1, 2]", "[1]").replace(
            "kind: asha, grace_period: 1, reduction_factor: 2", "kind: none"
        )
    )
    undisturbed = started(plan, tmp_path / "whole")
    expected = {each.name for each in work(undisturbed)}
    root = tmp_path / "broken"
    studies = started(plan, root)
    for number in range(3):
        proposal = studies.next()
        assert proposal is not None
        directory = studies.directory(proposal)
        recording = record(proposal.spec, directory=directory, sweep=studies.position(proposal))
        for measurement in recording:
            studies.on_measurement(proposal.name, measurement)
            if number == 1:
                recording.close()
                directory.end("failed", reason="lost: its worker died")
                break
        studies.close(proposal.name)
    assert states(root)["small/layers=1"][1] == TrialState.FAIL
    studies = Studies(plan, root=root, retry={"lost"})
    done = [each.name for each in work(studies)]
    assert done[0].startswith("layers=1-search001-")
    told = states(root)["small/layers=1"]
    assert [each.name for each in TrialState if each in told] == ["COMPLETE", "FAIL"]
    assert told.count(TrialState.COMPLETE) == 4
    assert studies.progress["layers=1"].search == {"finished": 4}
    assert len(run_directories(root / "runs")) == plan.runs
    events = [json.loads(line) for line in (root / "decisions.jsonl").read_text().splitlines()]
    assert [each["run"] for each in events if each["event"] == "retried"] == [done[0]]
    search = {each for each in expected if "-search" in each}
    found = {each.name for each in run_directories(root / "runs") if "-search" in each.name}
    # What TPE proposes after a failure may differ; seeds and numbers do not.
    assert {each.rsplit("-", 1)[0] for each in found} == {each.rsplit("-", 1)[0] for each in search}
    assert not work(Studies(plan, root=root, retry={"lost"}))


TRANSFORMER = "kind: transformer, layers: 1, width: 8, heads: 12, head_width: 1, positions: none"
INSIDE_UNTRIED = """model.heads: {choice: [12, 13, 14, 16]}
  model.kv_heads: {int: [1, 4]}
  model.dropout: {choice: [0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08]}"""
"""More combinations than are tried; those that are tried can all be run."""


def test_a_run_without_the_metric_is_a_failed_trial(tmp_path: Path):
    plan = plan_of(SMALL.replace("[1, 2]", "[1]"))
    studies = started(plan, tmp_path)
    proposal = studies.next()
    assert proposal is not None
    directory = studies.directory(proposal)
    for measurement in record(proposal.spec, directory=directory, sweep=studies.position(proposal)):
        known = {k: v for k, v in measurement.metrics.items() if k != "valid/excess"}
        assert (
            studies.on_measurement(proposal.name, replace(measurement, metrics=known)) == "continue"
        )
    without_column(directory.path / "measurements.csv", name="valid/excess")
    assert studies.close(proposal.name) == "finished"
    assert states(tmp_path)["small/layers=1"] == [TrialState.FAIL]
    output = io.StringIO()
    with LiveTable(studies, console=Console(file=output)) as table:
        table.on_end(proposal, "finished")
    assert output.getvalue().startswith("1/6 layers=1 search 0: finished, about ")
    assert all(each.name != proposal.name for each in work(started(plan, tmp_path)))


def without_column(path: Path, *, name: str) -> None:
    table = pd.read_csv(path)
    table[name] = math.nan
    table.to_csv(path, index=False)


def test_a_search_in_which_no_run_began_may_be_changed(tmp_path: Path):
    before = plan_of(SMALL)
    claim(tmp_path, plan=before, source=parse_yaml(SMALL, name="s.yaml"))
    assert Studies(before, root=tmp_path).next() is not None
    text = SMALL.replace("{log: [3.0e-3, 1.0e-1]}", "{choice: [0.01, 0.02]}")
    claim(tmp_path, plan=plan_of(text), source=parse_yaml(text, name="s.yaml"))
    proposal = Studies(plan_of(text), root=tmp_path).next()
    assert proposal is not None
    assert proposal.tuned["optimizer.lr"] in (0.01, 0.02)


def test_what_was_set_on_the_command_line_is_kept_with_the_plan(tmp_path: Path):
    settings = ["base.training.epochs=8", "base.optimizer={kind: sgd, lr: 0.5}", "question=Why?"]
    source = parse_yaml(SMALL, name="s.yaml").override(parse_changes(settings))
    (tmp_path / "runs").mkdir()
    claim(tmp_path, plan=read_plan(source), source=source)
    kept = json.loads((tmp_path / "plan.json").read_text())["set"]
    assert kept == [
        "base.training.epochs=8",
        'base.optimizer={"kind": "sgd", "lr": 0.5}',
        'question="Why?"',
    ]
    # What is kept can be given again.
    assert parse_changes(kept) == parse_changes(settings)
    assert "epochs: 4" in (tmp_path / "sweep.yaml").read_text()
    claim(tmp_path, plan=plan_of(SMALL), source=parse_yaml(SMALL, name="s.yaml"))
    assert json.loads((tmp_path / "plan.json").read_text())["set"] == []
