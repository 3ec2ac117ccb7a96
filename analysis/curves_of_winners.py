"""The learning curves of what the search chose: every cell's confirm runs, against the floor.

A line is the mean over a cell's confirm runs after every epoch, the band spans the least and the greatest of
them, and the dashed line is the floor of their validation strings. A panel for every language. Run it as a
script, or cell by cell in VS Code, Spyder or Jupyter (there, write what you want into the first cell):

    python analysis/curves_of_winners.py results/lstm_vs_tree --out figures

The figure is saved as PNG and SVG, and what it shows as CSV.
"""

# %% Which sweep, and where the figure goes
import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.ticker import EngFormatter

import seqtune

ROOT = Path(seqtune.__file__).parents[1]
METRIC = "valid/loss"
parser = argparse.ArgumentParser(description="Learning curves of the confirm runs, by language.")
parser.add_argument("directory", nargs="?", default=ROOT / "results" / "lstm_vs_tree", type=Path)
parser.add_argument("--out", default=ROOT / "analysis" / "figures", type=Path)
# In a notebook the arguments are those of the notebook.
options = parser.parse_args([] if hasattr(sys, "ps1") else None)

# %% The runs that stand for their cells: those that are ranked
results = seqtune.load(options.directory)
runs = results.runs[results.runs["ranked"]]
if runs.empty:
    sys.exit(f"{options.directory}: no confirm run has finished; go on with the sweep")
languages = [path for path in results.compared if path.startswith("task")]
runs = runs.assign(
    language=[
        ", ".join(f"{path}={value}" for path, value in run[languages].dropna().items())
        for _, run in runs.iterrows()
    ]
)

# %% Their curves: mean, least and greatest of the runs after every epoch
curves = results.curves[results.curves["metric"] == METRIC]
named = curves.merge(runs[["run", "language", "cell", "floor.loss"]], on="run")
table = (
    named.groupby(["language", "cell", "epoch"], sort=False)
    .agg(
        n=("run", "size"),
        tokens=("tokens", "mean"),
        mean=("value", "mean"),
        low=("value", "min"),
        high=("value", "max"),
        floor=("floor.loss", "mean"),
    )
    .reset_index()
)
print(table.groupby(["language", "cell"], sort=False).last().to_string())

# %% The figure: colours that colour-blind readers tell apart, markers for those who print it in grey
plt.style.use("tableau-colorblind10")
panels = list(table.groupby("language", sort=False))
figure, grid = plt.subplots(
    1, len(panels), figsize=(3.2 * len(panels) + 1, 3.6), squeeze=False, layout="constrained"
)
for axes, (language, inside) in zip(grid[0], panels, strict=True):
    for number, (cell, line) in enumerate(inside.groupby("cell", sort=False)):
        colour, marker = f"C{number}", "os^Dv"[number % 5]
        axes.fill_between(line["tokens"], line["low"], line["high"], color=colour, alpha=0.2)
        axes.plot(line["tokens"], line["mean"], color=colour, marker=marker, ms=4, label=cell)
    floor = inside["floor"].mean()
    axes.axhline(floor, color="0.3", linestyle="--", linewidth=1, label=f"floor {floor:.4g}")
    axes.set_title(language)
    axes.set_xlabel("tokens trained on")
    axes.xaxis.set_major_formatter(EngFormatter())
    axes.legend(fontsize=8)
grid[0][0].set_ylabel(f"{METRIC}, nats a token")
counts = " or ".join(str(n) for n in sorted(table["n"].unique()))
figure.suptitle(f"{results.name}: mean and range of n = {counts} confirm runs", fontsize=10)

# %% Saved, with its numbers beside it
options.out.mkdir(parents=True, exist_ok=True)
stem = options.out / f"{results.name}_curves_of_winners"
figure.savefig(f"{stem}.png", dpi=150)
figure.savefig(f"{stem}.svg")
table.to_csv(f"{stem}.csv", index=False)
print(f"saved: {stem}.png, .svg, .csv")
