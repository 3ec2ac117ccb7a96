from typing import Annotated, Literal

import pytest
from pydantic import Field

from seqtune.config.errors import Problem, SpecError, dotted, nearest
from seqtune.config.nested import assign, merge
from seqtune.config.spec import Spec, paths, read, replace
from seqtune.config.unions import ByKind


class Apple(Spec):
    kind: Literal["apple"] = "apple"
    weight: float = Field(default=1.0, gt=0)
    seeds: int = Field(default=5, ge=1)


class Pear(Spec):
    kind: Literal["pear"] = "pear"
    length: float = 2.0


Fruit = Annotated[Apple | Pear, ByKind()]


class Basket(Spec):
    fruit: Fruit
    spare: Annotated[Apple | Pear, ByKind(default="pear")] = Pear()
    open: bool = False
    sizes: Annotated[tuple[float, ...], Field(strict=False)] = ()


def problems(data: object) -> list[str]:
    with pytest.raises(SpecError) as caught:
        Basket.parse(data)
    return [str(problem) for problem in caught.value.problems]


def test_a_bare_string_stands_for_its_kind():
    assert Basket.parse({"fruit": "apple"}).fruit == Apple()


def test_a_block_without_kind_takes_the_default_where_there_is_one():
    assert Basket.parse({"fruit": "apple", "spare": {"length": 3}}).spare == Pear(length=3.0)
    assert problems({"fruit": {"weight": 2}}) == ["fruit: needs a `kind`: apple, pear"]


def test_all_problems_are_told_at_once_with_their_paths():
    wrong = {"fruit": {"kind": "apple", "weight": 0, "seed": 3}, "open": "on", "sizes": [1, "two"]}
    assert problems(wrong) == [
        "fruit.weight: must be above 0, but got 0",
        "fruit.seed: no such field; did you mean fruit.seeds?",
        "open: must be true or false, but got 'on'",
        "sizes[1]: must be a number, but got 'two'",
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "fruit: is required, and is not given"),
        ({"fruit": "aple"}, "fruit: no such kind: 'aple'; did you mean apple?"),
        ({"fruit": 3}, "fruit: must be a mapping or one of apple, pear, but got 3"),
        (
            {"fruit": {"kind": "apple", "seeds": 1.5}},
            "fruit.seeds: must be a whole number, but got 1.5",
        ),
        (
            {"fruit": {"kind": "apple", "seeds": True}},
            "fruit.seeds: must be a whole number, but got true",
        ),
        ({"fruit": "pear", "sizes": 3}, "sizes: must be a list, but got 3"),
        ([1], "must be a mapping, but got [1]"),
    ],
)
def test_a_problem_says_what_must_hold_and_what_was_given(data: object, message: str):
    assert problems(data) == [message]


def test_a_spec_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Basket.parse({"fruit": "pear"}).open = True  # pyright: ignore[reportAttributeAccessIssue]


def test_the_hash_changes_with_any_field_and_with_nothing_else():
    basket = Basket.parse({"fruit": "apple"})
    assert basket.hash() == Basket.parse({"fruit": {"kind": "apple", "weight": 1}}).hash()
    assert basket.hash() != replace(basket, {"fruit.seeds": 6}).hash()


def test_dotted_paths_read_what_they_replace():
    basket = replace(Basket.parse({"fruit": "apple"}), {"fruit": "pear", "fruit.length": 7.5})
    assert basket.fruit == Pear(length=7.5)
    assert read(basket, "fruit.length") == 7.5
    assert "spare.length" in paths(basket)


def test_a_misspelt_path_names_the_nearest():
    basket = Basket.parse({"fruit": "apple"})
    with pytest.raises(SpecError, match=r"fruit\.seed: no such path; did you mean fruit\.seeds\?"):
        read(basket, "fruit.seed")
    with pytest.raises(SpecError, match=r"did you mean fruit\.seeds"):
        replace(basket, {"fruit.seed": 3})


def test_replacing_validates():
    with pytest.raises(SpecError, match=r"fruit\.weight: must be above 0, but got -1"):
        replace(Basket.parse({"fruit": "apple"}), {"fruit.weight": -1})


def test_a_path_through_a_bare_string_keeps_its_kind():
    assert assign({"fruit": "pear"}, {"fruit.length": 1.0}) == {
        "fruit": {"kind": "pear", "length": 1.0}
    }


def test_keys_that_are_dotted_paths_themselves_are_set_as_a_whole():
    data = assign({"compare": {"a.b": [1]}}, {"compare.a.b": [2], "tune.c.d": 3})
    assert data == {"compare": {"a.b": [2]}, "tune": {"c.d": 3}}


def test_a_block_of_another_kind_replaces_and_of_the_same_kind_merges():
    below = {"fruit": {"kind": "apple", "seeds": 3}, "open": True}
    assert merge(below, {"fruit": {"weight": 2.0}})["fruit"] == {
        "kind": "apple",
        "seeds": 3,
        "weight": 2.0,
    }
    assert merge(below, {"fruit": {"kind": "pear"}})["fruit"] == {"kind": "pear"}
    assert merge(below, {"fruit": "pear"})["fruit"] == "pear"
    assert merge({"fruit": "pear"}, {"fruit": {"kind": "pear", "length": 1.0}})["fruit"] == {
        "kind": "pear",
        "length": 1.0,
    }


def test_small_sentences():
    assert dotted(("forcing", "phases", 0, "rate")) == "forcing.phases[0].rate"
    assert nearest("widht", ["width", "layers"]) == "; did you mean width?"
    assert nearest("x", ["width", "layers"]) == "; it is one of width, layers"
    assert str(Problem((), "is wrong")) == "is wrong"
