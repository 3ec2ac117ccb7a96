"""The learning curves of what the search chose: every cell's confirm runs, against the floor.

A line is the mean over a cell's confirm runs after every epoch, the band spans the least and the greatest of
them, and the dashed line is the floor of their validation strings. A panel for every language. Run it as a
script, or cell by cell in VS Code, Spyder or Jupyter (there, write what you want into the first cell):

    python analysis/curves_of_winners.py results/lstm_vs_tree --out figures

The figure is saved as PNG and SVG, its specification as JSON, and what it shows as CSV.
"""

# %% Which sweep, and where the figure goes
import argparse
import sys
from pathlib import Path

import altair as alt

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

# %% The figure: a panel a language, the cells by colour and shape
counts = " or ".join(str(n) for n in sorted(table["n"].unique()))
title = f"{results.name}: mean and range of n = {counts} confirm runs"
x = alt.X("tokens:Q", title="tokens trained on", axis=alt.Axis(format=".3~s", tickCount=4))
y = alt.Y("mean:Q", title=f"{METRIC}, nats a token", scale=alt.Scale(zero=False))
base = alt.Chart().encode(x=x, color="cell:N")
layers = alt.layer(
    base.mark_area(opacity=0.2).encode(y=alt.Y("low:Q"), y2="high:Q"),
    base.mark_line().encode(y=y),
    base.mark_point(filled=True, opacity=1).encode(y=y, shape="cell:N"),
    alt.Chart().mark_rule(strokeDash=[4, 3], color="grey").encode(y="mean(floor):Q"),
    data=table,
).properties(width=240, height=240)
figure = layers.facet(alt.Facet("language:N", title=None), columns=3, title=title)
figure = figure.resolve_scale(x="independent", y="independent")

# %% Saved, with its numbers beside it
options.out.mkdir(parents=True, exist_ok=True)
stem = options.out / f"{results.name}_curves_of_winners"
figure.save(f"{stem}.png", scale_factor=2)
figure.save(f"{stem}.svg")
figure.save(f"{stem}.vl.json", format="json")
table.to_csv(f"{stem}.csv", index=False)
print(f"saved: {stem}.png, .svg, .vl.json, .csv")
