import numpy as np

from seqtune.tasks.cfg.grammar import Grammar
from seqtune.tasks.cfg.trees import COLUMNS, draw_tree


def drawn(rules: dict[str, list[str]], *, root: str = "S") -> tuple[str, ...]:
    """The tree of a grammar with a single string."""
    one = Grammar.from_rules(name="one", root=root, rules=rules)
    return draw_tree(one.sample_trees(1, np.random.default_rng(0)), 0)


def test_every_node_stands_above_its_tokens():
    rules = {"10": ["7 9 8"], "7": ["3 1"], "9": ["3 2 1"], "8": ["3 2"]}
    assert drawn(rules, root="10") == (
        "10───────────",
        "7── 9──── 8──",
        "3 1 3 2 1 3 2",
    )


def test_a_shallow_token_has_nothing_above_it():
    assert drawn({"S": ["a A b"], "A": ["c d"]}) == ("S──────", "  A──", "a c d b")


def test_long_names_make_columns_wide():
    assert drawn({"S": ["Noun Verb"], "Noun": ["cat"], "Verb": ["purrs"]}) == (
        "S──────────",
        "Noun─ Verb─",
        "cat   purrs",
    )


def test_a_long_string_is_cut():
    lines = drawn({"S": [" ".join(["x"] * 100)]})
    assert all(len(line) == COLUMNS and line.endswith("…") for line in lines)
