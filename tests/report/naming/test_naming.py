"""Cells that compare whole blocks look different everywhere, and nobody has to read JSON."""

import itertools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from seqtune.report import SECTIONS, build, load
from seqtune.report.naming.names import name_cells
from seqtune.report.sections import comparison, curves
from seqtune.report.sections.section import Figure, Section
from tests.report.charts import rows
from tests.report.charts import texts as drawn_texts
from tests.report.made import make_run, texts

OPTIMIZERS: list[dict[str, Any]] = [
    {
        "kind": "adamw",
        "betas": [0.9, 0.95],
        "clip": None,
        "schedule": {"kind": "cosine", "minimum": end},
    }
    for end in (0.001, 0.002)
]
SCHEDULES: list[dict[str, Any]] = [
    {"kind": "linear"},
    {"kind": "linear", "minimum": 0.75},
    {"kind": "constant", "rate": None},
    *(
        {
            "kind": "phased",
            "coin": "step",
            "phases": [
                {"epochs": 3, "truth": 1.0}, {"epochs": 7, "truth": line},
                {"epochs": 2, "truth": 0.0},
            ],
        }
        for line in ([0.7, 0.383], [0.7, 0.384])
    ),
]  # fmt: skip
NAMES = {
    *("linear", "linear (minimum 0.75)", "constant (rate null)"),
    *("phased (… 7 [0.7, 0.383]; 2 0)", "phased (… 7 [0.7, 0.384]; 2 0)"),
}


def schedules(root: Path, **also: Any) -> None:
    """A cell for every schedule; one run of each failed."""
    for place, schedule in enumerate(SCHEDULES):
        compared = {**also, "forcing": schedule}
        name = "-".join(map(str, [*also.values(), place]))
        for seed in range(2):
            make_run(
                root, f"{name}-{seed}", excess=(1.0, 0.1 + 0.1 * place),
                compared=compared, seed=seed,
                tuned={"optimizer": OPTIMIZERS[place % 2]}, generated=texts(["a"]),
                metrics={"forcing": 1 - place / 10, "valid/seen": place / 10, "free/loss": 1.0},
            )  # fmt: skip
        make_run(root, f"{name}-bad", compared=compared, state="failed")


@dataclass(frozen=True)
class Made:
    """A report's root, its sections as values, and what it says."""

    root: Path
    sections: list[Section]
    text: str

    def section(self, title: str) -> Section:
        return next(section for section in self.sections if section.title == title)

    @property
    def figures(self) -> list[Figure]:
        return [figure for section in self.sections for figure in section.figures]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """One compared path, in a report that is written."""
    root = tmp_path_factory.mktemp("schedules")
    schedules(root)
    text = build(root).read_text(encoding="utf-8")
    found = [section(load(root)) for section in SECTIONS]
    return Made(root, sections=[each for each in found if each is not None], text=text)


def written(figure: Figure) -> set[str]:
    """Every text of a figure, without what is said before a cell's name."""
    return {re.sub("^(layers 1, )?forcing[ =]*", "", text) for text in drawn_texts(figure.chart)}


def test_cells_look_different_in_every_figure(made: Made):
    assert {chart.name for chart in made.figures} == {
        *("comparison", "curves-valid-loss", "curves-valid-excess", "pareto"),
        *("mean-curves-valid-loss", "mean-curves-valid-excess"),
    }
    for chart in made.figures:
        assert written(chart) >= NAMES, chart.name


@pytest.mark.parametrize(
    "beside", [{"task.height": (1, 2)}, {"task.height": (1, 2), "model.layers": (1,)}],
    ids=["an axis", "panels"],
)  # fmt: skip
def test_cells_look_different_in_heat_maps(tmp_path: Path, beside: dict[str, tuple[int, ...]]):
    for values in itertools.product(*beside.values()):
        schedules(tmp_path, **dict(zip(beside, values, strict=True)))
    results = load(tmp_path)
    for chart in (*comparison.section(results).figures, *curves.section(results).figures):
        assert written(chart) >= NAMES, chart.name


def test_cells_look_different_in_every_table(made: Made):
    tables = [table.frame for section in made.sections for table in section.tables]
    [pairs] = [frame for frame in tables if "against" in frame]
    both = {str(name).removeprefix("forcing=") for name in (*pairs["cell"], *pairs["against"])}
    assert both == NAMES
    named = [frame for frame in tables if {"forcing", "cell"} & set(frame) and frame is not pairs]
    # ranking, forced and free, costs, budgets, cells, states and their shares, failed
    assert len(named) == 8
    for frame in named:
        column = frame["forcing" if "forcing" in frame else "cell"]
        names = [str(name).removeprefix("forcing=") for name in column if name != "total"]
        assert set(names) == NAMES
        assert len(names) == len(NAMES)


def test_cells_look_different_in_listings(made: Made):
    listings = made.section("Samples").listings
    assert {listing.caption.partition(". Run")[0] for listing in listings} == {
        f"forcing={name}" for name in NAMES
    }


def test_blocks_that_were_tuned_look_different(made: Made):
    [cells] = made.section("Cells").tables
    assert len(set(cells.frame["best optimizer"])) == 2
    assert all(name.startswith("adamw (") for name in cells.frame["best optimizer"])


def test_nobody_reads_json_or_none(made: Made):
    assert not re.search(r'None|\{\s*"|"kind"', made.text)
    assert "constant (rate null)" in made.text


def test_files_for_machines_keep_blocks_exactly(made: Made):
    for name in ("cells", "trials", "figures/comparison", "tables/forced-and-free"):
        column = pd.read_csv(made.root / "report" / f"{name}.csv")["forcing"]
        found = [json.loads(value) for value in column]
        assert [value for value in SCHEDULES if value not in found] == [], name


def test_cells_stand_one_below_another_by_their_names(made: Made):
    [chart] = made.section("Comparison").figures
    points = rows(chart.chart)
    assert {row["row"] for row in points} == NAMES
    cells = load(made.root).naming.columns(chart.data)["forcing"]
    means = dict(zip(cells, chart.data["mean"], strict=True))
    assert {row["row"]: row["value"] for row in points} == pytest.approx(means)


def test_cells_without_blocks_are_called_as_their_runs_have_it():
    frame = pd.DataFrame({"arm": "gru", "cell": ["gru: layers=1"], "model.layers": [1]})
    known = name_cells(frame, compared=["model.layers"])
    assert known.cells == {"gru: layers=1": "gru: layers=1"}
    assert known.columns(frame) == {"arm": ["gru"], "model.layers": ["1"]}
