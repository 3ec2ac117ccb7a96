from pathlib import Path

import numpy as np
import pytest

import seqtune
from seqtune.runs.directory import RunDirectory
from seqtune.runs.record import record
from tests.training.runs import tiny


def test_a_grammar_answers_what_notebooks_ask():
    language = seqtune.grammar("cfg3b", root=17)
    strings = language.sample(5, seed=0)
    assert [string.dtype for string in strings] == [np.dtype("int64")] * 5
    assert language.entropy() == pytest.approx(24.953, abs=5e-4)
    assert language.count() == 2**36
    likelihoods = language.log_probability([*strings, strings[0][:-1]])
    assert np.isfinite(likelihoods[:5]).all()
    assert likelihoods[5] == -np.inf
    rows = language.next_token(strings[0])
    assert rows.shape == (len(strings[0]) + 1, 4)
    assert rows.dtype == np.float64
    assert rows.sum(axis=1) == pytest.approx(1)
    own = [*(strings[0] - 1), 3]
    assert np.log(rows[np.arange(len(own)), own]).sum() == pytest.approx(likelihoods[0], rel=1e-10)
    assert seqtune.grammar("cfg3b", height=4).root == "17"


def test_what_is_no_grammar_says_so():
    with pytest.raises(ValueError, match="no such grammar: 'cgf3b'"):
        seqtune.grammar("cgf3b")


def test_results_are_data_frames(tmp_path: Path):
    list(record(tiny(), directory=RunDirectory(tmp_path / "runs" / "one")))
    results = seqtune.load(tmp_path)
    assert results.runs["state"].tolist() == ["finished"]
    assert len(results.cells) == 1
    assert set(results.curves.columns) == {
        "run",
        "epoch",
        "step",
        "tokens",
        "seconds",
        "metric",
        "value",
    }


def test_a_directory_without_runs_says_so(tmp_path: Path):
    with pytest.raises(ValueError, match="holds no runs"):
        seqtune.load(tmp_path)
