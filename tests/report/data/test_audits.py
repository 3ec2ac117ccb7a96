"""What the report says of stopped trials that ran on, on runs whose answer is known."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from seqtune.report import build, load
from seqtune.report.sections import early_stopping
from seqtune.stats.proportions import proportion
from tests.report.made import make_cell, make_run

ONE, TWO = {"model.layers": 1}, {"model.layers": 2}


@pytest.mark.parametrize(("count", "of"), [(0, 10), (1, 12), (5, 5), (3, 7), (40, 200)])
def test_the_interval_of_a_share_is_scipys_exact_one(count: int, of: int):
    found = proportion(count, of=of)
    expected = binomtest(count, of).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_of_nothing_a_share_can_be_anything():
    assert (proportion(0, of=0).low, proportion(0, of=0).high) == (0, 1)


def test_the_interval_covers_the_share_as_often_as_it_says():
    draws = np.random.default_rng(0).binomial(20, 0.1, size=2000)
    found = [proportion(int(count), of=20) for count in draws]
    assert np.mean([each.low <= 0.1 <= each.high for each in found]) >= 0.95


def stopped(root: Path, name: str, *, excess: tuple[float, ...], **more: Any) -> None:
    """A search trial that was stopped, and is no audit unless its `audit` says how."""
    facts = {"audit": more.pop("audit")} if "audit" in more else {}
    more = {"state": "stopped", "compared": ONE, **more}
    tuned = {"optimizer.lr": 0.03}
    make_run(root, name, excess=excess, phase="search", info=facts, tuned=tuned, **more)


def audited(root: Path) -> None:
    """Two cells with best trials at 0.2; three of the first's four stopped ones were audited."""
    for compared in (ONE, TWO):
        make_cell(root, compared=compared, values=(0.3, 0.31))
    stopped(root, "s2", trial=2, excess=(0.9,))
    done = {"epoch": 1, "state": "finished"}
    stopped(root, "s3", trial=3, excess=(0.9, 0.15), audit=done)
    stopped(root, "s4", trial=4, excess=(0.9, 0.25), audit=done)
    stopped(root, "s5", trial=5, excess=(0.8,), audit={"epoch": 1, "state": "diverged"})
    failed = {"epoch": 1, "state": "failed"}
    stopped(root, "t2", compared=TWO, trial=2, excess=(0.7,), audit=failed, state="failed")


def test_stopping_was_wrong_where_an_audit_beats_the_best_that_finished(tmp_path: Path):
    audited(tmp_path)
    section = early_stopping.section(load(tmp_path))
    assert section is not None
    [text] = section.paragraphs
    assert (
        "Of 5 search trials that were stopped, 4 ran on to the last epoch as random audits" in text
    )
    assert (
        "Of 3 audited trials, 1 would have beaten the best finished trial of their cell: 33 %"
        in text
    )
    assert "(95 % Clopper-Pearson interval 1 % to 91 %)" in text
    assert "1 of them diverged" in text
    assert "1 audit had no conclusive result." in text
    cells, trials = section.tables
    rows = cells.data.set_index("cell").to_dict("index")
    one, two = rows["layers=1"], rows["layers=2"]
    assert [one[k] for k in ("stopped", "audited", "answered", "better")] == [4, 3, 3, 1]
    assert one["largest_regret"] == pytest.approx(0.05)
    assert [two[k] for k in ("stopped", "audited", "answered", "better")] == [1, 1, 0, 0]
    assert math.isnan(two["largest_regret"])
    assert cells.frame["95 % interval"].tolist() == ["1 % to 91 %", ""]
    assert trials.data["run"].tolist() == ["s3", "s4", "s5", "t2"]
    assert trials.data["value_then"].tolist() == pytest.approx([0.9, 0.9, 0.8, 0.7])
    assert trials.data["regret"].tolist()[:2] == pytest.approx([0.05, -0.05])
    assert trials.data["answer"].tolist()[2:] == ["diverged", "none: it failed"]


def test_where_higher_is_better_more_is_a_regret(tmp_path: Path):
    place: dict[str, Any] = {"metric": "valid/accuracy"}
    make_run(tmp_path, "a", excess=(0.5, 0.3), compared=ONE, phase="search", trial=0, **place)
    done = {"epoch": 1, "state": "finished"}
    stopped(tmp_path, "b", trial=1, excess=(0.5, 0.1), audit=done, **place)
    section = early_stopping.section(load(tmp_path))
    assert section is not None
    assert section.tables[1].data["regret"].tolist() == pytest.approx([0.2])
    assert section.tables[1].data["answer"].tolist() == ["better"]


def test_with_nothing_to_compare_with_an_audit_has_no_answer(tmp_path: Path):
    stopped(tmp_path, "b", trial=1, excess=(0.5, 0.1), audit={"epoch": 1, "state": "finished"})
    section = early_stopping.section(load(tmp_path))
    assert section is not None
    assert "1 audit had no conclusive result." in section.paragraphs[0]
    assert "Clopper" not in section.paragraphs[0]
    assert section.tables[1].data["answer"].tolist() == ["none: no trial of its cell finished"]


def test_a_report_without_audits_says_how_to_get_them(tmp_path: Path):
    make_cell(tmp_path, compared=ONE, values=(0.3,))
    assert early_stopping.section(load(tmp_path)) is None
    stopped(tmp_path, "s2", trial=2, excess=(0.9,))
    section = early_stopping.section(load(tmp_path))
    assert section is not None
    assert "1 search trial was stopped" in section.paragraphs[0]
    assert "--set search.audit=0.05" in section.paragraphs[0]
    assert section.tables == ()


def test_an_audit_that_is_done_again_has_not_ended(tmp_path: Path):
    audited(tmp_path)
    path = tmp_path / "runs" / "t2" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "state": "running"}))
    assert set(load(tmp_path).audits) == {"s3", "s4", "s5"}


def test_an_audited_run_is_ranked_nowhere_and_its_files_are_written(tmp_path: Path):
    audited(tmp_path)
    results = load(tmp_path)
    assert results.cells["best_trial_value"].tolist() == [0.2, 0.2]
    assert results.cells["stopped"].tolist() == [4, 0]
    assert not results.runs.set_index("run").loc[["s3", "s4"], "ranked"].any()
    build(tmp_path)
    tables = tmp_path / "report" / "tables"
    assert "layers=1,4,3,3,1" in (tables / "audit.csv").read_text()
    assert (tables / "audited_trials.csv").read_text().count("\n") == 5
    assert "## Early stopping" in (tmp_path / "report" / "report.md").read_text()
