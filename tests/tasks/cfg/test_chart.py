"""Probabilities of strings and prefixes, against complete enumeration and a naive recursion."""

import math
import tracemalloc
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtune.tasks.base import Strings
from seqtune.tasks.cfg.grammar import Grammar, grammar
from seqtune.tasks.cfg.named import RULES

MIXED = Grammar.from_rules(
    name="mixed",
    root="S",
    rules={"S": ["A x B", "B", "x y"], "A": ["x", "y y"], "B": ["A A", "C"], "C": ["x y x"]},
)
TWICE = Grammar.from_rules(
    name="twice", root="S", rules={"S": ["A A", "A", "b A"], "A": ["a", "a a", "b"]}
)
SMALL = [grammar("cfg3b", height=2), grammar("cfg3i", height=3), MIXED, TWICE]


def accepts_naively(own: Grammar, string: tuple[int, ...]) -> bool:
    """Membership by plain recursion: where can a symbol end that begins at a place?"""

    @cache
    def ends(symbol: str, begin: int) -> set[int]:
        if symbol not in own.rules:
            matches = begin < len(string) and own.terminals.index(symbol) + 1 == string[begin]
            return {begin + 1} if matches else set()
        found = set()
        for rhs in own.rules[symbol]:
            places = {begin}
            for child in rhs:
                places = set().union(*(ends(child, place) for place in places))
            found |= places
        return found

    return len(string) in ends(own.root, 0)


def next_token_by_enumeration(own: Grammar, string: tuple[int, ...]) -> np.ndarray:
    """Rows of `next_token` from the list of all strings."""
    rows = np.zeros((len(string) + 1, len(own.terminals) + 1))
    for other, p in own.strings().items():
        for k in range(min(len(string), len(other)) + 1):
            if other[:k] == string[:k]:
                rows[k, other[k] - 1 if k < len(other) else -1] += p
    with np.errstate(invalid="ignore"):
        return rows / rows.sum(axis=1, keepdims=True)


def flips(own: Grammar, string: tuple[int, ...]) -> list[tuple[int, ...]]:
    """All strings that differ from one in a single token."""
    tokens = range(1, len(own.terminals) + 1)
    return [
        (*string[:i], token, *string[i + 1 :])
        for i in range(len(string))
        for token in tokens
        if token != string[i]
    ]


@st.composite
def grammars(draw: st.DrawFn) -> Grammar:
    """Small grammars of any shape: mixed depth, rules of one symbol to three, often ambiguous.

    In about half of them rules are not equally likely.
    """
    rules: dict[str, dict[str, float]] = {}
    known = ["x", "y"]
    weights = st.integers(1, 9) if draw(st.booleans()) else st.just(1)
    for name in ("A", "B", "S")[: draw(st.integers(1, 3))]:
        rhs = st.lists(st.sampled_from(known), min_size=1, max_size=3).map(" ".join)
        drawn = draw(st.dictionaries(rhs, weights, min_size=1, max_size=3))
        rules[name] = {words: weight / sum(drawn.values()) for words, weight in drawn.items()}
        known = [*known, name]
    return Grammar.from_rules(name="drawn", root=known[-1], rules=rules)


@pytest.mark.parametrize("own", [*SMALL, grammar("cfg3b", height=3)], ids=lambda own: own.name)
def test_probabilities_of_all_strings_sum_to_one(own):
    strings = list(own.strings())
    assert math.fsum(np.exp(own.log_probability(strings))) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("own", SMALL, ids=lambda own: own.name)
def test_probabilities_are_those_of_enumeration(own):
    known = own.strings()
    np.testing.assert_allclose(
        own.log_probability(known), np.log(list(known.values())), rtol=0, atol=1e-12
    )


@settings(deadline=None, max_examples=60)
@given(own=grammars(), data=st.data())
def test_any_grammar_agrees_with_enumeration(own, data):
    known = own.strings()
    alphabet = st.integers(1, len(own.terminals))
    string = data.draw(
        st.sampled_from(sorted(known)) | st.lists(alphabet, max_size=own.lengths.max).map(tuple)
    )
    probability = math.exp(own.log_probability([string])[0])
    assert probability == pytest.approx(known.get(string, 0.0), abs=1e-12)
    assert own.accepts([string])[0] == (string in known)
    expected = next_token_by_enumeration(own, string)
    np.testing.assert_allclose(own.next_token(string), expected, rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(own=grammars(), seed=st.integers(0, 2**32))
def test_what_is_sampled_is_in_the_language_and_flips_are_judged_as_by_brute_force(own, seed):
    strings = [tuple(string.tolist()) for string in own.sample(5, seed)]
    assert own.accepts(strings).all()
    known = own.strings()
    assert set(strings) <= set(known)
    assert math.fsum(np.exp(own.log_probability(known))) == pytest.approx(1, abs=1e-9)
    changed = [other for string in strings for other in flips(own, string)]
    assert own.accepts(changed).tolist() == [other in known for other in changed]


@pytest.mark.parametrize("threads", [0, 3])
def test_threads_and_slices_change_nothing(threads: int, monkeypatch: pytest.MonkeyPatch):
    part = grammar("cfg3f", height=4)
    strings = part.sample(300, 0)
    alone = part.log_probability(strings)
    rows, offsets = part.next_token_batch(strings)
    monkeypatch.setattr("seqtune.tasks.cfg.chart.ChartScorer.slice_tokens", 500)
    assert (part.log_probability(strings, threads=threads) == alone).all()
    again, same = part.next_token_batch(strings, threads=threads)
    assert (again == rows).all()
    assert (same == offsets).all()
    assert len(part.log_probability([], threads=threads)) == 0


def test_memory_does_not_grow_with_the_batch():
    part = grammar("cfg3b", height=5)
    part.log_probability(part.sample(10, 0))

    def extra(count: int) -> int:
        """Most bytes held beyond strings and result."""
        strings = Strings(*part.sample_flat(count, np.random.default_rng(0)))
        tracemalloc.start()
        part.log_probability(strings)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak - 8 * count

    extra(100)
    few, many = extra(2_000), extra(20_000)
    assert many < 1.2 * few + 100_000


@settings(deadline=None, max_examples=30)
@given(own=grammars())
def test_tries_change_nothing(own):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seqtune.tasks.cfg.chart.TRIE_TOKENS", 1)
        plain = own.with_root(own.root)
        strings = sorted(own.strings())
        few, _ = plain.next_token_batch(strings)
    many, _ = own.next_token_batch(strings)
    np.testing.assert_allclose(few, many, rtol=0, atol=1e-12)


@pytest.mark.parametrize("height", [2, 3])
def test_every_flipped_token_is_judged_as_by_brute_force(height):
    part = grammar("cfg3b", height=height)
    for string in part.sample(10, 11):
        changed = flips(part, tuple(string.tolist()))
        naive = [accepts_naively(part, other) for other in changed]
        assert part.accepts(changed).tolist() == naive


@pytest.mark.parametrize("name", ["cfg3b", "cfg3f", "cfg3k"])
def test_flipped_tokens_of_higher_trees_are_judged_as_by_brute_force(name):
    part = grammar(name)
    generator = np.random.default_rng(0)
    changed = []
    for string in part.sample(5, 12):
        others = flips(part, tuple(string.tolist()))
        changed += [others[i] for i in generator.choice(len(others), size=20)]
    naive = [accepts_naively(part, other) for other in changed]
    assert part.accepts(changed).tolist() == naive
    if name != "cfg3b":
        assert any(naive)  # so that both answers are tried


@pytest.mark.parametrize("name", RULES)
def test_conditionals_multiply_to_the_probability_of_the_string(name):
    whole = grammar(name)
    strings = whole.sample(30, 3)
    scores, offsets = whole.token_log_probabilities(strings)
    own = whole.log_probability(strings)
    assert np.isfinite(own).all()
    # The difference of logs is the relative difference of the products.
    np.testing.assert_allclose(np.add.reduceat(scores, offsets[:-1]), own, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", RULES)
def test_next_token_distributions_sum_to_one(name):
    strings = grammar(name).sample(10, 4)
    rows, offsets = grammar(name).next_token_batch(strings)
    assert rows.shape == (offsets[-1], 4)
    assert np.diff(offsets).tolist() == [len(string) + 1 for string in strings]
    assert (rows >= 0).all()
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-12)


def test_a_batch_gives_what_single_strings_give():
    part = grammar("cfg3f", height=4)
    strings = part.sample(5, 6)
    rows, offsets = part.next_token_batch(strings)
    for i, string in enumerate(strings):
        np.testing.assert_array_equal(rows[offsets[i] : offsets[i + 1]], part.next_token(string))


def test_nothing_is_defined_behind_a_prefix_that_no_string_has():
    part = grammar("cfg3b", height=1)  # 3 1, or 1 2 3
    half, only = [0.5, 0, 0.5, 0], {1: [1, 0, 0, 0], 2: [0, 1, 0, 0], "end": [0, 0, 0, 1]}
    nan = [np.nan] * 4
    np.testing.assert_array_equal(part.next_token([3, 1]), [half, only[1], only["end"]])
    np.testing.assert_array_equal(part.next_token([1, 1, 3]), [half, only[2], nan, nan])
    np.testing.assert_array_equal(part.next_token([]), [half])
    scores, offsets = part.token_log_probabilities([[1, 1, 3], [3, 1], [3, 1, 1], [9], [4]])
    log, nan = math.log(0.5), np.nan
    expected = [log, -np.inf, nan, nan, log, 0, 0, log, 0, -np.inf, nan, -np.inf, nan, -np.inf, nan]
    np.testing.assert_array_equal(scores, expected)
    assert offsets.tolist() == [0, 4, 7, 11, 13, 15]


@pytest.mark.parametrize(
    "string", [[], [0], [4], [-1], [3, 1, 4], [3, 1, 10**12], [1, 2], [3, 1, 1]]
)
def test_what_is_no_string_of_terminals_is_outside_the_language(string):
    part = grammar("cfg3b", height=1)
    assert part.log_probability([string])[0] == -np.inf
    assert not part.accepts([string])[0]


def test_no_strings_give_no_numbers():
    assert grammar("cfg3b").log_probability([]).shape == (0,)
    assert grammar("cfg3b").next_token_batch([])[0].shape == (0, 4)
    assert grammar("cfg3b").token_log_probabilities([])[0].shape == (0,)


@pytest.mark.parametrize("strings", [[1, 2, 3], [[1.5, 2.0]]])
def test_what_is_no_sequence_of_strings_is_refused(strings):
    with pytest.raises(ValueError, match="strings must"):
        grammar("cfg3b").log_probability(strings)


def test_strings_of_thousands_of_tokens_do_not_underflow():
    # A complete binary tree over tokens of three kinds: every string has probability 3^-4096.
    rules = {f"L{h}": [[f"L{h - 1}"] * 2] for h in range(1, 13)} | {"L0": ["a", "b", "c"]}
    tree = Grammar.from_rules(name="tree", root="L12", rules=rules)
    strings = tree.sample(3, 0)
    assert len(strings[0]) == 4096
    np.testing.assert_allclose(tree.log_probability(strings), -4096 * math.log(3), rtol=1e-12)
    rows = tree.next_token(strings[0])
    np.testing.assert_allclose(rows[:-1, :3], 1 / 3, rtol=1e-12)
    assert rows[-1].tolist() == [0, 0, 0, 1]


def test_parses_of_very_unequal_probability_add_up():
    # 600 tokens a as one rule of probability 1/2, or one by one, each of probability 1/2.
    rules = {"S": [["a"] * 600, ["T"] * 2], "T": [["U"] * 300], "U": ["a", "b"]}
    unequal = Grammar.from_rules(name="unequal", root="S", rules=rules)
    a, b = [1] * 600, [1] * 599 + [2]
    one_by_one = math.log(0.5) - 600 * math.log(2)
    np.testing.assert_allclose(
        unequal.log_probability([a, b]), [math.log(0.5), one_by_one], rtol=1e-13
    )
    assert unequal.next_token(b)[599, 1] == pytest.approx(2.0**-600, rel=1e-12)
    assert unequal.next_token(b)[600].tolist() == [0, 0, 1]


def test_very_ambiguous_strings_are_exact():
    # n tokens cut into 40 pieces of 1 to 3: log P of the number of ways, by their generating function.
    cut = Grammar.from_rules(
        name="cut", root="S", rules={"S": [["A"] * 40], "A": ["a", "a a", "a a a"]}
    )
    ways = np.array([1.0])
    for _ in range(40):
        ways = np.convolve(ways, [0, 1, 1, 1])
    lengths = range(40, 121)
    np.testing.assert_allclose(
        cut.log_probability([[1] * n for n in lengths]),
        np.log(ways[40:]) - 40 * math.log(3),
        rtol=1e-12,
    )
    tail = ways[::-1].cumsum()[::-1]
    ends = cut.next_token([1] * 120)[40:, 1]
    np.testing.assert_allclose(ends, ways[40:] / tail[40:], rtol=1e-12)


# The known best accuracy and loss a token of cfg3b by height, of an unknown number of samples.
SAMPLED = [
    (1, 0.1996, 0.848),
    (2, 0.326, 0.789),
    (3, 0.385, 0.772),
    (4, 0.4075, 0.761),
    (5, 0.4196, 0.757),
    (6, 0.4241, 0.754),
]


@pytest.mark.parametrize(("height", "nats", "accuracy"), SAMPLED)
def test_loss_and_accuracy_a_token_agree_with_the_known_samples(height, nats, accuracy):
    part = grammar("cfg3b", height=height)
    strings = part.sample(2_000, 9)
    rows, offsets = part.next_token_batch(strings)
    best = np.add.reduceat(rows.max(axis=1), offsets[:-1])
    misses = np.add.reduceat(rows.max(axis=1) * (1 - rows.max(axis=1)), offsets[:-1])
    lengths = np.diff(offsets)
    exact = part.derivation_entropy() / (part.lengths.mean + 1)
    own = best.sum() / lengths.sum()
    # Standard errors of ratios of sums over 256 strings, hits counted by draw, and half a last digit.
    surprise = -part.log_probability(strings) - exact * lengths
    error = np.std(surprise) / lengths.mean() / 16
    assert abs(exact - nats) < 3 * error + 5e-4
    error = np.sqrt(np.var(best - own * lengths) + misses.mean()) / lengths.mean() / 16
    assert abs(own - accuracy) < 3 * error + 5e-4


def test_best_accuracy_of_low_trees_is_known_exactly():
    for height, exact in ((1, 6 / 7), (2, 27 / 34)):
        part = grammar("cfg3b", height=height)
        rows, _ = part.next_token_batch(part.strings())  # all equally likely
        assert rows.max(axis=1).mean() == pytest.approx(exact, rel=1e-12)


def test_cfg3f_has_the_known_best_accuracy():
    rows, _ = grammar("cfg3f").next_token_batch(grammar("cfg3f").sample(500, 0))
    assert rows.max(axis=1).mean() == pytest.approx(0.619, abs=2e-3)
