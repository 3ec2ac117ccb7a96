"""The log of a sweep, and that studies and run directories alone restore it, whatever was killed or lost."""

import json
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtune.runs.decision_log import DECISIONS, DecisionLog, read_decisions
from seqtune.runs.directory import RunDirectory, run_directories
from seqtune.sweep.search.decisions import Decisions
from seqtune.sweep.search.proposal import Proposal
from seqtune.sweep.search.studies import Studies
from seqtune.training.measurement import Measurement
from tests.sweep.search.test_studies import INSIDE_UNTRIED, TRANSFORMER, started
from tests.sweep.sweeps import SMALL, plan_of

EPOCHS = 4


def log_of(root: Path) -> DecisionLog:
    found = read_decisions(root / DECISIONS)
    assert found is not None
    return found


def events(root: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (root / DECISIONS).read_text().splitlines()]


def check(studies: Studies) -> None:
    """That progress is what the run directories say, and the log what the studies know."""
    infos = [each.info() for each in run_directories(studies.root / "runs")]
    for name, progress in studies.progress.items():
        ended = Counter(
            info["state"]
            for info in infos
            if (info["sweep"]["cell"], info["sweep"]["phase"]) == (name, "search")
            and info["state"] != "running"
        )
        assert Counter(progress.search) == ended
        paused = progress.paused
        assert 0 <= paused <= sum(info["state"] == "running" for info in infos)
    log = log_of(studies.root)
    assert log.given_up == {
        name: each.given_up for name, each in studies.progress.items() if each.given_up
    }
    assert {**log.unconfirmed, **log.given_up} == studies.unconfirmed


@dataclass
class Driver:
    """A driver and its workers, played by hand: runs are directories whose curves are made up."""

    root: Path
    pruner: str
    trials: int = 3
    seeds: int = 1
    sampler: str = "random"
    open: list[Proposal] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start()

    def start(self, *, retry: frozenset[str] = frozenset()) -> None:
        text = SMALL.replace("[1, 2]", "[1]").replace("seeds: 2", f"seeds: {self.seeds}")
        text = text.replace(
            "trials: 4, pruner: {kind: asha,", f"trials: {self.trials}, {self.pruner}"
        )
        text = text.replace(
            "reduction_factor: 2}", f"reduction_factor: 2}}, sampler: {self.sampler}"
        )
        (self.root / "runs").mkdir(exist_ok=True)
        self.open.clear()
        self.studies = Studies(plan_of(text), root=self.root, retry=retry)

    def begin(self) -> None:
        proposal = self.studies.next()
        if proposal is not None:
            self.open.append(proposal)

    def one(self, which: int) -> Proposal | None:
        """One of the open runs; a new one if there is none."""
        if not self.open:
            self.begin()
        return self.open[which % len(self.open)] if self.open else None

    def directory(self, proposal: Proposal) -> RunDirectory:
        directory = self.studies.directory(proposal)
        if not directory.exists():
            spec, place = proposal.spec, self.studies.position(proposal)
            directory.create({"hash": spec.hash(), "spec": spec.to_data(), "sweep": place})
        if not directory.checkpoint.exists():
            directory.rewind(None)
            directory.checkpoint.touch()
        return directory

    def measured(self, proposal: Proposal) -> Measurement:
        """One epoch more, as a worker does it."""
        directory = self.directory(proposal)
        epoch = len(directory.measurements()) + 1
        value = 1 / epoch + (proposal.number * 7 % 5) / 10
        found = Measurement(epoch, epoch, epoch, float(epoch), {"valid/excess": value})
        directory.append(found)
        if epoch == EPOCHS:
            directory.end("finished")
        return found

    def measure(self, which: int) -> None:
        proposal = self.one(which)
        if proposal is None:
            return
        found = self.measured(proposal)
        verdict = self.studies.on_measurement(proposal.name, found)
        if verdict == "stop":
            self.studies.directory(proposal).end("stopped", reason="pruned")
        if verdict == "pause":
            self.studies.pause(proposal.name)
            self.open.remove(proposal)
        elif verdict == "stop" or found.epoch == EPOCHS:
            self.tell(proposal)

    def fail(self, which: int, *, state: str) -> None:
        proposal = self.one(which)
        if proposal is None:
            return
        if state == "failed":
            self.directory(proposal).end("failed", reason="lost: its worker died")
        else:
            self.directory(proposal).end("diverged", reason="loss is nan")
        self.tell(proposal)

    def tell(self, proposal: Proposal) -> None:
        self.studies.close(proposal.name)
        self.open.remove(proposal)

    def die(self, which: int) -> None:
        """A kill, after which a worker still measures what nobody hears."""
        if self.open and which % 2:
            self.measured(self.open[which % len(self.open)])
        self.start()

    def lose(self, which: int) -> None:
        """A kill with the end of the log lost, or all of it: only people read it."""
        log = self.root / DECISIONS
        text = log.read_bytes()
        log.write_bytes(text[: len(text) * which // 10])
        self.start()

    def finish(self) -> None:
        """All that is left to do, with two workers."""
        while not self.studies.done:
            while len(self.open) < 2 and (proposal := self.studies.next()) is not None:
                self.open.append(proposal)
            self.measure(0)

    def retry(self) -> None:
        self.start(retry=frozenset({"lost", "diverged"}))

    def more(self, *, trials: int = 0, seeds: int = 0) -> None:
        self.trials, self.seeds = self.trials + trials, self.seeds + seeds
        self.start()


ACTS: tuple[Callable[[Driver, int], object], ...] = (
    lambda driver, which: driver.begin(),
    lambda driver, which: driver.measure(which),
    lambda driver, which: [driver.measure(which) for _ in range(EPOCHS)],
    lambda driver, which: driver.fail(which, state="failed"),
    lambda driver, which: driver.fail(which, state="diverged"),
    lambda driver, which: driver.die(which),
    lambda driver, which: driver.retry(),
    lambda driver, which: driver.more(trials=1),
    lambda driver, which: driver.more(seeds=1),
    lambda driver, which: driver.lose(which),
    lambda driver, which: [driver.fail(which, state="failed") for _ in range(3)],
)
WEIGHED = (0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6, 7, 8, 9, 10)
STEPS = st.lists(st.tuples(st.sampled_from(WEIGHED), st.integers(0, 9)), min_size=5, max_size=40)
PRUNERS = ("pruner: {kind: asha,", "pruner: {kind: asha, type: promotion,")
AUDITED = tuple(f"audit: 0.6, {pruner}" for pruner in PRUNERS)


@pytest.mark.filterwarnings("ignore:The reported value is ignored")
@settings(max_examples=40, deadline=None)
@given(pruner=st.sampled_from((*PRUNERS, *AUDITED)), steps=STEPS)
def test_studies_and_run_directories_restore_a_sweep_after_any_sessions(
    pruner: str, steps: list[tuple[int, int]]
):
    with tempfile.TemporaryDirectory() as root:
        driver = Driver(Path(root), pruner)
        for act, which in steps:
            ACTS[act](driver, which)
            check(driver.studies)
        driver.finish()
        check(driver.studies)
        before = driver.studies
        driver.start()
        assert driver.studies.done
        check(driver.studies)
        for name, progress in driver.studies.progress.items():
            other = before.progress[name]
            assert progress.search == other.search
            assert progress.confirm == other.confirm
            assert progress.best == other.best
            assert progress.given_up == other.given_up


def told(root: Path, event: str) -> list[object]:
    return [each.get("reason") for each in events(root) if each["event"] == event]


def test_every_decision_says_why(tmp_path: Path):
    driver = Driver(tmp_path, PRUNERS[0], seeds=2)
    driver.finish()
    drawn = ["drawn by random"] * 3
    confirmed = ["confirms the values of trial 0"] * 2
    assert told(tmp_path, "proposed") == [*drawn, *confirmed]
    # Values after an epoch rise by 0.2 from trial to trial, so each is worse than those before it.
    assert told(tmp_path, "stopped") == [
        "rank 2 of 2 at rung 0 (epoch 1)",
        "rank 3 of 3 at rung 0 (epoch 1)",
    ]
    assert told(tmp_path, "confirmed") == ["best of 1 that finished"]
    [chosen] = [each for each in events(tmp_path) if each["event"] == "confirmed"]
    assert (chosen["trial"], chosen["value"], chosen["seeds"]) == (0, 1 / EPOCHS, 2)


def test_an_audit_says_where_the_run_was_stopped(tmp_path: Path):
    driver = Driver(tmp_path, AUDITED[0].replace("0.6", "0.99"))
    driver.finish()
    assert told(tmp_path, "stopped") == []
    reasons = ["rank 2 of 2 at rung 0 (epoch 1)", "rank 3 of 3 at rung 0 (epoch 1)"]
    assert told(tmp_path, "audited") == reasons
    stops = [each for each in events(tmp_path) if each["event"] == "audited"]
    assert [each["epoch"] for each in stops] == [1, 1]
    ends = [each for each in events(tmp_path) if each["event"] == "ended"]
    values = [each["value"] for each in ends if each["state"] == "stopped"]
    assert values == [1 / EPOCHS + 0.2, 1 / EPOCHS + 0.4]


def test_promotions_say_why(tmp_path: Path):
    driver = Driver(tmp_path, PRUNERS[1])
    driver.finish()
    assert told(tmp_path, "paused")[:2] == [
        "rank 1 of 1 at rung 0 (epoch 1)",
        "rank 2 of 2 at rung 0 (epoch 1)",
    ]
    assert told(tmp_path, "promoted")[0] == "rank 1 of 2 at rung 0 (epoch 1)"
    assert [each["why"] for each in events(tmp_path) if "why" in each] == [
        "no other run can be promoted"
    ]


def test_a_retry_of_its_runs_revives_a_cell_that_was_given_up(tmp_path: Path):
    driver = Driver(tmp_path, PRUNERS[0])
    for _ in range(3):
        driver.begin()
        driver.fail(0, state="diverged")
    reason = "its first 3 runs all failed in the same way (diverged)"
    assert log_of(tmp_path).given_up == {"layers=1": reason}
    for _ in range(2):
        driver.start()
        assert driver.studies.done
    assert log_of(tmp_path).given_up == {"layers=1": reason}
    driver.retry()
    assert log_of(tmp_path).given_up == {}
    for _ in range(3):
        driver.begin()
        driver.fail(0, state="diverged")
    assert len(told(tmp_path, "resumed")) == 3
    assert [*log_of(tmp_path).retried.values()] == [[("diverged", "loss is nan")]] * 3
    check(driver.studies)


def test_a_cell_stays_given_up_though_a_later_run_of_it_finished(tmp_path: Path):
    driver = Driver(tmp_path, PRUNERS[0], trials=5)
    for _ in range(4):
        driver.begin()
    for _ in range(3):
        driver.fail(0, state="failed")
    driver.die(0)  # the fourth had begun nowhere, and is not begun any more
    assert driver.studies.done
    assert len(run_directories(tmp_path / "runs")) == 3
    check(driver.studies)


def test_a_run_that_was_under_way_when_its_cell_was_given_up_is_finished_by_the_next_sitting(
    tmp_path: Path,
):
    driver = Driver(tmp_path, PRUNERS[0], trials=5)
    for _ in range(4):
        driver.begin()
    driver.measure(3)
    for _ in range(3):
        driver.fail(0, state="failed")
    driver.start()
    assert not driver.studies.done
    driver.finish()
    assert driver.studies.progress["layers=1"].search == {"failed": 3, "finished": 1}
    assert driver.studies.runs == 4
    driver.start()
    assert driver.studies.done
    assert (
        driver.studies.progress["layers=1"].given_up
        == "its first 3 runs all failed in the same way (lost)"
    )
    check(driver.studies)


def test_refusals_are_written_once_with_their_values(tmp_path: Path):
    text = SMALL.replace("kind: lstm, layers: 1, width: 8, embedding: 8", TRANSFORMER)
    text = text.replace("  model.layers: [1, 2]", "  model.layers: [1]")
    text = text.replace("optimizer.lr: {log: [3.0e-3, 1.0e-1]}", INSIDE_UNTRIED)
    plan = plan_of(text.replace("trials: 4", "trials: 6, sampler: random"))
    studies = started(plan, tmp_path)
    while studies.next() is not None:
        pass
    refused = log_of(tmp_path).refused
    assert refused
    before = told(tmp_path, "refused")
    started(plan, tmp_path)
    assert told(tmp_path, "refused") == before == [each.reason for each in refused.values()]
    for each in refused.values():
        assert each.tuned["model.heads"] % each.tuned["model.kv_heads"] != 0


def test_numbers_that_json_has_not_are_left_out(tmp_path: Path):
    decisions = Decisions(tmp_path / DECISIONS)
    decisions.write("ended", cell="c", run="a", value=float("nan"))
    assert [each["value"] for each in events(tmp_path)] == [None]


def test_a_line_that_a_killed_driver_left_unfinished_is_dropped(tmp_path: Path):
    log = tmp_path / DECISIONS
    Decisions(log).write("planned", cell="c", trials=1, seeds=1)
    with log.open("ab") as file:
        file.write(b'{"event": "ended", "ce')
    Decisions(log).write("given up", cell="c", reason="all failed")
    assert [each["event"] for each in events(tmp_path)] == ["planned", "given up"]
