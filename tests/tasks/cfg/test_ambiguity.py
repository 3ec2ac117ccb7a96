"""Verdicts on ambiguity, against the list of all derivations, and the entropies that rest on them."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtune.tasks.base import Strings
from seqtune.tasks.cfg.ambiguity import Entropy
from seqtune.tasks.cfg.grammar import Grammar, grammar
from seqtune.tasks.cfg.named import RULES


def own_grammar(rules: dict[str, list[str]]) -> Grammar:
    return Grammar.from_rules(name="own", root="S", rules=rules)


@st.composite
def grammars(draw: st.DrawFn) -> Grammar:
    """Small grammars of any shape, about half of them ambiguous."""
    rules: dict[str, list[tuple[str, ...]]] = {}
    known = ["x", "y", "z"]
    for name in ("A", "B", "S")[: draw(st.integers(1, 3))]:
        rhs = st.lists(st.sampled_from(known), min_size=1, max_size=3).map(tuple)
        rules[name] = draw(st.lists(rhs, min_size=1, max_size=3, unique=True))
        known = [*known, name]
    return Grammar.from_rules(name="drawn", root=known[-1], rules=rules)


@settings(deadline=None, max_examples=300)
@given(own=grammars())
def test_the_verdict_is_that_of_the_list_of_all_derivations(own):
    times = Counter(string for string, _ in own.derivations())
    ambiguity = own.ambiguity()
    if max(times.values()) == 1:
        assert (ambiguity.verdict, ambiguity.witness) == ("unambiguous", None)
    else:
        assert ambiguity.verdict == "ambiguous"
        assert ambiguity.witness is not None
        assert times[ambiguity.witness] > 1


@pytest.mark.parametrize("height", range(1, 7))
def test_cfg3b_is_proven_unambiguous_at_every_height(height):
    part = grammar("cfg3b", height=height)
    assert part.ambiguity().verdict == "unambiguous"
    assert part.entropy() == part.derivation_entropy()
    assert part.entropy().standard_error == 0.0


@pytest.mark.parametrize("name", sorted(set(RULES) - {"cfg3b"}))
def test_the_other_named_grammars_are_ambiguous_and_have_a_witness(name):
    whole = grammar(name)
    ambiguity = whole.ambiguity()
    assert ambiguity.verdict == "ambiguous"
    assert whole.accepts([ambiguity.witness or ()])[0]
    assert whole.entropy() < whole.derivation_entropy()


def test_cfg3f_has_the_known_entropy():
    whole = grammar("cfg3f")
    entropy = whole.entropy()
    assert abs(entropy - 187.1) < 2 * 1.1
    assert 0 < entropy.standard_error < 0.02
    assert entropy / (whole.lengths.mean + 1) == pytest.approx(0.741, abs=5e-4)
    trees = whole.sample_trees(2_000, np.random.default_rng(1))
    strings = Strings(trees.tokens, trees.offsets)
    ambiguous = whole.log_probability(strings) - trees.log_probability > 1e-6
    # 40 % of strings; three standard errors of a share of 2,000.
    assert ambiguous.mean() == pytest.approx(0.4, abs=0.033)


def test_a_code_that_is_not_uniquely_decodable_need_not_be_ambiguous():
    # A A, read as B or as A A, is never left open: S fixes what stands behind.
    open_code = own_grammar({"S": ["A x", "B y"], "A": ["a", "a a"], "B": ["a a a"]})
    assert open_code.ambiguity().verdict == "unambiguous"


def test_a_symbol_that_runs_ahead_is_ambiguous_only_where_the_next_one_can_wait():
    # a | ab and what follows: b c | c meet, d | c do not.
    assert own_grammar({"S": ["A B"], "A": ["a", "a b"], "B": ["b c", "c"]}).ambiguity().witness
    apart = own_grammar({"S": ["A B"], "A": ["a", "a b"], "B": ["d", "c"]})
    assert apart.ambiguity().verdict == "unambiguous"


def test_ambiguity_deep_in_the_tree_is_found_behind_what_the_root_puts_around_it():
    nested = own_grammar(
        {"S": ["x B y"], "B": ["z A", "A z z"], "A": ["C D"], "C": ["a", "a a"], "D": ["a", "b"]}
    )
    assert nested.ambiguity().verdict == "unambiguous"
    nested = own_grammar({"S": ["x B y"], "B": ["z A"], "A": ["C C"], "C": ["a", "a a"]})
    witness = nested.ambiguity().witness or ()
    assert [nested.terminals[token - 1] for token in witness] == list("xzaaay")


def test_entropy_of_a_small_ambiguous_grammar_is_exact():
    # aa comes from A A (1/2 * 1/4) and from A (1/2 * 1/2); a, aaa and aaaa are 1/4, 1/4 and 1/8.
    twice = own_grammar({"S": ["A A", "A"], "A": ["a", "a a"]})
    probabilities = [1 / 4, 3 / 8, 1 / 4, 1 / 8]
    assert twice.entropy() == pytest.approx(-sum(p * math.log(p) for p in probabilities))
    assert twice.entropy().standard_error == 0.0
    assert twice.entropy() < twice.derivation_entropy()


def test_a_sampled_entropy_agrees_with_the_exact_one(monkeypatch):
    small = grammar("cfg3i", height=3)
    exact = small.entropy()
    assert exact.standard_error == 0.0
    monkeypatch.setattr("seqtune.tasks.cfg.grammar.ENUMERABLE", 0)
    sampled = small.with_root(small.root).entropy()
    assert sampled.standard_error > 0
    assert abs(sampled - exact) < 4 * sampled.standard_error


def test_ambiguity_too_rare_to_be_sampled_still_leaves_a_standard_error():
    part = grammar("cfg3f", height=4)
    assert part.ambiguity().verdict == "ambiguous"
    assert part.entropy() == pytest.approx(part.derivation_entropy(), abs=1e-9)
    assert part.entropy().standard_error == math.log(2) / 2_048


def test_a_search_too_large_is_decided_by_samples_or_left_open(monkeypatch):
    monkeypatch.setattr("seqtune.tasks.cfg.ambiguity.STEPS", 10)
    whole = grammar("cfg3f")
    often, never = whole.with_root(22), grammar("cfg3b").with_root(22)
    assert often.ambiguity().verdict == "ambiguous"
    assert often.accepts([often.ambiguity().witness or ()])[0]
    assert never.ambiguity().verdict == "unknown"
    assert abs(never.entropy() - never.derivation_entropy()) < 1e-9
    assert never.entropy().standard_error > 0


def test_an_entropy_is_a_number():
    entropy = Entropy(1.5, standard_error=0.1)
    assert entropy + 1 == 2.5
    assert entropy.standard_error == 0.1
