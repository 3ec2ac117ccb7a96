"""Names from a file never lead out of the sweep's directory."""

from pathlib import Path

import pytest

from seqtune.config.yaml_file import FileError
from seqtune.sweep.planning.cell import LONGEST_KEY, key_of, text_of
from seqtune.sweep.search.proposal import Proposal
from tests.sweep.sweeps import SMALL, plan_of

ODD = (
    "../../up",
    "/etc/passwd",
    "..",
    ".",
    "a/b",
    "a\\\\b",
    "nul\\0",
    "new\\nline",
    "$(id)",
    "-rf",
    "~root",
)


@pytest.mark.parametrize("name", ["../up", "/abs", "..", ".hidden", "a/b", "", "a b", "~root"])
def test_a_sweep_is_not_named_as_a_path(name: str):
    with pytest.raises(FileError, match="name: "):
        plan_of(SMALL.replace("name: small", f'name: "{name}"'))


@pytest.mark.parametrize("arm", ODD)
def test_an_arm_of_any_name_keeps_its_runs_below_the_sweep(arm: str):
    text = SMALL + f'arms: {{"{arm}": {{model: {{width: 16}}}}}}\n'
    check_inside(text, cells=2)


@pytest.mark.parametrize("value", [*ODD, "\u6c34" * 200, "x" * 300])
def test_a_compared_text_of_any_kind_is_part_of_one_short_file_name(value: str):
    for compared in ({"a.b": value}, {"a.b": {"kind": value, "c": value}}):
        key = key_of(f"b={text_of(compared['a.b'])}", compared=compared)
        assert "/" not in key
        assert key.isprintable()
        assert len(key.encode()) <= LONGEST_KEY


def check_inside(text: str, *, cells: int) -> None:
    plan = plan_of(text)
    assert len(plan.cells) == cells
    root = Path("/sweep/runs")
    for cell in plan.cells:
        proposal = Proposal(cell, "search", 0, {}, cell.run(tuned={"optimizer.lr": 0.01}, seed=0))
        place = root / proposal.name
        assert place.parent == root
        assert place.resolve() == place
        assert proposal.name.isprintable()
        assert not proposal.name.startswith((".", "-"))
