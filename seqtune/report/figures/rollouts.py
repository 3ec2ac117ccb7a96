"""Roll-outs as lines: how right a model's boards are, step after step of reading its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from seqtune.report.figures import theme


@dataclass(frozen=True, eq=False)
class RolloutLine:
    """One run's roll-outs: by step, the share that is right, under the title of its panel."""

    name: str
    steps: Sequence[float]
    shares: Mapping[str, Sequence[float]]


def by_step(lines: Sequence[RolloutLine], *, title: str) -> theme.Spec:
    """Return a panel for every share, and in it a line a run."""
    frame = pd.DataFrame(
        [
            {"panel": panel, "name": line.name, "step": step, "share": share}
            for line in lines
            for panel, shares in line.shares.items()
            for step, share in zip(line.steps, shares, strict=True)
        ]
    )
    names = list(dict.fromkeys(frame["name"]))
    chart = alt.Chart(frame)
    if len(names) > 1:
        shown = theme.toggle("name", names=names)
        chart = chart.add_params(shown).transform_filter(shown)
    panel = (
        chart.mark_line(point=True)
        .encode(
            alt.X("step:Q", axis=alt.Axis(tickMinStep=1, format="d")),
            alt.Y("share:Q", title="share right", scale=alt.Scale(domain=[0, 1])),
            theme.colour("name", names=names),
            tooltip=["name", "step", alt.Tooltip("share", format=".4f")],
        )
        .properties(width=300, height=220)
    )
    order = list(dict.fromkeys(frame["panel"]))
    facet = panel.facet(alt.Facet("panel:N", title=None, sort=order), columns=2)
    return theme.specification(facet, title=title)
