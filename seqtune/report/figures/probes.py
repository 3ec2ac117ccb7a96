"""What linear probes found in a run: a heat map of layers by levels for every target."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt
import pandas as pd

from seqtune.report.figures import theme
from seqtune.report.naming import labels
from seqtune.training.probes import TARGETS, ProbeResult, ProbeTarget, signed

TILE_WIDTH, TILE_HEIGHT = 64, 40
"""Pixels: enough for a score and what training added."""
MAJORITY = "majority class"
"""The row without a layer."""


def probes(readings: Sequence[ProbeResult], *, title: str, caption: str) -> theme.Spec:
    """Return a panel for every target: layers by levels, with what training added to each score.

    Args:
        readings: of every layer of one run, by target, level and layer.
        title: of the figure.
        caption: what was fitted and scored and how far it may be off, after what the targets are.
    """
    targets: list[ProbeTarget] = list(dict.fromkeys(each.target for each in readings))
    frame = pd.DataFrame(_tiles(readings))
    layers = sorted({each.layer for each in readings if each.layer is not None}, reverse=True)
    rows = [*(f"layer {layer}" for layer in layers), MAJORITY]
    lowest = math.floor(10 * float(frame["score"].min())) / 10
    color = alt.Color(
        "score:Q",
        scale=alt.Scale(domain=[lowest, 1.0], range="heatmap"),
        legend=alt.Legend(title="accuracy", gradientLength=max(80, TILE_HEIGHT * len(rows))),
    )
    ink = theme.ink_on("color", field="score")
    panels: list[Any] = []
    for place, target in enumerate(targets):
        mine = frame[frame["target"] == target]
        base = alt.Chart(mine).encode(
            alt.X(
                "level:N",
                sort=list(dict.fromkeys(mine["level"])),
                title=None,
                axis=alt.Axis(labelAngle=0, ticks=False, domain=False),
            ),
            alt.Y(
                "row:N",
                sort=rows,
                title=None,
                axis=alt.Axis(ticks=False, domain=False) if place == 0 else None,
            ),
            tooltip=["row", "level", alt.Tooltip("score", format=".4f"), "gain"],
        )
        explained = TARGETS[target]
        width = TILE_WIDTH * mine["level"].nunique()
        heading = f"{explained.title}: {explained.score.replace('_', ' ')}"
        tiles = [
            base.mark_rect(stroke="white", strokeWidth=1.5).encode(color=color),
            base.transform_filter("datum.gain == ''")
            .mark_text(fontSize=12)
            .encode(text="text:N", color=ink),
            base.transform_filter("datum.gain != ''")
            .mark_text(fontSize=12, dy=-6)
            .encode(text="text:N", color=ink),
            base.mark_text(fontSize=10, dy=9).encode(text="gain:N", color=ink),
        ]
        panels.append(
            alt.layer(*tiles).properties(
                width=max(width, 110),
                height=TILE_HEIGHT * len(rows),
                title=alt.TitleParams(
                    theme.broken(heading, width=max(width, 110)), fontSize=12, offset=6
                ),
            )
        )
    chart = alt.hconcat(*panels, spacing=16)
    width = TILE_WIDTH * frame.groupby("target")["level"].nunique().sum() + 200
    return theme.specification(
        chart, title=title, width=max(520, width), caption=explanation(targets, caption=caption)
    )


def explanation(targets: Sequence[ProbeTarget], *, caption: str) -> str:
    """Return what the targets are, a line each, and then the caption."""
    meanings = [
        f"{TARGETS[target].title.capitalize()}: {TARGETS[target].meaning}." for target in targets
    ]
    return "\n".join([*meanings, caption])


def _tiles(readings: Sequence[ProbeResult]) -> Iterator[dict[str, Any]]:
    """A tile for every trained layer, and one for the most common class."""
    untrained = {
        (each.target, each.level, each.layer): each.score.value
        for each in readings
        if each.model == "untrained"
    }
    for each in readings:
        if each.model == "untrained":
            continue
        score = each.score.value
        layer = each.layer
        gain = "" if layer is None else signed(score - untrained[each.target, each.level, layer])
        yield {
            "target": each.target,
            "level": str(each.level),
            "row": MAJORITY if layer is None else f"layer {layer}",
            "score": score,
            "text": labels.share(score),
            "gain": gain,
        }
