"""A log, event by event, against what it must come to."""

import json
from pathlib import Path
from typing import Any

import pytest

from seqtune.runs.decision_log import ChosenTrial, LoggedCell, RunEnd
from seqtune.runs.replay import ReplayError, read_replay, replay

A = {"cell": "c", "run": "a", "phase": "search"}
PROPOSED = {"event": "proposed", **A, "trial": 0, "tuned": {"lr": 0.1}, "seed": 0, "reason": ""}
ENDED = {"event": "ended", **A, "state": "failed", "reason": "oom", "value": None}
RETRIED = {"event": "retried", **A, "state": "failed", "reason": "oom"}
GIVEN_UP = {"event": "given up", "cell": "c", "reason": "alike"}
CONFIRMED = {
    "event": "confirmed",
    "cell": "c",
    "trial": 0,
    "tuned": {"lr": 0.1},
    "value": 0.5,
    "seeds": 2,
    "reason": "best of 1 that finished",
}


def lines(*events: dict[str, Any]) -> list[str]:
    return [json.dumps(each) for each in events]


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], "running"),
        ([{"event": "rests", **A, "epoch": 1}], "resting"),
        ([{"event": "rests", **A, "epoch": 1}, {"event": "promoted", **A, "epoch": 1}], "running"),
        ([{"event": "stopped", **A, "epoch": 1, "reason": "rank"}], "running"),
        ([ENDED], "failed"),
        ([ENDED, RETRIED], "running"),
        ([{"event": "dropped", **A, "reason": "given up"}], "dropped"),
        ([{"event": "dropped", **A, "reason": "given up"}, PROPOSED], "running"),
        ([{"event": "resumed", **A, "epoch": 1}], "running"),
    ],
)
def test_a_run_is_in_the_state_that_its_last_event_left_it_in(
    events: list[dict[str, Any]], state: str
):
    assert replay(lines(PROPOSED, *events)).runs["a"].state == state


def test_a_run_that_is_done_again_keeps_its_earlier_ends():
    run = replay(lines(PROPOSED, ENDED, RETRIED, {**ENDED, "reason": "lost"})).runs["a"]
    assert (run.state, run.reason) == ("failed", "lost")
    assert run.retried == (RunEnd("failed", "oom"),)


def test_counts_hold_refused_trials_and_confirm_runs_of_what_is_confirmed_now():
    other = {"run": "old", "phase": "confirm", "trial": 0}
    now = {"run": "new", "phase": "confirm", "trial": 0}
    finished = {"event": "ended", "cell": "c", "state": "finished", "reason": None, "value": 0.1}
    refused = {"event": "refused", "cell": "c", "trial": 1, "tuned": {}, "reason": "no"}
    events = [
        PROPOSED,
        ENDED,
        refused,
        refused,
        CONFIRMED,
        {**PROPOSED, **other, "tuned": {"lr": 0.2}},
        {**finished, **other},
        {**PROPOSED, **now},
        {**finished, **now},
    ]
    found = replay(lines(*events))
    assert found.counts("c", phase="search") == {"failed": 2}
    assert found.counts("c", phase="confirm") == {"finished": 1}
    assert found.counts("unknown", phase="search") == {}


def test_a_cell_is_given_up_until_some_of_it_is_done_again():
    events = [PROPOSED, ENDED, GIVEN_UP]
    assert replay(lines(*events)).cells["c"] == LoggedCell(given_up="alike", unconfirmed="alike")
    assert replay(lines(*events, RETRIED)).cells["c"] == LoggedCell()


def test_more_trials_open_again_what_is_confirmed_and_more_seeds_do_not():
    plan = {"event": "planned", "cell": "c", "trials": 1, "seeds": 2}
    chosen = ChosenTrial(0, {"lr": 0.1}, 0.5, 2, "best of 1 that finished")
    begun = [plan, PROPOSED, CONFIRMED]
    assert replay(lines(*begun)).cells["c"].confirmed == chosen
    assert replay(lines(*begun, {**plan, "seeds": 3})).cells["c"].confirmed == chosen
    assert replay(lines(*begun, {**plan, "trials": 2})).cells["c"].confirmed is None


def test_an_event_is_news_if_it_changes_anything():
    found = replay([])
    told = [found.learn(each) for each in (PROPOSED, PROPOSED, ENDED, ENDED, RETRIED, ENDED)]
    assert told == [True, False, True, False, True, True]
    assert [found.learn(GIVEN_UP), found.learn(GIVEN_UP)] == [True, False]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: Expecting property name"),
        ("[]", "line 2: is no event"),
        ('{"event": "ended", "run": "b"}', "line 2: ended: the run b was never proposed"),
        ('{"event": "guessed", "run": "a"}', "line 2: guessed: there is no such event"),
        ('{"event": "given up", "cell": "c"}', "line 2: given up: has no reason"),
        ('{"cell": "c"}', "line 2: None: has no event"),
    ],
)
def test_a_line_that_cannot_be_is_told_with_its_number(line: str, message: str):
    with pytest.raises(ReplayError) as caught:
        replay([*lines(PROPOSED), line])
    assert str(caught.value).startswith(message)


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path):
    file = tmp_path / "decisions.jsonl"
    assert read_replay(file) is None
    file.write_text("\n".join(lines(PROPOSED, ENDED)))
    found = read_replay(file)
    assert found is not None
    assert found.runs["a"].state == "running"
    assert file.read_text() == "\n".join(lines(PROPOSED, ENDED))
