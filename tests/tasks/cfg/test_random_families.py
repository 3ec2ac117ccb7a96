import pytest

from seqtune.config.errors import SpecError
from seqtune.tasks.cfg.grammar import Grammar
from seqtune.tasks.cfg.grammar_spec import GeneratedSpec
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.cfg.task import CfgTask


def built(**fields: object) -> Grammar:
    grammar = GeneratedSpec.parse({"kind": "generated", **fields}).build()
    assert isinstance(grammar, Grammar)
    return grammar


@pytest.mark.parametrize("ambiguity", ["allow", "forbid"])
def test_a_family_has_the_shape_that_was_asked_for(ambiguity: str):
    grammar = built(
        height=4, symbols=3, rules=2, lengths=[2, 3], terminals=4, ambiguity=ambiguity, seed=5
    )
    assert grammar.terminals == ("1", "2", "3", "4")
    assert grammar.height == 4
    levels = [[s for s, own in grammar.heights.items() if own == h] for h in range(1, 5)]
    assert [len(level) for level in levels] == [3, 3, 3, 1]
    for below, level in zip([list(grammar.terminals), *levels[:-1]], levels, strict=True):
        words = [rhs for symbol in level for rhs in grammar.rules[symbol]]
        assert len(words) == len(set(words)) == 2 * len(level)
        assert all(len(rhs) in (2, 3) and set(rhs) <= set(below) for rhs in words)


def test_the_same_seed_is_the_same_grammar_on_every_machine():
    first, again, other = (built(height=2, symbols=2, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.rules != other.rules
    assert dict(first.rules) == FIRST


FIRST = {
    "6": (("4", "5", "5"), ("5", "5", "4")),
    "5": (("1", "3"), ("2", "1", "1")),
    "4": (("1", "1"), ("3", "1", "2")),
}


@pytest.mark.parametrize("seed", range(4))
def test_ambiguity_is_forbidden_by_proof(seed: int):
    grammar = built(height=5, ambiguity="forbid", seed=seed)
    assert grammar.ambiguity().verdict == "unambiguous"
    assert grammar.entropy().standard_error == 0
    assert grammar.entropy() == grammar.derivation_entropy()


def test_without_being_forbidden_it_comes():
    verdicts = {built(height=3, rules=3, seed=seed).ambiguity().verdict for seed in range(8)}
    assert "ambiguous" in verdicts


def test_counts_are_those_of_the_list_of_derivations():
    grammar = built(height=2, rules=3, lengths=[1, 2], terminals=3, seed=3)
    assert grammar.count() == len(grammar.derivations())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"symbols": 9, "rules": 5, "lengths": [2], "terminals": 2},
            "too few right-hand sides: 9 x 5 are needed on one level, but over 2 symbols there are "
            "4 of length 2",
        ),
        (
            {"height": 2, "symbols": 4, "lengths": [1], "terminals": 10, "rules": 5},
            "too few right-hand sides: 1 x 5 are needed on one level, but over 4 symbols there are "
            "4 of length 1",
        ),
        ({"lengths": []}, "lengths: needs at least one length"),
        ({"lengths": [0]}, "lengths[0]: must be at least 1, but got 0"),
        ({"height": 0}, "height: must be at least 1, but got 0"),
        ({"ambiguity": "no"}, "ambiguity: must be 'allow' or 'forbid', but got 'no'"),
        (
            {"height": 2, "symbols": 1, "lengths": [1, 2], "terminals": 1, "ambiguity": "forbid"},
            "no unambiguous grammar was found in 10 draws; take fewer rules, longer right-hand "
            "sides, more symbols or terminals, or another seed",
        ),
    ],
)
def test_a_wish_that_cannot_be_met_is_told(fields: dict[str, object], message: str):
    with pytest.raises(SpecError) as caught:
        GeneratedSpec.parse({"kind": "generated", **fields})
    assert str(caught.value) == message


def test_of_height_1_the_root_needs_right_hand_sides_of_terminals_only():
    grammar = built(height=1, symbols=1, terminals=10, rules=4, lengths=[1])
    assert grammar.count() == 4


def test_strings_that_are_too_long_are_refused_at_once():
    with pytest.raises(SpecError) as caught:
        CfgSpec.parse({"kind": "cfg", "grammar": {"kind": "generated", "height": 40}})
    assert str(caught.value).startswith("grammar: has strings of up to ")
    assert "but at most 8,192 are supported; take a lower height" in str(caught.value)


def test_a_task_takes_a_family_by_its_kind_alone():
    task = CfgTask(CfgSpec.parse({"kind": "cfg", "grammar": "generated"}))
    assert task.grammar == GeneratedSpec().build()
    part = CfgSpec.parse(
        {"kind": "cfg", "grammar": {"kind": "generated", "height": 4}, "height": 2}
    )
    assert isinstance(CfgTask(part).grammar, Grammar)
