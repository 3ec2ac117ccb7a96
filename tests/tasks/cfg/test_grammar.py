"""Rules, counts, lengths and entropies of grammars, and what a person is told who writes a wrong one."""

import math
import pickle
import re

import numpy as np
import pytest

from seqtune.tasks.cfg.grammar import Grammar, grammar
from seqtune.tasks.cfg.named import RULES, parse_rules
from seqtune.tasks.cfg.rules import problems

MIXED = {"S": ["A x B", ["B"], "x y"], "A": ["x", "y y"], "B": ["A A", "C"], "C": ["x y x"]}

# cfg3b by height: root, lengths, log2 of the number of strings, nats a string. Computed exactly
# elsewhere and printed with so many digits.
FIGURES = [
    (1, "7", (2, 2.5, 3), 1, 0.693),
    (2, "10", (6, 7.5, 9), 4, 2.773),
    (3, "14", (18, 22.5, 27), 13, 9.011),
    (4, "17", (48, 60, 72), 36, 24.953),
    (5, "19", (108, 157.5, 216), 107, 66.542),
    (6, "22", (138, 275.625, 432), 213.586, 117.315),
]


@pytest.mark.parametrize(("height", "root", "lengths", "log2_count", "nats"), FIGURES)
def test_cfg3b_has_the_known_figures(height, root, lengths, log2_count, nats):
    part = grammar("cfg3b", height=height)
    assert (part.root, part.height) == (root, height)
    assert (part.lengths.min, part.lengths.mean, part.lengths.max) == lengths
    assert math.log2(part.count()) == pytest.approx(log2_count, abs=5e-4)
    assert part.derivation_entropy() == pytest.approx(nats, abs=5e-4)


def test_counts_are_exact_integers():
    # Rules of equal count double at heights 1 to 4; at 5, two of the children count 2^22 + 2^35.
    counts = [grammar("cfg3b", height=height).count() for height in range(1, 6)]
    assert counts == [2, 2**4, 2**13, 2**36, 2 * 2**36 * (2**22 + 2**35) ** 2]


def test_cfg3b_has_two_times_ten_to_the_64_strings():
    assert grammar("cfg3b").count() == pytest.approx(1.98e64, rel=5e-3)


def test_cfg3f_has_the_known_figures():
    whole = grammar("cfg3f")
    assert (whole.lengths.min, whole.lengths.max) == (64, 729)
    assert whole.lengths.mean == pytest.approx(249.9, abs=0.05)
    assert math.log2(whole.count()) == pytest.approx(551.7, abs=0.05)
    assert whole.derivation_entropy() / math.log(2) == pytest.approx(268.66, abs=5e-3)


@pytest.mark.parametrize("name", RULES)
def test_every_named_grammar_has_one_depth_and_terminals_1_2_3(name):
    whole = grammar(name)
    assert whole.terminals == ("1", "2", "3")
    assert whole.height == (7 if name in {"cfg3j", "cfg3k"} else 6)
    assert len(whole.rules) == 3 * (whole.height - 1) + 1
    for symbol, right in whole.rules.items():
        children = {whole.heights.get(child, 0) for rhs in right for child in rhs}
        assert children == {whole.heights[symbol] - 1}
        assert {len(rhs) for rhs in right} <= {2, 3}


def test_counts_lengths_and_entropy_of_a_grammar_of_mixed_depth_by_hand():
    mixed = Grammar.from_rules(name="mixed", root="S", rules=MIXED)
    assert dict(mixed.heights) == {"A": 1, "B": 2, "C": 1, "S": 3}
    # A: x, yy. B: four strings of A A, and xyx. S: 2 * 5 of A x B, 5 of B, and xy.
    assert mixed.count() == 10 + 5 + 1
    # Mean of A 3/2, of C 3, of B (3 + 3) / 2, of S (3/2 + 1 + 3 + 3 + 2) / 3.
    assert mixed.lengths.mean == pytest.approx(10.5 / 3)
    assert (mixed.lengths.min, mixed.lengths.max) == (2, 7)
    entropy_a = math.log(2)
    entropy_b = math.log(2) + entropy_a
    assert mixed.derivation_entropy() == pytest.approx(
        math.log(3) + (entropy_a + entropy_b + entropy_b) / 3
    )


def test_terminals_are_in_natural_order_numbers_first():
    rules = {"S": ["10 2", "b 1", "B a"]}
    own = Grammar.from_rules(name="own", root="S", rules=rules)
    assert own.terminals == ("1", "2", "10", "B", "a", "b")


def test_another_root_keeps_all_terminals_and_so_the_token_ids():
    rules = {"S": ["A B"], "A": ["x z"], "B": ["y", "z z"]}
    part = Grammar.from_rules(name="own", root="S", rules=rules).with_root("A")
    assert part.terminals == ("x", "y", "z")
    assert part.strings() == {(1, 3): 1.0}


def test_with_height_takes_the_longest_mean_string_and_the_first_of_equals():
    rules = {
        "S": ["A B C D"],
        "A": ["x"],
        "B": ["x y", "y"],
        "C": ["y x y", "y y y"],
        "D": ["x x x"],
    }
    own = Grammar.from_rules(name="own", root="S", rules=rules)
    assert own.with_height(1).root == "C"
    assert own.with_height(1).with_height(2).root == "S"


def test_heights_and_roots_can_be_named_in_one_call():
    assert grammar("cfg3b", root=17) == grammar("cfg3b", height=4) == grammar("cfg3b", root="17")


def test_a_grammar_is_an_immutable_value():
    one = Grammar.from_rules(name="own", root="S", rules={"S": ["A b", "b"], "A": ["a"]})
    same = Grammar.from_rules(name="own", root="S", rules={"A": [["a"]], "S": [["A", "b"], "b"]})
    assert one == same
    assert hash(one) == hash(same)
    assert one != one.with_root("A")
    with pytest.raises(AttributeError):
        one.root = "A"  # type: ignore[misc]
    with pytest.raises(TypeError):
        one.rules["A"] = ()  # type: ignore[index]


def test_a_grammar_survives_pickling():
    part = grammar("cfg3b", height=3)
    copy = pickle.loads(pickle.dumps(part))
    assert copy == part
    assert copy.count() == part.count()


def test_rules_may_be_texts_lists_and_numbers():
    written = Grammar.from_rules(name="own", root=9, rules={9: ["8 1", [8, 2]], 8: [1, 2]})
    assert written.rules == {"9": (("8", "1"), ("8", "2")), "8": (("1",), ("2",))}


def test_compact_notation_takes_semicolons_and_lines():
    assert parse_rules("S -> A b | b;\n A->a ;") == {"S": [["A", "b"], ["b"]], "A": [["a"]]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("S = a b", "a rule must be written 'A -> B C | D', but got 'S = a b'"),
        ("S -> a; S -> b", "S: must have one line of rules, but got two; join them with '|'"),
    ],
)
def test_bad_notation_is_explained(text, message):
    with pytest.raises(ValueError, match="must") as error:
        parse_rules(text)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("rules", "around"),
    [
        ({"S": ["A x", "x"], "A": ["B", "x"], "B": ["x S"]}, "S -> A -> B -> S"),
        ({"S": ["S a", "a"]}, "S -> S"),
    ],
)
def test_recursion_needs_a_cap(rules, around):
    assert problems("S", rules) == []
    message = f"rules must not be recursive here, but got {around}; a recursive grammar needs a"
    with pytest.raises(ValueError, match=re.escape(message)):
        Grammar.from_rules(name="bad", root="S", rules=rules)


def test_probabilities_weigh_everything_that_is_computed_from_rules():
    rules = {"S": {"A A": 0.25, "A": 0.75}, "A": {"a": 0.9, "b b": 0.1}}
    weighted = Grammar.from_rules(name="weighted", root="S", rules=rules)
    strings = weighted.strings()
    assert strings[(1,)] == pytest.approx(0.75 * 0.9)
    assert strings[(1, 2, 2)] == pytest.approx(0.25 * 0.9 * 0.1)
    assert sum(strings.values()) == pytest.approx(1, abs=1e-12)
    mean = sum(len(string) * p for string, p in strings.items())
    assert weighted.lengths.mean == pytest.approx(mean)
    entropy = -sum(p * math.log(p) for _, p in weighted.derivations())
    assert weighted.derivation_entropy() == pytest.approx(entropy)
    np.testing.assert_allclose(
        np.exp(weighted.log_probability(list(strings))), list(strings.values())
    )
    assert weighted.count() == 6
    again = pickle.loads(pickle.dumps(weighted))
    assert again.probabilities == weighted.probabilities
    assert again == weighted
    assert weighted != Grammar.from_rules(
        name="weighted", root="S", rules={k: list(v) for k, v in rules.items()}
    )


BAD = [
    (
        {"S": ["A b"], "A": []},
        "S",
        "A: must have at least one right-hand side, but got none; "
        "write one, or leave A out to make it a terminal",
    ),
    (
        {"S": ["a", ""]},
        "S",
        "S: a right-hand side must hold at least one symbol, but number 2 is empty; "
        "leave it out: deriving nothing is not supported",
    ),
    (
        {"S": ["a b", "b", ["a", "b"]]},
        "S",
        "S: right-hand sides must differ, but got 'a b' 2 times; write it once",
    ),
    (
        {"S": ["a | b"]},
        "S",
        "S: a symbol must be text without blanks, '|' and '->', but right-hand side 1 holds '|'; "
        "write every alternative as an entry of its own",
    ),
    (
        {"S": "a b"},
        "S",
        "S: must have a list of right-hand sides, but got 'a b'; write ['a b']",
    ),
    (
        {"7": ["a"], 7: ["b"]},
        "7",
        "7: must be given once, but got it as a number and as text; join the two",
    ),
    (
        {},
        "S",
        "rules must map nonterminals to their right-hand sides, such as {'S': ['a b', 'a']}, "
        "but got {}",
    ),
    (
        {"S": ["A x", "x"], "A": ["B x", "A A"], "B": ["x A"]},
        "S",
        "A: must derive a string, but every one of its rules leads back to A; "
        "give it a rule that ends\n"
        "B: must derive a string, but every one of its rules leads back to B; "
        "give it a rule that ends",
    ),
    (
        {"S": {"a": 0.5, "b": 0.4}},
        "S",
        "S: probabilities must sum to 1, but got 0.5 + 0.4 = 0.9",
    ),
    (
        {"S": {"a": 1.5, "b": 0}},
        "S",
        "S: a probability must be a number above 0 and at most 1, but a is 1.5; leave "
        "out a rule that is never used\n"
        "S: a probability must be a number above 0 and at most 1, but b is 0; leave "
        "out a rule that is never used",
    ),
    (
        {"Noun": ["cat"], "Phrase": ["Noun", "the Noun"]},
        "Prase",
        "no such root: 'Prase'; did you mean Phrase?",
    ),
    (
        {"S": ["a b"]},
        "a",
        "root a is a terminal, which has no rules; a root is one of S",
    ),
]


@pytest.mark.parametrize(("rules", "root", "message"), BAD)
def test_a_bad_grammar_is_explained_in_one_line(rules, root, message):
    assert problems(root, rules) == message.splitlines()
    with pytest.raises(ValueError, match=re.escape(message)):
        Grammar.from_rules(name="bad", root=root, rules=rules)


def test_all_problems_are_told_at_once():
    rules = {"S": ["A b", "A b"], "A": []}
    found = problems("T", rules)
    assert [line.split()[0] for line in found] == ["S:", "A:", "no"]
    with pytest.raises(ValueError, match="S: right-hand sides must differ") as error:
        Grammar.from_rules(name="bad", root="T", rules=rules)
    assert str(error.value).splitlines() == found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"name": "cfg3c"},
            "no such grammar: 'cfg3c'; "
            "it is one of cfg3b, cfg3i, cfg3h, cfg3g, cfg3f, cfg3j, cfg3k",
        ),
        (
            {"name": "cfg3b", "height": 7},
            "height must be an integer from 1 to 6 for cfg3b, but got 7",
        ),
        (
            {"name": "cfg3b", "height": 0},
            "height must be an integer from 1 to 6 for cfg3b, but got 0",
        ),
        (
            {"name": "cfg3b", "height": "2"},
            "height must be an integer from 1 to 6 for cfg3b, but got '2'",
        ),
        (
            {"name": "cfg3b", "root": 3},
            "root 3 is a terminal, which has no rules; a root is one of 7, 8, 9, 10, 11, 12, 13, 14, "
            "15, 16, 17, 18, 19, 20, 21, 22",
        ),
        (
            {"name": "cfg3b", "root": 7, "height": 1},
            "give either root or height, but got (root=7, height=1)",
        ),
    ],
)
def test_a_wrong_name_root_or_height_is_explained(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        grammar(**arguments)
