"""The excess over the exact floor against the height of the trees, a line for every depth of the model.

A point is the mean over a cell's confirm runs, with its 95 % interval, as `results.cells` has them. Run it
as a script, or cell by cell in VS Code, Spyder or Jupyter (there, write what you want into the first cell):

    python analysis/excess_by_height.py results/lstm_vs_tree --out figures
    python analysis/excess_by_height.py results/reverse --x task.length --by model.width

The figure is saved as PNG and SVG, and what it shows as CSV.
"""

# %% Which sweep, which of its compared paths, and where the figure goes
import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt

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

# %% The figure: colours that colour-blind readers tell apart, markers for those who print it in grey
plt.style.use("tableau-colorblind10")
figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
groups = list(table.groupby(options.by))
places = {value: place for place, value in enumerate(sorted(table[options.x].unique()))}
for number, (value, cells) in enumerate(groups):
    # Side by side, so that no interval hides another.
    shift = 0.04 * (number - (len(groups) - 1) / 2)
    axes.errorbar(
        [places[x] + shift for x in cells[options.x]],
        cells["mean"],
        yerr=[cells["mean"] - cells["ci_low"], cells["ci_high"] - cells["mean"]],
        marker="os^Dv"[number % 5],
        capsize=3,
        label=f"{value}",
    )
axes.axhline(0, color="0.4", linestyle="--", linewidth=1)
axes.set_xticks(list(places.values()), [str(x) for x in places])
axes.set_xlabel(options.x)
axes.set_ylabel(f"{results.metric}\nmean with 95 % interval; 0 is the floor")
counts = " or ".join(str(n) for n in sorted(table["n"].unique()))
axes.set_title(f"{results.name}: n = {counts} confirm runs a point")
axes.legend(title=options.by)

# %% Saved, with its numbers beside it
options.out.mkdir(parents=True, exist_ok=True)
stem = options.out / f"{results.name}_excess_by_{options.x.rpartition('.')[2]}"
figure.savefig(f"{stem}.png", dpi=150)
figure.savefig(f"{stem}.svg")
table.to_csv(f"{stem}.csv", index=False)
print(f"saved: {stem}.png, .svg, .csv")
