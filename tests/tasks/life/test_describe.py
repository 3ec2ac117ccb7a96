"""The language in figures."""

import itertools
import json
import math

import numpy as np
import pytest

from seqtune.tasks.description import (
    Description,
    EstimatedFigure,
    Figures,
    GridFigure,
    ListedStrings,
    Value,
)
from seqtune.tasks.life.spec import LifeSpec
from seqtune.tasks.life.task import LifeTask
from tests.tasks.life.boards import CONWAY, plain_step


def described(**fields: object) -> Description:
    return LifeTask(LifeSpec.parse({"kind": "life", **fields})).describe()


def figures(description: Description) -> dict[str, Value]:
    """All of them, whatever their heading."""
    parts = [part for part in description.parts.values() if isinstance(part, Figures)]
    return {name: value for part in parts for name, value in part.values.items()}


def near(value: Value, expected: float) -> bool:
    """Whether an estimate agrees with what is expected."""
    assert isinstance(value, EstimatedFigure)
    return abs(value.value - expected) <= 5 * value.standard_error + 1e-12


def test_the_sizes_are_exact():
    found = figures(described(rows=32, columns=32))
    assert found["first boards"] == 2**1024
    assert found["characters a string"] == 2071
    assert found["characters a prompt"] == 1043
    assert found["characters a completion"] == 1028
    assert found["tokens of the vocabulary"] == 256


def test_a_step_at_density_one_half_by_the_binomial():
    """A cell lives on with 2 or 3 of 8 live neighbours, and is born with 3."""
    found = figures(described(rows=16, columns=16))
    two, three = (math.comb(8, n) / 2**8 for n in (2, 3))
    after = 0.5 * (two + three) + 0.5 * three
    changed = 0.5 * (1 - two - three) + 0.5 * three
    assert near(found["share of live cells before"], 0.5)
    assert near(found["share of live cells after"], after)
    assert near(found["share of cells that change"], changed)
    assert near(found["cells right if all are called dead"], 1 - after)
    assert near(found["cells right if the board is copied"], 1 - changed)


def test_floors_are_given_for_both_losses_where_they_are_known():
    name = "floor of the whole string, nats a token"
    found = figures(described(rows=32, columns=32))
    assert found["floor of the completion, nats a token"] == 0.0
    assert found[name] == pytest.approx(0.34289, abs=5e-6)
    assert figures(described(rows=32, columns=32, density="broad"))[name] == pytest.approx(
        0.248816, abs=1e-6
    )
    clustered = figures(described(rows=8, columns=8, layout="heterogeneous"))
    assert clustered[name] is None
    assert near(clustered["heterogeneity reached"], 0.2793)
    assert clustered["heterogeneity aimed at"] == pytest.approx(0.2793, abs=1e-3)


def test_all_boards_of_a_tiny_world_are_tried():
    found = figures(described(rows=2, columns=4))
    boards = [
        np.array(cells, dtype=np.uint8).reshape(2, 4)
        for cells in itertools.product((0, 1), repeat=8)
    ]
    after = [plain_step(each, rule=CONWAY, border="torus") for each in boards]
    images = len({each.tobytes() for each in after})
    assert found["different second boards"] == images
    assert found["boards that are no second board (Gardens of Eden)"] == 256 - images
    still = sum((one == other).all() for one, other in zip(boards, after, strict=True))
    assert found["boards that do not change"] == still
    assert "different second boards" not in figures(described(rows=4, columns=5))


def test_patterns_and_an_example_are_shown():
    description = described()
    patterns, example = description.parts["test patterns"], description.parts["example"]
    assert isinstance(patterns, GridFigure)
    assert patterns.rows[0] == ("glider", 3, 3, 5)
    assert isinstance(example, ListedStrings)
    *rows, blank, text = example.lines
    assert blank == ""
    before, after = ("".join(row.split()[side] for row in rows) for side in (0, 1))
    first, second = (each.replace(".", "0").replace("O", "1") for each in (before, after))
    assert text == f"@PredictNextState<{first}> [{second}]$"
    assert max(map(len, described(rows=32, columns=32).parts["example"].to_data())) < 120


def test_a_description_is_plain_data():
    for fields in (
        {},
        {"density": "broad", "steps": 2},
        {"density": {"kind": "beta", "a": 2, "b": 5}},
    ):
        data = described(**fields).to_data()
        assert json.loads(json.dumps(data)) == data
    assert figures(described(density={"kind": "beta", "a": 2, "b": 5}))["density"] == (
        "beta (a 2.0, b 5.0)"
    )
