"""Sampled strings and trees of recursive grammars: as frequent as they are probable, and right."""

import hashlib
import math
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from seqtune.tasks.cfg.dyck import dyck
from seqtune.tasks.cfg.recursive.grammar import RecursiveGrammar
from seqtune.tasks.cfg.trees import Trees
from tests.tasks.cfg.listed import Listed, recursive

DIGEST = "91c1c0181879fba73862721b391ab423e118dbf27e610dfe3587d1b90e506072"
THICKET = recursive({"S": {"S S": 0.6, "a": 0.4}}, max_length=5, name="thicket")
CYCLE = recursive(
    {"S": {"T": 0.5, "S b": 0.2, "a": 0.3}, "T": {"S": 0.6, "T": 0.1, "a T b": 0.2, "b": 0.1}},
    max_length=5,
    name="cycle",
)
MIXED = recursive(
    {
        "S": {"A x B S": 0.3, "A B": 0.5, "x": 0.2},
        "A": {"x": 0.5, "y y": 0.2, "A B x": 0.3},
        "B": {"A": 0.7, "y B S x": 0.3},
    },
    max_length=6,
    name="mixed",
)
SMALL = [dyck(pairs=2, depth=2, max_length=8), THICKET, CYCLE, MIXED]


def by_name(own: RecursiveGrammar) -> str:
    return own.name


Node = tuple[str, tuple["Node | str", ...]]


def tree(trees: Trees, row: int) -> Node:
    """A tree as (symbol, children), read from the labels of its tokens."""

    def node(depth: int, begin: int) -> tuple[Node, int]:
        children: list[Node | str] = []
        place = begin
        while place == begin or not trees.boundary[depth, place - 1]:
            if depth + 1 == len(trees.ancestors) or trees.ancestors[depth + 1, place] == 0:
                children.append(trees.symbols[trees.tokens[place]])
                place += 1
            else:
                child, place = node(depth + 1, place)
                children.append(child)
        return (trees.symbols[trees.ancestors[depth, begin]], tuple(children)), place

    begin, end = trees.offsets[row : row + 2].tolist()
    root, reached = node(0, begin)
    assert reached == end
    return root


def log_rules(own: RecursiveGrammar, node: Node) -> float:
    """Log probability of a tree without the cap; KeyError where no rule says so."""
    symbol, children = node
    rhs = tuple(child if isinstance(child, str) else child[0] for child in children)
    p = dict(zip(own.rules[symbol], own.probabilities[symbol], strict=True))[rhs]
    below = sum(log_rules(own, child) for child in children if not isinstance(child, str))
    return math.log(p) + below


@pytest.mark.parametrize("own", SMALL, ids=by_name)
def test_strings_are_as_frequent_as_they_are_probable(own):
    n = 40_000
    listed = Listed(own).probability
    times = Counter(tuple(string.tolist()) for string in own.sample(n, 3))
    assert times.keys() <= listed.keys()
    often = [string for string, p in listed.items() if p * n >= 10]
    observed = np.array([times[string] for string in often])
    expected = np.array([listed[string] * n for string in often])
    observed = np.append(observed, n - observed.sum())
    expected = np.append(expected, n - expected.sum())
    if expected[-1] < 1e-6:
        observed, expected = observed[:-1], expected[:-1]
    assert stats.chisquare(observed, expected, sum_check=False).pvalue > 1e-3


@pytest.mark.parametrize("own", SMALL, ids=by_name)
def test_every_tree_is_one_that_the_rules_make_and_has_its_probability(own):
    trees = own.sample_trees(300, np.random.default_rng(1))
    nats = [log_rules(own, tree(trees, row)) - math.log(own.kept) for row in range(300)]
    np.testing.assert_allclose(trees.log_probability, nats, rtol=0, atol=1e-10)


def test_trees_of_one_string_are_as_frequent_as_they_are_probable():
    n = 20_000
    trees = THICKET.sample_trees(n, np.random.default_rng(7))
    times = Counter(tree(trees, row) for row in range(n))
    assert len(times) == THICKET.count() == 23
    expected = [n * math.exp(log_rules(THICKET, each)) / THICKET.kept for each in times]
    assert stats.chisquare(list(times.values()), expected).pvalue > 1e-3


def test_labels_are_those_of_a_tree_worked_by_hand():
    #            S
    #      A           S
    #    a B b       A   c
    #      c        c
    own = recursive(
        {"S": {"A S": 0.5, "A c": 0.5}, "A": {"a B b": 0.5, "c": 0.5}, "B": {"c": 1.0}},
        max_length=5,
    )
    trees = own.sample_trees(200, np.random.default_rng(0))
    wanted = [1, 3, 2, 3, 3]
    begins = [
        begin
        for begin, end in zip(trees.offsets, trees.offsets[1:], strict=False)
        if trees.tokens[begin:end].tolist() == wanted
    ]
    assert trees.symbols == ("", "a", "b", "c", "A", "B", "S")
    place = slice(begins[0], begins[0] + 5)
    assert trees.ancestors[:3, place].tolist() == [
        [6, 6, 6, 6, 6],
        [4, 4, 4, 6, 6],
        [0, 5, 0, 4, 0],
    ]
    t, f = True, False
    assert trees.boundary[:3, place].tolist() == [
        [f, f, f, f, t],
        [f, f, t, f, t],
        [f, t, f, t, f],
    ]
    assert not trees.ancestors[3:, place].any()
    row = trees.offsets.tolist().index(begins[0])
    assert trees.log_probability[row] == pytest.approx(4 * math.log(0.5) - math.log(own.kept))


def test_a_chain_of_unit_rules_is_a_node_at_every_depth():
    own = recursive({"S": {"S": 0.9, "a": 0.1}}, max_length=1)
    trees = own.sample_trees(500, np.random.default_rng(4))
    depths = (trees.ancestors == 2).sum(axis=0)
    np.testing.assert_array_equal(trees.boundary, trees.ancestors == 2)
    assert depths.mean() == pytest.approx(10, abs=1.5)  # geometric: sd 9.5, of the mean 0.42
    expected = (depths - 1) * math.log(0.9) + math.log(0.1)
    np.testing.assert_allclose(trees.log_probability, expected, atol=1e-12)


def test_strings_of_an_unambiguous_grammar_have_the_probability_of_their_trees():
    own = dyck(pairs=3, depth=5, max_length=200, more=0.7, nested=0.6)
    trees = own.sample_trees(200, np.random.default_rng(2))
    strings = np.split(trees.tokens, trees.offsets[1:-1])
    assert max(map(len, strings)) > 100
    np.testing.assert_allclose(
        own.log_probability(strings), trees.log_probability, rtol=0, atol=1e-9
    )


def test_the_mean_of_sampled_surprise_is_the_entropy():
    own = dyck(pairs=2, depth=4, max_length=64)
    nats = -own.log_probability(own.sample(20_000, 8))
    error = nats.std() / math.sqrt(len(nats))
    assert abs(nats.mean() - own.derivation_entropy()) < 4 * error


def test_the_same_seed_gives_the_same_strings():
    own = dyck(pairs=2, depth=4, max_length=64)
    for one, other in zip(own.sample(50, 7), own.sample(50, 7), strict=True):
        assert one.dtype == np.int64
        np.testing.assert_array_equal(one, other)
    first, second = own.sample(50, 7), own.sample(50, 8)
    assert any(a.tolist() != b.tolist() for a, b in zip(first, second, strict=False))


def test_a_seed_means_these_strings_on_every_machine():
    tokens, offsets = dyck(pairs=2, depth=4, max_length=64).sample_flat(
        1_000, np.random.default_rng(7)
    )
    digest = hashlib.sha256(tokens.tobytes() + offsets.astype(np.int64).tobytes())
    assert digest.hexdigest() == DIGEST


def test_trees_are_those_of_the_strings_that_the_seed_draws():
    own = SMALL[3]
    tokens, offsets = own.sample_flat(100, np.random.default_rng(5))
    trees = own.sample_trees(100, np.random.default_rng(5))
    np.testing.assert_array_equal(trees.tokens, tokens)
    np.testing.assert_array_equal(trees.offsets, offsets)


def test_threads_do_not_change_the_strings(monkeypatch):
    monkeypatch.setattr("seqtune.tasks.cfg.recursive.sampler.RecursiveSampler.chunk_strings", 100)
    own = dyck(pairs=2, depth=4, max_length=64)
    one = own.sample_flat(1_050, np.random.default_rng(0))
    several = own.sample_flat(1_050, np.random.default_rng(0), threads=3)
    for ours, theirs in zip(one, several, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len(one[1]) == 1_051
    assert own.accepts(np.split(one[0], one[1][1:-1])).all()


@pytest.mark.parametrize(("terminals", "dtype"), [(127, np.int8), (128, np.int32)])
def test_token_ids_take_the_least_memory_that_they_fit_in(terminals, dtype):
    names = [f"t{i}" for i in range(terminals)]
    rules = {"S": {"T S": 0.5, "T": 0.5}, "T": dict.fromkeys(names, 1 / terminals)}
    tokens, offsets = recursive(rules, max_length=9).sample_flat(5_000, np.random.default_rng(0))
    assert tokens.dtype == dtype
    assert offsets.dtype == np.int64
    assert set(tokens.tolist()) == set(range(1, terminals + 1))


def test_no_strings_can_be_drawn_and_fewer_cannot():
    own = SMALL[0]
    tokens, offsets = own.sample_flat(0, np.random.default_rng(0))
    assert (len(tokens), offsets.tolist()) == (0, [0])
    assert own.sample(0, 0) == []
    assert own.sample_trees(0, np.random.default_rng(0)).ancestors.shape == (0, 0)
    with pytest.raises(ValueError, match="n >= 0 must hold, but got n=-1"):
        own.sample(-1, 0)
