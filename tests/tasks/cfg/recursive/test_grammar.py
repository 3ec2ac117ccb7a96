"""Recursive grammars within a cap: every figure against the list of all strings, or worked by hand."""

import math
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtune.tasks.cfg.dyck import dyck
from seqtune.tasks.cfg.grammar import Grammar, grammar
from seqtune.tasks.cfg.recursive.grammar import RecursiveGrammar
from tests.tasks.cfg.listed import Listed, recursive

THICKET = {"S": {"S S": 0.6, "a": 0.4}}
CYCLE = {"S": {"T": 0.5, "S b": 0.2, "a": 0.3}, "T": {"S": 0.6, "T": 0.1, "a T b": 0.2, "b": 0.1}}
SMALL = [
    dyck(pairs=1, depth=None, max_length=8),
    dyck(pairs=2, depth=2, max_length=8, more=0.3, nested=0.6),
    recursive(
        {"S": {"a S a": 0.3, "b S b": 0.2, "a": 0.1, "b": 0.1, "a a": 0.1, "b b": 0.2}},
        max_length=7,
        name="palindromes",
    ),
    recursive({"S": {"S a": 0.4, "S b": 0.3, "a": 0.2, "a b": 0.1}}, max_length=6, name="left"),
    recursive({"S": {"a S": 0.4, "b S": 0.3, "b": 0.2, "a b": 0.1}}, max_length=6, name="right"),
    recursive(THICKET, max_length=7, name="thicket"),
    recursive(CYCLE, max_length=5, name="cycle"),
    recursive(
        {
            "S": {"A x B S": 0.3, "A B": 0.5, "x": 0.2},
            "A": {"x": 0.5, "y y": 0.2, "A B x": 0.3},
            "B": {"A": 0.7, "y B S x": 0.3},
        },
        max_length=6,
        name="mixed",
    ),
]
FINITE = [own for own in SMALL if own.name != "cycle"]
LISTED = {own.name: Listed(own) for own in SMALL}


def by_name(own: RecursiveGrammar) -> str:
    return own.name


@st.composite
def grammars(draw: st.DrawFn) -> RecursiveGrammar:
    """Small grammars with recursion of every sort, most of them ambiguous, many with unit cycles."""
    names = ["S", "A", "B"][: draw(st.integers(1, 3))]
    side = st.lists(st.sampled_from(["x", "y", *names]), min_size=1, max_size=3).map(" ".join)
    rules = {}
    for name in names:
        sides = {draw(st.sampled_from("xy")), *draw(st.lists(side, min_size=1, max_size=2))}
        weights = {rhs: draw(st.integers(1, 3)) for rhs in sorted(sides)}
        rules[name] = {rhs: weight / sum(weights.values()) for rhs, weight in weights.items()}
    return recursive(rules, max_length=draw(st.integers(1, 4)), name="drawn")


@pytest.mark.parametrize("own", SMALL, ids=by_name)
def test_probabilities_are_those_of_the_list_and_sum_to_one(own):
    known = LISTED[own.name].probability
    nats = own.log_probability(list(known))
    np.testing.assert_allclose(nats, np.log(list(known.values())), rtol=0, atol=1e-10)
    assert math.fsum(np.exp(nats)) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("own", SMALL, ids=by_name)
def test_what_is_next_is_that_of_the_list(own):
    listed = LISTED[own.name]
    for string in sorted(listed.probability)[::3]:
        rows = own.next_token(string)
        np.testing.assert_allclose(rows, listed.next_token(string), rtol=0, atol=1e-10)


@pytest.mark.parametrize("own", SMALL, ids=by_name)
def test_every_flipped_token_is_judged_as_by_the_list(own):
    listed = LISTED[own.name]
    changed = listed.flips()
    assert own.accepts(changed).tolist() == [string in listed.probability for string in changed]


@pytest.mark.parametrize("own", SMALL, ids=by_name)
def test_rows_of_flipped_strings_are_nan_from_the_first_impossible_prefix_on(own):
    listed = LISTED[own.name]
    # The longest are those that leave no room.
    changed = sorted(listed.flips(), key=len)[:: -max(1, len(listed.flips()) // 60)]
    rows, offsets = own.next_token_batch(changed)
    expected = np.concatenate([listed.next_token(string) for string in changed])
    assert np.diff(offsets).tolist() == [len(string) + 1 for string in changed]
    np.testing.assert_allclose(rows, expected, rtol=0, atol=1e-10)
    assert np.isnan(expected).any()


@pytest.mark.parametrize("own", SMALL, ids=by_name)
def test_conditionals_multiply_to_the_probability_of_the_string(own):
    strings = list(LISTED[own.name].probability)
    scores, offsets = own.token_log_probabilities(strings)
    sums = np.add.reduceat(scores, offsets[:-1])
    np.testing.assert_allclose(sums, own.log_probability(strings), rtol=0, atol=1e-10)


@pytest.mark.parametrize("own", SMALL, ids=by_name)
def test_lengths_and_what_the_cap_keeps_are_those_of_the_list(own):
    listed = LISTED[own.name]
    shares = np.zeros(own.max_length + 1)
    for string, p in listed.probability.items():
        shares[len(string)] += p
    np.testing.assert_allclose(own.length_distribution, shares, rtol=0, atol=1e-12)
    assert own.kept == pytest.approx(listed.kept, rel=1e-12)
    found = np.flatnonzero(shares)
    assert (own.lengths.min, own.lengths.max) == (found[0], found[-1])
    assert own.lengths.mean == pytest.approx(float(shares @ np.arange(len(shares))), rel=1e-12)


@pytest.mark.parametrize("own", FINITE, ids=by_name)
def test_the_count_is_that_of_the_list(own):
    assert own.count() == sum(sums.number for sums in LISTED[own.name].sums.values())


@pytest.mark.parametrize("own", SMALL, ids=by_name)
def test_entropies_are_those_of_the_list(own):
    listed = LISTED[own.name]
    assert own.derivation_entropy() == pytest.approx(listed.derivation_entropy, abs=1e-9)
    assert own.entropy() == pytest.approx(listed.entropy, abs=1e-9)
    assert own.entropy().standard_error == 0.0


@settings(deadline=None, max_examples=60)
@given(own=grammars(), data=st.data())
def test_any_grammar_agrees_with_its_list(own, data):
    listed = Listed(own)
    alphabet = st.integers(1, listed.columns - 1)
    string = data.draw(
        st.sampled_from(sorted(listed.probability))
        | st.lists(alphabet, max_size=own.max_length + 1).map(tuple)
    )
    known = listed.probability.get(string, 0.0)
    assert math.exp(own.log_probability([string])[0]) == pytest.approx(known, abs=1e-10)
    assert own.accepts([string])[0] == (string in listed.probability)
    np.testing.assert_allclose(
        own.next_token(string), listed.next_token(string), rtol=0, atol=1e-10
    )
    assert own.derivation_entropy() == pytest.approx(listed.derivation_entropy, abs=1e-8)


@settings(deadline=None, max_examples=60)
@given(own=grammars())
def test_the_verdict_on_any_grammar_is_that_of_its_list(own):
    times = {string: sums.number for string, sums in Listed(own).sums.items()}
    ambiguity = own.ambiguity()
    if max(times.values()) == 1:
        assert (ambiguity.verdict, ambiguity.witness) == ("unambiguous", None)
    else:
        assert ambiguity.verdict == "ambiguous"
        assert ambiguity.witness is not None
        assert times[ambiguity.witness] > 1


def test_catalan_numbers_count_the_trees_of_a_thicket():
    # n leaves have C(n - 1) binary trees: 1, 1, 2, 5, 14, 42.
    assert recursive(THICKET, max_length=6).count() == 65
    assert recursive(THICKET, max_length=200).count() == sum(
        math.comb(2 * n, n) // (n + 1) for n in range(200)
    )


def test_a_grammar_that_often_never_ends_works_within_its_cap():
    # With 0.6 the process ends with probability 2/3, the smaller root of q = 0.6 q^2 + 0.4.
    own = recursive(THICKET, max_length=400)
    assert own.kept == pytest.approx(2 / 3, abs=1e-4)
    n = np.arange(1, 401)
    log_trees = np.array([math.log(math.comb(2 * k, k) // (k + 1)) for k in range(400)])
    nats = log_trees + (n - 1) * math.log(0.6) + n * math.log(0.4)
    nats -= np.logaddexp.reduce(nats)
    some = [1, 2, 3, 50, 200, 400]
    of_some = own.log_probability([[1] * k for k in some])
    np.testing.assert_allclose(of_some, nats[np.array(some) - 1], rtol=0, atol=1e-9)
    ends = np.exp(nats - np.logaddexp.accumulate(nats[::-1])[::-1])
    np.testing.assert_allclose(own.next_token([1] * 400)[1:, 1], ends, rtol=1e-9)


def test_what_follows_is_that_of_a_regular_language_found_by_its_automaton():
    # From a state: a stays, b changes it; only state 1 may end. S is state 0, T is state 1.
    own = recursive(
        {"S": {"a S": 0.7, "b T": 0.3}, "T": {"a T": 0.2, "b S": 0.5, "c": 0.3}}, max_length=40
    )
    # fits[m][state]: the probability that it ends within m tokens.
    fits = np.zeros((41, 2))
    for m in range(1, 41):
        fits[m] = (
            0.7 * fits[m - 1, 0] + 0.3 * fits[m - 1, 1],
            0.2 * fits[m - 1, 1] + 0.5 * fits[m - 1, 0] + 0.3,
        )
    assert own.kept == pytest.approx(fits[40, 0], rel=1e-12)
    for string in own.sample(20, 5):
        rows = own.next_token(string)
        state = 0
        for k, token in enumerate(string.tolist()):
            room = 40 - k - 1
            stay, change, end = ((0.7, 0.3, 0.0), (0.2, 0.5, 0.3))[state]
            expected = np.array(
                [stay * fits[room, state], change * fits[room, 1 - state], end, 0.0]
            )
            np.testing.assert_allclose(rows[k], expected / expected.sum(), rtol=0, atol=1e-12)
            state = 1 - state if token == 2 else state
        assert rows[-1].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("height", [1, 2, 3])
def test_a_grammar_without_recursion_is_what_it_is_without_a_cap(height):
    plain = grammar("cfg3b", height=height)
    own = RecursiveGrammar(
        name="cfg3b",
        root=plain.root,
        rules=plain.rules,
        probabilities=plain.probabilities,
        max_length=plain.lengths.max,
    )
    assert own.terminals == plain.terminals
    assert own.count() == plain.count()
    assert (own.lengths.min, own.lengths.max) == (plain.lengths.min, plain.lengths.max)
    assert own.lengths.mean == pytest.approx(plain.lengths.mean, rel=1e-12)
    assert own.derivation_entropy() == pytest.approx(plain.derivation_entropy(), rel=1e-12)
    strings = plain.sample(50, 1)
    strings += [np.roll(string, 1) for string in strings]
    np.testing.assert_allclose(
        own.log_probability(strings), plain.log_probability(strings), rtol=0, atol=1e-10
    )
    for ours, theirs in zip(
        (*own.next_token_batch(strings), *own.token_log_probabilities(strings)),
        (*plain.next_token_batch(strings), *plain.token_log_probabilities(strings)),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


def test_a_cap_below_the_longest_string_is_a_condition_on_the_length():
    plain = grammar("cfg3b", height=2)  # 6 to 9 tokens
    own = RecursiveGrammar(
        name="short", root="10", rules=plain.rules, probabilities=plain.probabilities, max_length=7
    )
    short = {string: p for string, p in plain.strings().items() if len(string) <= 7}
    assert own.kept == pytest.approx(sum(short.values()), rel=1e-12)
    expected = np.log(list(short.values())) - math.log(own.kept)
    np.testing.assert_allclose(own.log_probability(list(short)), expected, rtol=0, atol=1e-12)
    assert not own.accepts([string for string in plain.strings() if len(string) > 7]).any()


def test_strings_far_less_likely_than_the_typical_one_do_not_underflow():
    own = recursive({"S": {"a S": 0.498, "b S": 0.001, "c S": 0.001, "a": 0.5}}, max_length=600)
    rare = [2] * 299 + [3] * 300 + [1]
    nats = own.log_probability([rare, rare[:-1], [2, *rare]])
    exact = 599 * math.log(0.001) + math.log(0.5) - math.log(own.kept)
    assert nats.tolist() == [pytest.approx(exact, rel=1e-12), -np.inf, -np.inf]
    scores, _ = own.token_log_probabilities([rare])
    assert scores.sum() == pytest.approx(exact, rel=1e-12)
    np.testing.assert_allclose(scores[:500], math.log(0.001), rtol=1e-9)


def test_derivations_of_very_unequal_probability_add_up():
    # 300 tokens a as one rule of probability 1/2, or one by one, each of probability 1/2.
    rules = {"S": {" ".join("a" * 300): 0.5, " ".join("U" * 300): 0.5}, "U": {"a": 0.5, "b": 0.5}}
    own = recursive(rules, max_length=300)
    a, b = [1] * 300, [1] * 299 + [2]
    one_by_one = math.log(0.5) - 300 * math.log(2)
    np.testing.assert_allclose(own.log_probability([a, b]), [math.log(0.5), one_by_one], rtol=1e-13)
    rows = own.next_token(b)
    assert rows[299, 1] == pytest.approx(2.0**-300, rel=1e-12)
    assert rows[300].tolist() == [0, 0, 1]


@pytest.mark.parametrize("rare", ["T", "V"])
def test_derivations_add_up_on_both_sides_of_a_change_of_exponent(rare):
    # Numbers below 2^-256 have another exponent; 2^-250 and 2^-260 are added here. Symbols are
    # looked at in their order, so the name of the rare one says which of them comes first.
    own = recursive(
        {
            "S": {" ".join("U" * 125): 0.5, " ".join("U" * 124 + rare): 0.5},
            "U": {"a": 1 / 4, "b": 3 / 4},
            rare: {"a": 2**-12, "b": 1 - 2**-12},
        },
        max_length=125,
    )
    exact = math.log(0.5) + math.log(2.0**-250 + 2.0**-260)
    assert own.log_probability([[1] * 125])[0] == pytest.approx(exact, abs=1e-11)


def test_a_batch_gives_what_single_strings_give_with_any_number_of_threads(monkeypatch):
    own = dyck(pairs=2, depth=4, max_length=32)
    strings = [*own.sample(60, 2), np.array([1, 4]), np.array([], dtype=np.int64)]
    rows, offsets = own.next_token_batch(strings)
    nats = own.log_probability(strings)
    for i, string in enumerate(strings):
        np.testing.assert_array_equal(rows[offsets[i] : offsets[i + 1]], own.next_token(string))
        np.testing.assert_array_equal(nats[i], own.log_probability([string])[0])
    monkeypatch.setattr(
        "seqtune.tasks.cfg.recursive.prefix_probabilities.RecursiveScorer.slice_tokens", 100
    )
    for threads in (1, 3):
        np.testing.assert_array_equal(own.next_token_batch(strings, threads=threads)[0], rows)
        np.testing.assert_array_equal(own.log_probability(strings, threads=threads), nats)


def test_memory_grows_with_the_spans_of_a_string():
    # Every stretch of a thicket is a span, each string has far more than the ones before.
    own = recursive(
        {"S": {"S S": 0.2, "S S S": 0.1, "T": 0.3, "a": 0.4}, "T": {"S": 1.0}}, max_length=120
    )
    lengths = [3, 40, 1, 120]
    alone = [own.log_probability([[1] * n])[0] for n in lengths]
    together = own.log_probability([[1] * n for n in lengths])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(np.exp(together), own.length_distribution[lengths], rtol=1e-10)
    rows, offsets = own.next_token_batch([[1] * n for n in lengths])
    tails = own.length_distribution[::-1].cumsum()[::-1]
    expected = own.length_distribution / tails
    np.testing.assert_allclose(rows[offsets[-2] :, 1], expected, rtol=1e-9)


@pytest.mark.parametrize("string", [[], [0], [3], [-1], [1, 2, 10**12], [2, 1], [1, 2] * 5])
def test_what_is_no_string_of_terminals_within_the_cap_is_outside_the_language(string):
    own = dyck(pairs=1, depth=None, max_length=8)
    assert own.log_probability([string])[0] == -np.inf
    assert not own.accepts([string])[0]


def test_nothing_is_defined_behind_what_cannot_be():
    own = recursive({"S": {"a S b": 0.5, "a b": 0.5}}, max_length=4)  # ab 2/3, aabb 1/3
    nan = [np.nan] * 3
    np.testing.assert_allclose(
        own.next_token([1, 1, 1]), [[1, 0, 0], [1 / 3, 2 / 3, 0], [0, 1, 0], nan]
    )
    np.testing.assert_allclose(
        own.next_token([1, 2, 2]), [[1, 0, 0], [1 / 3, 2 / 3, 0], [0, 0, 1], nan]
    )
    np.testing.assert_allclose(own.next_token([1, 1, 2, 2, 2])[4:], [[0, 0, 1], nan])
    np.testing.assert_allclose(own.next_token([7, 1]), [[1, 0, 0], nan, nan])
    scores, offsets = own.token_log_probabilities([[1, 2], [1, 7, 2], []])
    log, nan = math.log(2 / 3), np.nan
    np.testing.assert_allclose(scores, [0, log, 0, 0, -np.inf, nan, nan, -np.inf])
    assert offsets.tolist() == [0, 3, 7, 8]


def test_no_strings_give_no_numbers():
    own = SMALL[1]
    assert own.log_probability([]).shape == (0,)
    assert own.next_token_batch([])[0].shape == (0, 5)
    assert own.token_log_probabilities([])[0].shape == (0,)


def test_ambiguity_beyond_what_can_be_listed_is_found_by_samples_or_left_open(monkeypatch):
    monkeypatch.setattr("seqtune.tasks.cfg.recursive.ambiguity.STEPS", 10)
    thicket = recursive(THICKET, max_length=30)
    assert thicket.ambiguity().verdict == "ambiguous"
    assert thicket.accepts([thicket.ambiguity().witness or ()])[0]
    unknown = dyck(pairs=2, depth=None, max_length=30)
    brackets = RecursiveGrammar(
        name="brackets",
        root=unknown.root,
        rules=unknown.rules,
        probabilities=unknown.probabilities,
        max_length=30,
    )
    assert brackets.ambiguity().verdict == "unknown"
    assert abs(brackets.entropy() - unknown.entropy()) < 1e-9
    assert brackets.entropy().standard_error == math.log(2) / 2_048
    assert unknown.ambiguity().verdict == "unambiguous"


def test_a_sampled_entropy_agrees_with_the_exact_one(monkeypatch):
    own = recursive(CYCLE, max_length=5)
    exact = own.entropy()
    assert exact.standard_error == 0.0
    monkeypatch.setattr("seqtune.tasks.cfg.recursive.ambiguity.STEPS", 1)
    sampled = recursive(CYCLE, max_length=5).entropy()
    assert 0 < sampled.standard_error < 0.1
    assert abs(sampled - exact) < 4 * sampled.standard_error


def test_endless_derivations_are_not_counted():
    with pytest.raises(ValueError, match="no end of them: ") as error:
        recursive({"S": {"A": 0.5, "a": 0.5}, "A": {"S": 0.5, "b": 0.5}}, max_length=3).count()
    assert "A -> S" in str(error.value)


def test_a_unit_cycle_that_only_longer_strings_use_does_not_matter():
    rules = {"S": {"a": 0.5, "b b b A": 0.5}, "A": {"A": 0.5, "a": 0.5}}
    assert recursive(rules, max_length=3).count() == 1
    assert recursive(rules, max_length=3).entropy() == 0.0
    with pytest.raises(ValueError, match="no end of them: A -> A"):
        recursive(rules, max_length=4).count()


def test_another_root_keeps_all_terminals_and_so_the_token_ids():
    rules = {"S": {"A S y": 0.5, "z": 0.5}, "A": {"A x": 0.5, "x": 0.5}}
    part = recursive(rules, max_length=4).with_root("A")
    assert part.terminals == ("x", "y", "z")
    assert Listed(part).probability.keys() == {(1,) * n for n in range(1, 5)}
    with pytest.raises(ValueError, match="root x is a terminal"):
        part.with_root("x")


def test_a_grammar_is_an_immutable_value():
    one, same = (recursive(CYCLE, max_length=5) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    assert one != recursive(CYCLE, max_length=6)
    assert one != one.with_root("T")
    with pytest.raises(AttributeError):
        one.root = "T"  # type: ignore[misc]
    with pytest.raises(TypeError):
        one.rules["T"] = ()  # type: ignore[index]


def test_a_grammar_survives_pickling():
    for own in SMALL:
        copy = pickle.loads(pickle.dumps(own))
        assert copy == own
        assert copy.ambiguity() == own.ambiguity()
        assert copy.kept == own.kept


def test_probabilities_are_scaled_to_sum_to_one():
    own = recursive({"S": {"a S": 1 / 3 + 5e-10, "a": 1 / 3, "b": 1 / 3}}, max_length=4)
    assert math.fsum(own.probabilities["S"]) == pytest.approx(1, abs=1e-15)
    assert own.with_root("S") == own


LOOP = {"S": (("S", "a"), ("a",))}
HALVES = {"S": (0.5, 0.5)}
BAD = [
    (
        {"rules": {"S": (("a", "A"), ("a",)), "A": (("A", "b"),)}, "probabilities": HALVES},
        "A: must derive a string",
    ),
    ({"root": "a"}, "root a is a terminal, which has no rules; a root is one of S"),
    ({"root": "T"}, "no such root: 'T'; it is one of S"),
    ({"rules": {"S": ((), ("a",))}}, "S: a right-hand side must hold at least one symbol"),
    (
        {"rules": {"S": (("S", "a"), ("a", "b", "c"))}, "max_length": 2},
        "max_length: must be at least 3, the tokens of the shortest string of S, but got 2; "
        "write 3 or more",
    ),
    (
        {"max_length": 0},
        "max_length: must be an integer of at least 1, but got 0; "
        "write the tokens of the longest string",
    ),
    ({"max_length": 2.0}, "max_length: must be an integer of at least 1, but got 2.0"),
    ({"max_length": True}, "max_length: must be an integer of at least 1, but got True"),
    (
        {"probabilities": {"S": (0.5, 0.4)}},
        "S: probabilities must sum to 1, but got 0.5 + 0.4 = 0.9",
    ),
    (
        {"probabilities": {"S": (1.0, 0.0)}},
        "S: a probability must be a number above 0 and at most 1, but number 2 is 0.0; "
        "leave out a rule that is never used",
    ),
    ({"probabilities": {"S": (0.5, "half")}}, "S: a probability must be a number"),
    ({"probabilities": {"S": (0.5, float("nan"))}}, "S: a probability must be a number"),
    (
        {"probabilities": {"S": (1.0,)}},
        "S: must have as many probabilities as right-hand sides, 2, but got 1; write one for each",
    ),
    ({"probabilities": {}}, "S: must have as many probabilities as right-hand sides, 2, but got 0"),
    (
        {"probabilities": {"S": 0.5}},
        "S: must have as many probabilities as right-hand sides, 2, but got 0.5; write one for each",
    ),
    (
        {"probabilities": HALVES | {"T": (1.0,)}},
        "T: must have rules, since it has probabilities, but got none; leave out T",
    ),
    ({"probabilities": 0.5}, "probabilities must map nonterminals to one number for each"),
]


@pytest.mark.parametrize(("wrong", "message"), BAD)
def test_a_bad_grammar_is_explained_in_one_line(wrong, message):
    arguments = {"root": "S", "rules": LOOP, "probabilities": HALVES, "max_length": 5} | wrong
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        RecursiveGrammar(name="bad", **arguments)
    assert len(str(error.value).splitlines()) == 1


def test_all_problems_are_told_at_once():
    with pytest.raises(ValueError, match="S: a probability") as error:
        RecursiveGrammar(
            name="bad", root="S", rules=LOOP, probabilities={"S": (0.5, 2.0)}, max_length=0
        )
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == ["S", "max_length"]


def test_a_cap_that_keeps_next_to_nothing_is_refused():
    rules = {"S": {" ".join("A" * 40): 1.0}, "A": {"A A": 1 - 1e-9, "a": 1e-9}}
    with pytest.raises(ValueError, match="max_length: must keep a share of at least 1e-250"):
        recursive(rules, max_length=40)


def test_figures_are_told_before_anything_is_compiled():
    code = (
        "import sys; from seqtune.tasks.cfg.dyck import dyck; own = dyck(pairs=1, depth=2, max_length=8); "
        "own.count(), own.lengths, own.entropy(); sys.exit('numba' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("strings", [[1, 2, 3], [[1.5, 2.0]]])
def test_what_is_no_sequence_of_strings_is_refused(strings):
    with pytest.raises(ValueError, match="strings must"):
        SMALL[0].log_probability(strings)


def test_a_negative_number_of_threads_is_refused():
    with pytest.raises(ValueError, match="threads >= 0 must hold"):
        SMALL[0].log_probability([[1, 2]], threads=-1)


def test_grammar_and_recursive_grammar_offer_the_same():
    def public(own: type) -> set[str]:
        return {name for name in dir(own) if not name.startswith("_")}

    only_plain = {
        "from_rules",
        "height",
        "heights",
        "with_height",
        "counts",
        "strings",
        "derivations",
    }
    assert public(Grammar) - public(RecursiveGrammar) <= only_plain
