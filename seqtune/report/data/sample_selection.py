"""Which generations a report shows: those of the best runs of the best cells."""

from collections.abc import Sequence
from dataclasses import dataclass

from seqtune.report.data.representative_runs import sort_by_metric
from seqtune.report.data.results import Results
from seqtune.report.naming import labels
from seqtune.report.naming.labels import is_missing
from seqtune.tasks.generative_evaluation import GenerationResult

MOST_CELLS = 6
"""More columns of boards, or lines in a panel, would be too small or too many to compare."""


@dataclass(frozen=True, eq=False)
class CellSamples:
    """What the best run of a cell generated.

    Attributes:
        name: short name of the cell.
        label: full name of the cell.
        cell: its key in runs and CSV files.
    """

    name: str
    label: str
    cell: str
    run: str
    epoch: int
    result: GenerationResult


@dataclass(frozen=True, eq=False)
class SampleSelection:
    """The generations to show.

    Attributes:
        shown: in the order of the sweep; at least one.
        best: the one with the best value of the sweep's metric.
        who: description of the runs, for a title; `whose`, for a caption, adds the criterion.
    """

    shown: tuple[CellSamples, ...]
    best: CellSamples
    who: str
    whose: str


def select_samples(results: Results) -> SampleSelection | None:
    """Return the generations to show; None if no best run generated anything."""
    rows = results.best[results.best["run"].isin(list(results.generated))]
    if not len(rows):
        return None
    ranked = sort_by_metric(rows, metric=results.metric)["run"].head(MOST_CELLS)
    selected = rows[rows["run"].isin(list(ranked))]
    found = {
        row["run"]: CellSamples(
            name=name,
            label=results.naming.cells[row["cell"]],
            cell=str(row["cell"]),
            run=row["run"],
            epoch=results.generated[row["run"]].epoch,
            result=results.generated[row["run"]].result,
        )
        for name, (_, row) in zip(
            results.naming.distinguish(selected), selected.iterrows(), strict=True
        )
    }
    who = _describe(selected["phase"].tolist(), of=len(rows))
    limit = f" (of {len(rows)}, by the last value of {results.metric})"
    return SampleSelection(
        shown=tuple(found.values()),
        best=found[ranked.iloc[0]],
        who=who,
        whose=who + limit if len(selected) < len(rows) else who,
    )


def epochs(shown: Sequence[CellSamples]) -> str:
    """Return `after epoch 3`, or `after epochs 3 to 5`."""
    numbers = sorted({each.epoch for each in shown})
    if len(numbers) == 1:
        return f"after epoch {numbers[0]}"
    return f"after epochs {numbers[0]} to {numbers[-1]}"


def runs(shown: Sequence[CellSamples]) -> str:
    """Return `Run: a, after epoch 3.`, or `Runs, after epoch 3: layers 1: a; layers 2: b.`."""
    if len(shown) == 1:
        return f"Run: {labels.clip(shown[0].run, longest=40)}, {epochs(shown)}."
    alike = len({each.epoch for each in shown}) == 1
    texts = [_named(each) + ("" if alike else f" (epoch {each.epoch})") for each in shown]
    when = f", {epochs(shown)}" if alike else ""
    return f"Runs{when}: {'; '.join(texts)}."


def _named(samples: CellSamples) -> str:
    # A run outside any sweep is its own cell.
    name = "" if samples.cell == samples.run else f"{samples.name}: "
    return name + labels.clip(samples.run, longest=40)


def _describe(phases: Sequence[str | None], *, of: int) -> str:
    count = len(phases)
    if all(map(is_missing, phases)):
        every = "every finished run" if of > 1 else "the run"
        return f"the {count} best runs" if count < of else every
    kind = "search trial" if all(phase == "search" for phase in phases) else "run"
    if count < of:
        return f"the best {kind}s of the {count} best cells"
    return f"the best {kind}" + (" of each cell" if of > 1 else "")
