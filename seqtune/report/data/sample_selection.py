"""Whose generations are shown: the best runs of the best cells, as many as can be read side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from seqtune.report import labels
from seqtune.report.data.representative_runs import sorted_by
from seqtune.report.data.results import Results
from seqtune.report.data.values import is_missing
from seqtune.report.figures import grid
from seqtune.tasks.generative_evaluation import GenerationResult

MOST_CELLS = 6
"""More columns of boards, or more lines in a panel, would be too small or too many to compare."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What the best run of a cell generated.

    Attributes:
        name: of the cell, in few words.
        label: of the cell, in full.
        cell: as runs and CSV files have it.
    """

    name: str
    label: str
    cell: str
    run: str
    epoch: int
    examination: GenerationResult


@dataclass(frozen=True, eq=False)
class Answers:
    """What is shown.

    Attributes:
        shown: in the order of the sweep; at least one.
        best: the one of them with the best value of the sweep's metric.
        who: who they are, for a title; `whose` is for a caption, and says by what they were chosen.
    """

    shown: tuple[Answer, ...]
    best: Answer
    who: str
    whose: str


def answers(results: Results) -> Answers | None:
    """The answers to show; None if no best run generated anything."""
    rows = results.best[results.best["run"].isin(list(results.generated))]
    if not len(rows):
        return None
    ranked = sorted_by(rows, metric=results.metric)["run"].head(MOST_CELLS)
    chosen = rows[rows["run"].isin(list(ranked))]
    names = grid.names(chosen, naming=results.naming)
    found = {
        row["run"]: Answer(
            name=name,
            label=results.naming.cells[row["cell"]],
            cell=str(row["cell"]),
            run=row["run"],
            epoch=results.generated[row["run"]].epoch,
            examination=results.generated[row["run"]].examination,
        )
        for name, (_, row) in zip(names, chosen.iterrows(), strict=True)
    }
    who = _who(chosen["phase"].tolist(), of=len(rows))
    limit = f" (of {len(rows)}, by the last value of {results.metric})"
    return Answers(
        shown=tuple(found.values()),
        best=found[ranked.iloc[0]],
        who=who,
        whose=who + limit if len(chosen) < len(rows) else who,
    )


def epochs(shown: Sequence[Answer]) -> str:
    """`after epoch 3`, or `after epochs 3 to 5`."""
    numbers = sorted({each.epoch for each in shown})
    if len(numbers) == 1:
        return f"after epoch {numbers[0]}"
    return f"after epochs {numbers[0]} to {numbers[-1]}"


def runs(shown: Sequence[Answer]) -> str:
    """`Run: a, after epoch 3.`, or `Runs, after epoch 3: layers 1: a; layers 2: b.`."""
    if len(shown) == 1:
        return f"Run: {_clipped(shown[0])}, {epochs(shown)}."
    alike = len({each.epoch for each in shown}) == 1
    texts = [_named(each) + ("" if alike else f" (epoch {each.epoch})") for each in shown]
    when = f", {epochs(shown)}" if alike else ""
    return f"Runs{when}: {'; '.join(texts)}."


def _named(answer: Answer) -> str:
    # A run outside any sweep is its own cell.
    return ("" if answer.cell == answer.run else f"{answer.name}: ") + _clipped(answer)


def _clipped(answer: Answer) -> str:
    return labels.clipped(answer.run, longest=40)


def _who(phases: Sequence[str | None], *, of: int) -> str:
    count = len(phases)
    if all(map(is_missing, phases)):
        every = "every finished run" if of > 1 else "the run"
        return f"the {count} best runs" if count < of else every
    kind = "search trial" if all(phase == "search" for phase in phases) else "run"
    if count < of:
        return f"the best {kind}s of the {count} best cells"
    return f"the best {kind}" + (" of each cell" if of > 1 else "")
