"""How many validation strings were also trained on, and what that makes of the scores."""

import math

from seqtune.report import labels
from seqtune.report.data.results import Results
from seqtune.report.figures import grid

SEEN = "valid/seen.last"
MOST_NAMED = 6
"""With more cells to be named, only the lowest and the highest are."""

MEANING = (
    "Scores on strings that were seen in training are no test of generalisation beyond the "
    "training strings."
)


def sentences(results: Results) -> str:
    """The share in each cell, and its meaning; empty if it is 0 everywhere, or was not measured."""
    shares = _by_cell(results)
    if not any(shares.values()):
        return ""
    texts = [labels.percent(share) for share in shares.values()]
    if len(set(texts)) == 1:
        where = "" if len(shares) == 1 else " in every cell"
        return f"Of the validation strings, {texts[0]} were also trained on{where}. {MEANING}"
    cells = results.cells[results.cells["cell"].isin(list(shares))]
    groups = grid.named_groups(cells, groups=texts, naming=results.naming)
    if sum(len(names) for names in groups.values()) <= MOST_NAMED:
        told = "; ".join(f"{text} in {', '.join(names)}" for text, names in groups.items())
    else:
        low, high = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
        ends = (
            f"{labels.percent(shares[cell])} in {results.naming.cells[cell]}"
            for cell in (low, high)
        )
        told = f"from {' to '.join(ends)}"
    return f"Share of validation strings that were also trained on: {told}. {MEANING}"


def _by_cell(results: Results) -> dict[str, float]:
    """Cell -> the mean of its ranked runs, or of its other finished ones where none is ranked."""
    runs = results.runs
    if SEEN not in runs:
        return {}
    runs = runs[(runs["state"] == "finished") & runs[SEEN].notna()]
    found: dict[str, float] = {}
    for cell in results.cells["cell"]:
        mine = runs[runs["cell"] == cell]
        values = (mine[mine["ranked"]] if mine["ranked"].any() else mine)[SEEN].tolist()
        if values:
            found[cell] = math.fsum(values) / len(values)
    return found
