import json
import math

import numpy as np
import pytest

from seqtune.tasks.cfg.describe import best_accuracy, describe
from seqtune.tasks.cfg.grammar import Grammar, grammar
from seqtune.tasks.cfg.grammar_spec import DyckSpec
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.cfg.task import CfgTask


def data_of(language: Grammar) -> dict:
    return json.loads(json.dumps(describe(language).to_data()))


def test_cfg3b_at_height_3_in_figures():
    data = data_of(grammar("cfg3b", height=3))
    assert data["title"] == "cfg3b, root 14"
    assert data["grammar"] == {
        "root": "14",
        "height": 3,
        "terminals": "1 2 3",
        "nonterminals": 7,
        "rules": 14,
    }
    lengths = data["lengths"]
    assert (lengths["min"], lengths["mean"], lengths["max"]) == (18, 22.5, 27)
    assert lengths["percentile 50"] == 22
    derivations = data["derivations"]
    assert derivations["count"] == 8192
    assert derivations["log2 of the count"] == 13
    assert derivations["ambiguity"] == "unambiguous"
    floors = data["floors"]
    assert floors["entropy of the strings, nats a string"] == pytest.approx(13 * math.log(2))
    assert floors["nats a token, end counted"] == pytest.approx(0.383443, abs=1e-6)
    assert floors["best top-1 accuracy, end counted"] == pytest.approx(0.773936, abs=1e-6)
    assert "10 -> 7 9 8 | 9 8 7" in data["rules"]
    assert data["levels"][0]["log2 of derivations"] == 13
    assert all(row["nats"] == pytest.approx(13 * math.log(2)) for row in data["strings"])


def test_cfg3f_has_exact_counts_and_estimates_with_their_errors():
    data = data_of(grammar("cfg3f"))
    assert data["derivations"]["log2 of the count"] == pytest.approx(551.7, abs=0.05)
    assert data["derivations"]["count"] == grammar("cfg3f").count()
    assert data["derivations"]["ambiguity"] == "ambiguous"
    share = data["derivations"]["share of strings with more than one tree"]
    assert share["value"] == pytest.approx(0.4, abs=4 * share["standard_error"])
    nats = data["floors"]["nats a token, end counted"]
    assert nats["value"] == pytest.approx(0.741, abs=0.0005)
    assert 0 < nats["standard_error"] < 0.001
    accuracy = data["floors"]["best top-1 accuracy, end counted"]
    assert accuracy["value"] == pytest.approx(0.619, abs=0.0005 + 4 * accuracy["standard_error"])


def test_percentiles_are_those_of_the_lengths_of_strings():
    part = grammar("cfg3b", height=5)
    data = data_of(part)
    sampled = np.array([len(string) for string in part.sample(20_000, 0)])
    for share in (5, 25, 50, 75, 95):
        low, high = np.percentile(sampled, [share - 2, share + 2])
        assert low <= data["lengths"][f"percentile {share}"] <= high
    assert part.length_distribution.sum() == pytest.approx(1, abs=1e-12)
    assert part.length_distribution @ np.arange(part.lengths.max + 1) == pytest.approx(
        part.lengths.mean
    )


def test_the_sampled_best_accuracy_agrees_with_the_exact_one(monkeypatch: pytest.MonkeyPatch):
    part = grammar("cfg3i", height=3)
    exact = best_accuracy(part)
    assert exact.standard_error == 0
    monkeypatch.setattr("seqtune.tasks.cfg.describe.ENUMERABLE", 0)
    sampled = best_accuracy(part)
    assert sampled.standard_error > 0
    assert sampled.value == pytest.approx(exact.value, abs=4 * sampled.standard_error)


def test_probabilities_are_shown_where_rules_are_not_equally_likely():
    rules = {"S": {"a A": 0.25, "b": 0.75}, "A": ["c", "d"], "B": ["never"]}
    data = data_of(Grammar.from_rules(name="own", root="S", rules=rules))
    assert data["rules"] == ["S -> a A [0.25] | b [0.75]", "A -> c | d"]


def test_a_recursive_grammar_has_exact_counts_below_its_cap():
    data = describe(DyckSpec(pairs=1, depth=None, max_length=8).build()).to_data()
    assert data["derivations"]["count"] == 1 + 2 + 5 + 14  # Catalan's numbers
    assert data["grammar"]["max_length"] == 8
    assert "height" not in data["grammar"]


def test_every_named_grammar_describes_itself():
    for name in ("cfg3b", "cfg3i", "cfg3h", "cfg3g", "cfg3j", "cfg3k", "dyck", "generated"):
        description = CfgTask(CfgSpec(grammar=name)).describe()
        assert description.parts["rules"].to_data()
