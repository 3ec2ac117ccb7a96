"""Sampled strings: reproducible, in the language, and as frequent as they are probable."""

import hashlib
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from seqtune.tasks.base import Strings
from seqtune.tasks.cfg.grammar import Grammar, grammar
from seqtune.tasks.cfg.named import RULES
from seqtune.tasks.cfg.trees import Trees

FIRST = [3, 2, 1, 3, 2, 1, 2, 3]
DIGEST = "3f31b529c9fcc959daef370a54e14fafc8ea106259e4a3a89b7a9eb6e7157e9a"
MIXED = Grammar.from_rules(
    name="mixed",
    root="S",
    rules={"S": ["A x B", "B", "x y"], "A": ["x", "y y"], "B": ["A A", "C"], "C": ["x y x"]},
)


def test_the_same_seed_gives_the_same_strings():
    part = grammar("cfg3b", height=4)
    for one, other in zip(part.sample(50, 7), part.sample(50, 7), strict=True):
        assert one.dtype == np.int64
        np.testing.assert_array_equal(one, other)
    first, second = part.sample(50, 7), part.sample(50, 8)
    assert any(a.tolist() != b.tolist() for a, b in zip(first, second, strict=True))


def test_a_seed_means_these_strings_on_every_machine():
    tokens, offsets = grammar("cfg3b").sample_flat(2_000, np.random.default_rng(0))
    digest = hashlib.sha256(tokens.astype("<i8").tobytes() + offsets.astype("<i8").tobytes())
    assert grammar("cfg3b", height=2).sample(2, 0)[0].tolist() == FIRST
    assert digest.hexdigest() == DIGEST


def test_a_generator_goes_on_where_it_was_left():
    part = grammar("cfg3b", height=3)
    generator = np.random.default_rng(3)
    first, second = part.sample(5, generator), part.sample(5, generator)
    assert [s.tolist() for s in first] == [s.tolist() for s in part.sample(5, 3)]
    assert [s.tolist() for s in first] != [s.tolist() for s in second]


@pytest.mark.parametrize("name", RULES)
def test_sampled_strings_are_in_the_language(name):
    whole = grammar(name)
    strings = whole.sample(40, 1)
    assert whole.accepts(strings).all()
    assert all(whole.lengths.min <= len(s) <= whole.lengths.max for s in strings)


@pytest.mark.parametrize("own", [grammar("cfg3b", height=2), grammar("cfg3i", height=2), MIXED])
def test_frequencies_agree_with_probabilities(own):
    probabilities = own.strings()
    strings = own.sample(20_000, 5)
    counts = dict.fromkeys(probabilities, 0)
    for string in strings:
        counts[tuple(string.tolist())] += 1
    expected = [len(strings) * p for p in probabilities.values()]
    assert stats.chisquare(list(counts.values()), expected).pvalue > 1e-3


@pytest.mark.parametrize("name", ["cfg3b", "cfg3f"])
def test_mean_length_is_that_of_the_distribution(name):
    whole = grammar(name)
    # More strings than grow together.
    tokens, offsets = whole.sample_flat(3_000, np.random.default_rng(2))
    lengths = np.diff(offsets)
    assert offsets[0] == 0
    assert offsets[-1] == len(tokens)
    error = lengths.std() / np.sqrt(len(lengths))
    assert abs(lengths.mean() - whole.lengths.mean) < 4 * error


def test_few_strings_and_none_at_all():
    tokens, offsets = grammar("cfg3b").sample_flat(0, np.random.default_rng(0))
    assert (len(tokens), offsets.tolist()) == (0, [0])
    assert grammar("cfg3b").sample(0, 0) == []
    assert len(grammar("cfg3b").sample(1, 0)) == 1


def test_a_negative_number_of_strings_is_refused():
    with pytest.raises(ValueError, match="n >= 0 must hold, but got n=-1"):
        grammar("cfg3b").sample(-1, 0)


def test_tokens_are_small_integers_unless_there_are_many_symbols():
    assert grammar("cfg3b").sample_flat(1, np.random.default_rng(0))[0].dtype == np.int8
    rules = {"S": ["A A"], "A": [[f"w{i}"] for i in range(300)]}
    wide = Grammar.from_rules(name="wide", root="S", rules=rules)
    tokens, _ = wide.sample_flat(2_000, np.random.default_rng(0))
    assert tokens.dtype == np.int32
    assert set(tokens.tolist()) == set(range(1, 301))


def strings_of(trees: Trees) -> Strings:
    return Strings(trees.tokens, trees.offsets)


def test_derivations_have_the_probability_that_their_rules_give():
    whole = grammar("cfg3b")
    trees = whole.sample_trees(200, np.random.default_rng(4))
    known = whole.log_probability(strings_of(trees))
    np.testing.assert_allclose(trees.log_probability, known, rtol=1e-12)


def test_trees_are_those_of_the_strings_that_the_same_seed_gives():
    for part in (grammar("cfg3b", height=4), MIXED, WEIGHTED):
        trees = part.sample_trees(50, np.random.default_rng(7))
        tokens, offsets = part.sample_flat(50, np.random.default_rng(7))
        assert (trees.tokens == tokens).all()
        assert (trees.offsets == offsets).all()


def test_a_string_can_come_from_derivations_of_different_probability():
    rules = {"S": ["A A", "A"], "A": ["a", "a a"]}
    twice = Grammar.from_rules(name="twice", root="S", rules=rules)
    trees = twice.sample_trees(500, np.random.default_rng(4))
    pairs = {
        ("a" * len(string), round(float(p), 9))
        for string, p in zip(strings_of(trees), np.exp(trees.log_probability), strict=True)
    }
    assert pairs == {("a", 1 / 4), ("aa", 1 / 4), ("aa", 1 / 8), ("aaa", 1 / 8), ("aaaa", 1 / 8)}


def test_derivations_of_mixed_depth_count_every_rule_once():
    trees = MIXED.sample_trees(200, np.random.default_rng(4))
    known = MIXED.strings()
    np.testing.assert_allclose(
        np.exp(trees.log_probability), [known[tuple(s.tolist())] for s in strings_of(trees)]
    )


WEIGHTED = Grammar.from_rules(
    name="weighted",
    root="S",
    rules={
        "S": {"A B": 0.7, "x": 0.05, "B A": 0.25},
        "A": {"x": 0.1, "y y": 0.9},
        "B": ["z", "x x"],
    },
)


def test_rules_are_drawn_by_their_probabilities():
    strings = WEIGHTED.sample(20_000, 3)
    known = WEIGHTED.strings()
    assert sum(known.values()) == pytest.approx(1, abs=1e-12)
    counts = Counter(tuple(string.tolist()) for string in strings)
    assert set(counts) <= set(known)
    expected = [p * len(strings) for p in known.values()]
    assert stats.chisquare([counts[string] for string in known], expected).pvalue > 1e-3


def test_labels_name_the_ancestors_of_every_token_and_where_they_end():
    """Height 2 of cfg3b: 10 -> 7 9 8 | 9 8 7, whose tokens are by hand."""
    part = grammar("cfg3b", height=2)
    trees = part.sample_trees(30, np.random.default_rng(0))
    assert trees.ancestors.shape == trees.boundary.shape == (2, len(trees.tokens))
    names = np.array(trees.symbols)
    for row in range(len(trees)):
        place = slice(trees.offsets[row], trees.offsets[row + 1])
        assert set(names[trees.ancestors[0, place]]) == {"10"}
        assert trees.boundary[0, place].tolist() == [False] * (len(trees.tokens[place]) - 1) + [
            True
        ]
        ends = np.flatnonzero(trees.boundary[1, place])
        pieces = np.split(np.arange(place.start, place.stop), ends[:-1] + 1)
        above = [set(names[trees.ancestors[1, piece]]) for piece in pieces]
        assert above in ([{"7"}, {"9"}, {"8"}], [{"9"}, {"8"}, {"7"}])
        for symbol, piece in zip(above, pieces, strict=True):
            text = tuple(names[trees.tokens[piece]].tolist())
            assert text in part.rules[next(iter(symbol))]


def test_a_token_nearer_to_the_root_has_no_ancestor_deeper_down():
    rules = {"S": ["a A"], "A": ["b B"], "B": ["c c"]}
    chain = Grammar.from_rules(name="chain", root="S", rules=rules)
    trees = chain.sample_trees(2, np.random.default_rng(0))
    names = [[trees.symbols[each] for each in row] for row in trees.ancestors[:, :4]]
    assert names == [["S"] * 4, ["", "A", "A", "A"], ["", "", "B", "B"]]
    assert trees.boundary[:, :4].tolist() == [
        [False, False, False, True],
        [False, False, False, True],
        [False, False, False, True],
    ]


@pytest.mark.parametrize("threads", [0, 3])
def test_threads_do_not_change_the_strings(threads: int):
    part = grammar("cfg3b", height=5)
    alone = part.sample_flat(5_000, np.random.default_rng(2))
    together = part.sample_flat(5_000, np.random.default_rng(2), threads=threads)
    assert all((a == b).all() for a, b in zip(alone, together, strict=True))
    with pytest.raises(ValueError, match="threads >= 0 must hold, but got threads=-1"):
        part.sample_flat(5_000, np.random.default_rng(2), threads=-1)
