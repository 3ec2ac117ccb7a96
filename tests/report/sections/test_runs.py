"""States and failures of runs, from their directories and the decision log."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from seqtune.config.yaml_file import FileError
from seqtune.report import build, load
from seqtune.report.sections import runs
from tests.report.made import make_cell, make_run

CELL = {"model.layers": 1}


def log(root: Path, *events: dict[str, Any]) -> None:
    text = "".join(json.dumps(each) + "\n" for each in events)
    (root / "decisions.jsonl").write_text(text)


def proposed(run: str, *, cell: str = "layers=1") -> dict[str, Any]:
    about = {"cell": cell, "run": run, "phase": "search", "trial": 0}
    return {"event": "proposed", **about, "tuned": {}, "seed": 7, "reason": ""}


def wrong(root: Path) -> None:
    """A run finishes at the third try, one fails; a trial is rejected; two cells are unanswered."""
    make_cell(root, compared=CELL, values=(0.1, 0.2))
    make_run(root, "again", compared=CELL, excess=(0.3,), phase="search", seed=7, trial=0)
    make_run(root, "bad", compared=CELL, state="failed", phase="search", seed=8, trial=1)
    make_run(root, "other", compared={"model.layers": 2}, state="diverged", phase="search")
    about = {"cell": "layers=1", "run": "again", "phase": "search"}
    retried = {"event": "retried", **about, "state": "failed", "reason": "oom: no | room"}
    log(
        root,
        proposed("again"),
        {"event": "ended", **about, "state": "failed", "reason": "oom: no | room", "value": None},
        retried,
        {**retried, "state": "diverged", "reason": None},
        {"event": "ended", **about, "state": "finished", "reason": None, "value": 0.3},
        {
            "event": "refused",
            "cell": "layers=1",
            "trial": 2,
            "tuned": {"model.heads": 3, "optimizer": {"kind": "sgd", "lr": 0.5}},
            "reason": "heads: 2 must divide heads, but got 3",
        },
        {"event": "given up", "cell": "layers=2", "reason": "its first 3 runs ended alike (oom)"},
        {"event": "unconfirmed", "cell": "layers=3", "reason": "no search trial finished"},
    )


def test_everything_that_went_wrong_is_listed_with_its_reason(tmp_path: Path):
    wrong(tmp_path)
    text = build(tmp_path).read_text()
    part = text.split("## Runs")[1].split("## ")[0]
    for line in (
        "| layers=1 | search | 1 | 8 | failed | why it failed |  | runs/bad |",
        "| layers=2 | search | 0 | 0 | diverged | why it diverged |  | runs/other |",
        "| layers=1 | search | 0 | 7 | 2 | failed (oom: no \\| room); diverged | finished | "
        "runs/again |",
        "| layers=1 | 2 | heads 3, optimizer sgd (lr 0.5) | heads: 2 must divide heads, but got 3",
        "| layers=2 | given up | its first 3 runs ended alike (oom) |",
        "| layers=3 | not confirmed | no search trial finished |",
    ):
        assert line in part
    assert "No run failed" not in part


def test_its_data_is_beside_the_report(tmp_path: Path):
    wrong(tmp_path)
    tables = build(tmp_path).parent / "tables"
    refused = pd.read_csv(tables / "refused.csv")
    assert refused.to_dict("records") == [
        {
            "cell": "layers=1",
            "trial": 2,
            "reason": "heads: 2 must divide heads, but got 3",
            "model.heads": 3,
            "optimizer": '{"kind":"sgd","lr":0.5}',
        }
    ]
    assert [*pd.read_csv(tables / "failed.csv")["directory"]] == ["runs/bad", "runs/other"]
    assert [*pd.read_csv(tables / "retried.csv")["times"]] == [2]
    assert [*pd.read_csv(tables / "without_answer.csv")["cell"]] == ["layers=2", "layers=3"]


def test_without_a_log_the_directories_are_reported(tmp_path: Path):
    wrong(tmp_path)
    (tmp_path / "decisions.jsonl").unlink()
    section = runs.section(load(tmp_path))
    assert [table.name for table in section.tables] == ["", "states", "failed"]


def test_where_nothing_went_wrong_the_report_says_so(tmp_path: Path):
    make_cell(tmp_path, compared=CELL, values=(0.1,))
    log(tmp_path, proposed("a"))
    section = runs.section(load(tmp_path))
    assert section.paragraphs == ("No run failed or diverged.",)
    assert [table.name for table in section.tables] == ["", "states"]


def test_a_log_that_cannot_be_read_raises_an_error_with_its_line(tmp_path: Path):
    make_cell(tmp_path, compared=CELL, values=(0.1,))
    (tmp_path / "decisions.jsonl").write_text("nonsense\n")
    with pytest.raises(FileError, match=r"decisions\.jsonl: line 1: Expecting value"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ({"set": ["base.training.epochs=8", 'base.optimizer.kind="sgd"']}, "--set | base.training"),
        ({"set": []}, "--set | nothing"),
        ({}, None),
        (None, None),
    ],
)
def test_settings_of_the_command_line_are_reported(
    tmp_path: Path, plan: dict[str, Any] | None, expected: str | None
):
    make_cell(tmp_path, compared=CELL, values=(0.1,))
    if plan is not None:
        (tmp_path / "plan.json").write_text(json.dumps(plan))
    text = build(tmp_path).read_text()
    if expected is None:
        assert "| --set" not in text
    else:
        assert expected in text
    if plan is not None and plan.get("set"):
        assert 'base.training.epochs=8; base.optimizer.kind="sgd" |' in text
