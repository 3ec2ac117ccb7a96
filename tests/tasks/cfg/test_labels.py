import numpy as np
import pytest

from seqtune import seeding
from seqtune.tasks.base import WithTrees
from seqtune.tasks.cfg.grammar_spec import OwnSpec
from seqtune.tasks.cfg.labels import LEVELS
from seqtune.tasks.cfg.rules import Rules
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.cfg.task import CfgTask

NONE = -1
EVEN = {"S": ["A B"], "A": ["a b"], "B": ["b a a"]}
"""One tree only: S over A over `a b` and B over `b a a`."""
UNEVEN = {"S": ["a A"], "A": ["b B"], "B": ["a a"]}
"""One tree only, a chain: every level begins a token later."""

Node = tuple[str, int, int]
"""Symbol, and the tokens that it derives from the first to behind the last."""


def labelled(count: int = 3, **fields: object) -> WithTrees:
    task = CfgTask(CfgSpec.parse({"kind": "cfg", **fields}))
    found = task.with_trees(count, generator=seeding.generator(0, "data"))
    assert found is not None
    return found


def own(rules: dict[str, list[str]], **fields: object) -> OwnSpec:
    return OwnSpec.parse({"kind": "own", "root": "S", "rules": rules, **fields})


def names(found: WithTrees, level: int, row: int = 0) -> list[str | None]:
    """The ancestors by name, None where there is none."""
    classes = found.ancestors[level, row].tolist()
    return [None if each == NONE else found.symbols[each] for each in classes]


def test_a_tree_by_hand_in_the_sentence_layout():
    found = labelled(grammar=own(EVEN))
    assert found.batch.tokens[0].tolist() == [0, 1, 2, 2, 1, 1]
    assert found.levels == ("height 1", "height 2")
    assert names(found, 0) == [None, "A", "A", "B", "B", "B"]
    assert names(found, 1) == [None, "S", "S", "S", "S", "S"]
    assert found.boundaries[:, 0].tolist() == [[NONE, 0, 1, 0, 0, 1], [NONE, 0, 0, 0, 0, 1]]


def test_the_padded_layout_never_reads_the_last_token():
    found = labelled(grammar=own(EVEN), format="padded")
    assert found.batch.tokens[0].tolist() == [1, 2, 2, 1]
    assert names(found, 0) == ["A", "A", "B", "B"]
    assert found.boundaries[:, 0].tolist() == [[0, 1, 0, 0], [0, 0, 0, 0]]


def test_windows_of_the_packed_layout_go_over_ends_and_beginnings():
    """The stream is 0 1 2 2 1 1 3, again and again, and starts anywhere."""
    found = labelled(2, grammar=own(EVEN), format="packed", length=13)
    begin = found.batch.strings.tokens.tolist().index(0)
    for row, first in enumerate((-begin % 7, 14 - begin)):
        places = [(first + place) % 7 for place in range(13)]
        assert found.batch.tokens[row].tolist() == [[0, 1, 2, 2, 1, 1, 3][k] for k in places]
        assert names(found, 0, row) == [[None, "A", "A", "B", "B", "B", None][k] for k in places]
        for level, ends in enumerate(([NONE, 0, 1, 0, 0, 1, NONE], [NONE, 0, 0, 0, 0, 1, NONE])):
            assert found.boundaries[level, row].tolist() == [ends[k] for k in places]


def test_where_leaves_lie_at_many_depths_levels_count_from_the_root():
    found = labelled(grammar=own(UNEVEN))
    assert found.levels == ("depth 2", "depth 1", "depth 0")
    assert names(found, 0) == [None, None, None, "B", "B"]
    assert names(found, 1) == [None, None, "A", "A", "A"]
    assert names(found, 2) == [None, "S", "S", "S", "S"]
    assert found.boundaries[:, 0].tolist() == [
        [NONE, NONE, NONE, 0, 1],
        [NONE, NONE, 0, 0, 1],
        [NONE, 0, 0, 0, 1],
    ]


def test_a_recursive_grammar_keeps_the_levels_next_to_the_root():
    """`S -> a S | a` is a chain: token d has the S of depth d above it, and all before."""
    found = labelled(20, grammar=own({"S": ["a S", "a"]}, max_length=40))
    assert found.levels == tuple(f"depth {depth}" for depth in reversed(range(LEVELS)))
    for level, depth in enumerate(reversed(range(LEVELS))):
        for row, length in enumerate(found.batch.strings.lengths):
            expected = [0 if depth < place <= length else NONE for place in range(length + 1)]
            assert found.ancestors[level, row, : length + 1].tolist() == expected


def nodes(found: WithTrees, row: int) -> set[Node]:
    """The nodes that the labels of a row speak of."""
    lengths = found.batch.strings.lengths
    spans: set[Node] = set()
    for level in range(len(found.levels)):
        begin = 0
        for place in range(lengths[row]):
            if found.boundaries[level, row, place + 1]:
                classes = set(found.ancestors[level, row, begin + 1 : place + 2].tolist())
                assert len(classes) == 1
                spans.add((found.symbols[classes.pop()], begin, place + 1))
                begin = place + 1
        assert begin == lengths[row]
    return spans


def parsed(symbol: str, text: tuple[str, ...], begin: int, rules: Rules) -> list[set[Node]]:
    """The nodes of every tree of `symbol` over all of a text, by trying every way to share it."""
    if symbol not in rules:
        return [set()] if text == (symbol,) else []
    trees = (tree for right in rules[symbol] for tree in shared(right, text, begin, rules))
    return [{(symbol, begin, begin + len(text)), *tree} for tree in trees]


def shared(
    symbols: tuple[str, ...], text: tuple[str, ...], begin: int, rules: Rules
) -> list[set[Node]]:
    if not symbols:
        return [] if text else [set()]
    found: list[set[Node]] = []
    for cut in range(1, len(text) - len(symbols) + 2):
        for first in parsed(symbols[0], text[:cut], begin, rules):
            rest = shared(symbols[1:], text[cut:], begin + cut, rules)
            found += [first | other for other in rest]
    return found


def test_the_labels_are_those_of_a_plain_parser():
    spec = CfgSpec(grammar="cfg3b", height=3)
    language = spec.language()
    found = labelled(6, grammar="cfg3b", height=3)
    for row, string in enumerate(found.batch.strings):
        text = tuple(language.terminals[token - 1] for token in string)
        assert parsed(language.root, text, 0, language.rules) == [nodes(found, row)]


@pytest.mark.parametrize("format", ["sentence", "padded", "packed"])
def test_labels_are_known_wherever_a_terminal_is_read_and_nowhere_else(format: str):
    found = labelled(40, grammar="cfg3f", height=3, format=format)
    ends = np.isin(found.batch.tokens, [0, 4])
    for labels in (found.ancestors, found.boundaries):
        assert ((labels == NONE) == ends).all()


def test_many_parts_are_drawn_as_one():
    """More tokens than are drawn at once: the rows of all parts stand in the order of their strings."""
    found = labelled(3_000, grammar="cfg3b", height=2)
    last_read = found.boundaries[1, np.arange(3_000), found.batch.strings.lengths]
    assert (last_read == 1).all()
    assert (found.boundaries[1] == 1).sum() == 3_000
