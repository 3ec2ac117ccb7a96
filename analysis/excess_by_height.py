"""The excess over the exact floor against the height of the trees, a line for every depth of the model.

A point is the mean over a cell's confirm runs, with its 95 % interval, as `results.cells` has them. Run it
as a script, or cell by cell in VS Code, Spyder or Jupyter (there, write what you want into the first cell):

    python analysis/excess_by_height.py results/lstm_vs_tree --out figures
    python analysis/excess_by_height.py results/reverse --x task.length --by model.width

The figure is saved as PNG and SVG, its specification as JSON, and what it shows as CSV.
"""

# %% Which sweep, which of its compared paths, and where the figure goes
import argparse
import sys
from pathlib import Path

import altair as alt

import seqtune

ROOT = Path(seqtune.__file__).parents[1]
parser = argparse.ArgumentParser(description="Excess against tree height, by the model's layers.")
parser.add_argument("directory", nargs="?", default=ROOT / "results" / "lstm_vs_tree", type=Path)
parser.add_argument("--x", default="task.height")
parser.add_argument("--by", default="model.layers")
parser.add_argument("--out", default=ROOT / "analysis" / "figures", type=Path)
# In a notebook the arguments are those of the notebook.
options = parser.parse_args([] if hasattr(sys, "ps1") else None)

# %% The cells: a row each, with mean, interval and n
results = seqtune.load(options.directory)
if sorted(results.compared) != sorted((options.x, options.by)):
    sys.exit(
        f"{options.directory}: must compare {options.x} and {options.by}, but compares "
        f"{', '.join(results.compared) or 'nothing'}; write --x PATH --by PATH"
    )
columns = [options.x, options.by, "n", "mean", "ci_low", "ci_high"]
table = results.cells[columns].dropna(subset="mean").sort_values([options.by, options.x])
if table.duplicated([options.x, options.by]).any():
    sys.exit(
        f"{options.directory}: has several arms, and a line would mix them; draw each by itself"
    )
print(table.to_string(index=False))

# %% The figure: colours that colour-blind readers tell apart, shapes for those who print it in grey
x, by = (path.rpartition(".")[2] for path in (options.x, options.by))
# Altair reads a dot in a column's name as a field of a field.
frame = table.rename(columns={options.x: x, options.by: by})
counts = " or ".join(str(n) for n in sorted(table["n"].unique()))
title = f"{results.name}: n = {counts} confirm runs a point"
value = alt.Y("mean:Q", title=[str(results.metric), "mean with 95 % interval; 0 is the floor"])
# Side by side, so that no interval hides another.
base = alt.Chart(frame, title=title).encode(
    x=alt.X(f"{x}:O", title=options.x), xOffset=f"{by}:N", color=f"{by}:N"
)
figure = alt.layer(
    base.mark_rule().encode(y=alt.Y("ci_low:Q"), y2="ci_high:Q"),
    base.mark_point(filled=True, size=60, opacity=1).encode(y=value, shape=f"{by}:N"),
    alt.Chart().mark_rule(strokeDash=[4, 3], color="grey").encode(y=alt.datum(0)),
).properties(width=alt.Step(40), height=280)

# %% Saved, with its numbers beside it
options.out.mkdir(parents=True, exist_ok=True)
stem = options.out / f"{results.name}_excess_by_{x}"
figure.save(f"{stem}.png", scale_factor=2)
figure.save(f"{stem}.svg")
figure.save(f"{stem}.vl.json", format="json")
table.to_csv(f"{stem}.csv", index=False)
print(f"saved: {stem}.png, .svg, .vl.json, .csv")
