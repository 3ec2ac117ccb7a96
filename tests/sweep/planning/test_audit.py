"""Audits: the search must not know of them, whatever is stopped, killed or taken up again."""

import json
import math
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from seqtune.config.yaml_file import FileError
from seqtune.runs.decision_log import DECISIONS
from seqtune.runs.directory import RunDirectory, run_directories
from seqtune.runs.record import record
from seqtune.sweep.planning.search_spec import SearchSpec
from seqtune.sweep.search.proposal import Proposal
from seqtune.sweep.search.studies import Studies
from seqtune.training.measurement import Measurement
from tests.sweep.search.test_studies import started, states, work
from tests.sweep.sweeps import SMALL, plan_of

EPOCHS, TRIALS = 4, 7
ONE_CELL = SMALL.replace("[1, 2]", "[1]")
PRUNERS = (
    "{kind: asha, grace_period: 1, reduction_factor: 2}",
    "{kind: asha, type: promotion, grace_period: 1, reduction_factor: 2}",
    "{kind: hyperband, grace_period: 1, reduction_factor: 2}",
    "{kind: median, grace_period: 1, startup_trials: 1}",
)


def audited(
    text: str,
    *,
    share: float,
    pruner: str = PRUNERS[0],
    sampler: str = "tpe",
    trials: int = TRIALS,
) -> str:
    """The sweep with another search."""
    search = f"{{trials: {trials}, sampler: {sampler}, audit: {share}, pruner: {pruner}}}"
    return text.replace(f"{{trials: 4, pruner: {PRUNERS[0]}}}", search)


def made_up(proposal: Proposal, *, epoch: int, salt: int) -> float:
    """A value that depends on what is tuned; which run is ahead changes from epoch to epoch."""
    rate = math.log10(proposal.spec.optimizer.lr)
    wave = math.sin(997 * rate + 5 * epoch + salt + proposal.spec.seed % 1000)
    return (rate + 2) ** 2 / epoch + wave**2


@dataclass
class Sweep:
    """A sweep with one worker, whose curves are made up and whose driver is killed at given moments.

    Attributes:
        kills: phase, number and epoch: the driver dies when that run has measured that epoch, unheard.
    """

    root: Path
    salt: int = 0
    kills: set[tuple[str, int, int]] = field(default_factory=set)

    def run(self, text: str) -> None:
        """All that is left to do."""
        plan = plan_of(text)
        self.studies = started(plan, self.root)
        while (proposal := self.studies.next()) is not None:
            if not self._do(proposal):
                self.studies = Studies(plan, root=self.root)
        assert self.studies.done

    def _do(self, proposal: Proposal) -> bool:
        """Does a run; false if the driver died of it."""
        directory = self.studies.directory(proposal)
        if not directory.exists():
            spec, place = proposal.spec, self.studies.position(proposal)
            directory.create({"hash": spec.hash(), "spec": spec.to_data(), "sweep": place})
            directory.checkpoint.touch()
        for epoch in range(len(directory.measurements()) + 1, EPOCHS + 1):
            value = made_up(proposal, epoch=epoch, salt=self.salt)
            found = Measurement(epoch, epoch, epoch, float(epoch), {"valid/excess": value})
            directory.append(found)
            if epoch == EPOCHS:
                directory.end("finished")
            if (moment := (proposal.phase, proposal.number, epoch)) in self.kills:
                self.kills.remove(moment)
                return False
            match self.studies.on_measurement(proposal.name, found):
                case "stop":
                    directory.end("stopped", reason="pruned")
                    break
                case "pause":
                    self.studies.pause(proposal.name)
                    return True
                case "continue":
                    pass
        self.studies.close(proposal.name)
        return True

    def runs(self) -> dict[str, dict[str, Any]]:
        """run.json by name."""
        return {each.name: each.info() for each in run_directories(self.root / "runs")}

    def decided(self) -> list[dict[str, Any]]:
        """What the log says was decided, but for when; an audit in it is a stop.

        A session repeats what was confirmed before it, so events that are equal count once.
        """
        lines = (self.root / DECISIONS).read_text().splitlines()
        told = [json.loads(line) for line in lines]
        words = ("proposed", "paused", "promoted", "stopped", "audited", "confirmed", "unconfirmed")
        decided = [
            {k: v for k, v in each.items() if k != "time"}
            | {"event": "stopped" if each["event"] == "audited" else each["event"]}
            for each in told
            if each["event"] in words
        ]
        return [each for number, each in enumerate(decided) if each not in decided[:number]]

    def trials(self) -> list[tuple[Any, ...]]:
        """What the study knows."""
        storage = JournalStorage(JournalFileBackend(str(self.root / "studies.journal")))
        [name] = optuna.get_all_study_names(storage)
        found = optuna.load_study(study_name=name, storage=storage).trials
        return [(t.number, t.state, t.params, t.intermediate_values, t.value) for t in found]


MOMENTS = st.tuples(st.just("search"), st.integers(0, TRIALS - 1), st.integers(1, EPOCHS))


@settings(max_examples=15, deadline=None)
@given(
    pruner=st.sampled_from(PRUNERS),
    sampler=st.sampled_from(["tpe", "random", "qmc"]),
    share=st.sampled_from([0.3, 0.6, 0.99]),
    salt=st.integers(0, 99),
    kills=st.sets(MOMENTS, max_size=5),
)
def test_a_search_knows_nothing_of_its_audits(
    pruner: str, sampler: str, share: float, salt: int, kills: set[tuple[str, int, int]]
):
    with tempfile.TemporaryDirectory() as place:
        without = Sweep(Path(place) / "without", salt, set(kills))
        found = Sweep(Path(place) / "with", salt, set(kills))
        search = {"pruner": pruner, "sampler": sampler}
        # What is added later finds the values of the trials that were there.
        for trials in (TRIALS - 3, TRIALS):
            without.run(audited(ONE_CELL, share=0, trials=trials, **search))
            found.run(audited(ONE_CELL, share=share, trials=trials, **search))
        assert found.trials() == without.trials()
        # Where trials are promoted, none of them is told to stop: those that rest at the end are ended.
        ends = ("stopped",) if "promotion" in pruner else ()
        assert [each for each in found.decided() if each["event"] not in ends] == [
            each for each in without.decided() if each["event"] not in ends
        ]
        before, after = without.runs(), found.runs()
        assert {name: info["state"] for name, info in after.items()} == {
            name: info["state"] for name, info in before.items()
        }
        check_audits(found, without=without, share=share)
        for name, progress in found.studies.progress.items():
            other = without.studies.progress[name]
            assert (progress.best, progress.search, progress.confirmed) == (
                other.best,
                other.search,
                other.confirmed,
            )


def check_audits(found: Sweep, *, without: Sweep, share: float) -> None:
    """That those which were drawn went on from where they were stopped, and no others did."""
    for name, info in found.runs().items():
        epochs = len(RunDirectory(found.root / "runs" / name).measurements())
        stopped_after = len(RunDirectory(without.root / "runs" / name).measurements())
        search = SearchSpec(trials=1, audit=share)
        drawn = search.audits(cell="layers=1", trial=info["sweep"]["trial"])
        if info["state"] == "stopped" and drawn:
            assert info["audit"] == {"epoch": stopped_after, "state": "finished"}
            assert info["reason"] == "audited: finished"
            assert epochs == EPOCHS
        else:
            assert "audit" not in info
            assert epochs == stopped_after


def test_an_audited_trial_is_not_confirmed_though_it_ends_best(tmp_path: Path):
    """With real runs, and a driver that dies in an audit."""
    plan = plan_of(audited(ONE_CELL, share=0.7))
    root = tmp_path / "killed"
    studies = started(plan, root)
    proposal = driven_to_an_audit(studies)
    directory = studies.directory(proposal)
    assert directory.info()["state"] == "running"
    again = started(plan, root)
    work(again)
    assert again.done
    assert directory.info()["state"] == "stopped"
    assert [each.epoch for each in directory.measurements()] == [1, 2, 3, 4]
    alone, without = tmp_path / "alone", tmp_path / "without"
    work(started(plan, alone))
    work(started(plan_of(audited(ONE_CELL, share=0)), without))
    names = {each.name for each in run_directories(without / "runs")}
    for sweep in (root, alone):
        assert {each.name for each in run_directories(sweep / "runs")} == names
        assert states(sweep) == states(without)
    for name in names:
        one, other = (RunDirectory(each / "runs" / name) for each in (root, alone))
        assert one.info()["state"] == other.info()["state"]
        assert scores(one) == scores(other)


def scores(run: RunDirectory) -> list[float]:
    return [each.metrics["valid/excess"] for each in run.measurements()]


def driven_to_an_audit(studies: Studies) -> Proposal:
    """Does runs until one was stopped and has measured an epoch more."""
    while True:
        proposal = studies.next()
        assert proposal is not None
        directory = studies.directory(proposal)
        recording = record(proposal.spec, directory=directory, sweep=studies.position(proposal))
        for measurement in recording:
            verdict = studies.on_measurement(proposal.name, measurement)
            trial = (studies.root / DECISIONS).read_text().rpartition('"event": "audited"')[2]
            if proposal.name in trial.partition("\n")[0] and verdict == "continue":
                next(recording)
                recording.close()
                return proposal
            if verdict == "stop":
                recording.close()
                directory.end("stopped", reason="pruned")
        studies.close(proposal.name)


@pytest.mark.parametrize("state", ["failed", "diverged"])
def test_an_audit_that_goes_wrong_spoils_nothing(tmp_path: Path, state: str):
    """It fails alike three times, and yet its cell goes on; done again, it is an audit as before."""
    plan = plan_of(audited(ONE_CELL, share=0.99, sampler="random"))
    studies = started(plan, tmp_path)
    wrong = 0
    while (proposal := studies.next()) is not None:
        directory = studies.directory(proposal)
        spec, place = proposal.spec, studies.position(proposal)
        directory.create({"hash": spec.hash(), "spec": spec.to_data(), "sweep": place})
        for epoch in range(1, EPOCHS + 1):
            value = float(proposal.number)
            found = Measurement(epoch, epoch, epoch, float(epoch), {"valid/excess": value})
            directory.append(found)
            studies.on_measurement(proposal.name, found)
            if proposal.phase == "search" and proposal.number > 0 and epoch == 2:
                directory.end("failed" if state == "failed" else "diverged", reason="oom: no")
                wrong += 1
                break
        else:
            directory.end("finished")
        studies.close(proposal.name)
    assert wrong == TRIALS - 1
    told = [TrialState.COMPLETE, *[TrialState.PRUNED] * wrong]
    assert states(tmp_path)["small/layers=1"] == told
    progress = studies.progress["layers=1"]
    assert progress.given_up is None
    ends = "failed" if state == "failed" else "stopped"
    assert progress.search == {"finished": 1, ends: wrong}
    infos = [info for info in Sweep(tmp_path).runs().values() if "audit" in info]
    assert [info["audit"] for info in infos] == [{"epoch": 1, "state": state}] * wrong
    again = Studies(plan, root=tmp_path, retry={"oom", "diverged"})
    assert again.done == (state == "diverged")
    while (proposal := again.next()) is not None:
        directory = again.directory(proposal)
        directory.end("finished")
        assert again.close(proposal.name) == "stopped"
    assert again.progress["layers=1"].search == {"finished": 1, "stopped": wrong}
    assert states(tmp_path)["small/layers=1"] == told
    assert again.progress["layers=1"].confirm == {"finished": 2}


def test_a_cell_of_which_a_trial_was_stopped_is_not_given_up_while_that_is_audited(tmp_path: Path):
    studies = started(plan_of(audited(ONE_CELL, share=0.99, sampler="random")), tmp_path)
    for value in (5.0, 9.0, 4.0, 3.0):
        proposal = studies.next()
        assert proposal is not None
        directory = studies.directory(proposal)
        spec, place = proposal.spec, studies.position(proposal)
        directory.create({"hash": spec.hash(), "spec": spec.to_data(), "sweep": place})
        found = Measurement(1, 1, 1, 1.0, {"valid/excess": value})
        directory.append(found)
        assert studies.on_measurement(proposal.name, found) == "continue"
        # The second is the worst so far: it goes on as an audit, and the others fail.
        if value != 9.0:
            directory.end("failed", reason="oom: no")
            studies.close(proposal.name)
    progress = studies.progress["layers=1"]
    assert progress.search == {"failed": 3}
    assert progress.given_up is None


def test_confirm_runs_do_not_wait_for_audits(tmp_path: Path):
    studies = started(plan_of(audited(ONE_CELL, share=0.99, sampler="random")), tmp_path)
    audits: list[Proposal] = []
    while (proposal := studies.next()) is not None and proposal.phase == "search":
        directory = studies.directory(proposal)
        spec, place = proposal.spec, studies.position(proposal)
        directory.create({"hash": spec.hash(), "spec": spec.to_data(), "sweep": place})
        for epoch in range(1, EPOCHS + 1):
            metrics = {"valid/excess": float(proposal.number)}
            found = Measurement(epoch, epoch, epoch, float(epoch), metrics)
            directory.append(found)
            studies.on_measurement(proposal.name, found)
            if proposal.number > 0:
                audits.append(proposal)
                break
        else:
            directory.end("finished")
            studies.close(proposal.name)
    assert len(audits) == TRIALS - 1
    assert proposal is not None
    assert (proposal.phase, proposal.number) == ("confirm", 0)


def test_who_is_audited_follows_from_seed_cell_and_number():
    def drawn(share: float, *, seed: int = 0, cell: str = "a") -> set[int]:
        search = SearchSpec(trials=1, audit=share, seed=seed)
        return {number for number in range(2000) if search.audits(cell=cell, trial=number)}

    assert drawn(0) == set()
    assert drawn(0.1) == drawn(0.1)
    assert drawn(0.1) < drawn(0.3)
    assert 160 < len(drawn(0.1)) < 240
    assert len({frozenset(drawn(0.1, seed=s, cell=c)) for s in (0, 1) for c in "ab"}) == 4


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (
            "{trials: 4, audit: 0.1, pruner: none}",
            "s.yaml:14: search.audit: must be 0 with pruner: none, which stops no trial, but got 0.1",
        ),
        ("{trials: 4, audit: 1.0}", "search.audit: must be below 1, but got 1.0"),
        ("{trials: 4, audit: -0.1}", "search.audit: must be at least 0, but got -0.1"),
    ],
)
def test_a_share_that_cannot_be_is_refused(search: str, message: str):
    text = SMALL.replace(f"{{trials: 4, pruner: {PRUNERS[0]}}}", search)
    with pytest.raises(FileError) as caught:
        plan_of(text)
    assert message in str(caught.value)
