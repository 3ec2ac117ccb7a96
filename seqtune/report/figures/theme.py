"""What all figures share: type, colours, scales, and how a chart becomes a picture.

Colours are told apart by colour-blind readers and in greyscale. What has to look different on a
dark page is named in the configuration (a range of colours, or a style such as "ink") and never
written into a chart, so that one specification serves both.
"""

import json
import math
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import altair as alt
import vl_convert

Spec: TypeAlias = dict[str, Any]
"""A Vega-Lite specification with its data."""

VEGA_LITE = "6.4"
COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"),
    *("#8c8c8c", "#7f4f24"),
)
"""Those of Okabe & Ito 2008; grey and brown for yellow, which is not seen as a line on white."""
DARK_COLOURS = ("#4aa8e0", "#f0814a", "#2fc397", "#dd9cc2", "#f0b73a", "#9ad6f7", "#ffffff")
"""The same for a dark page; grey and a lighter brown follow."""
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "stroke")
HEAT = "yellowgreenblue"
LOG_FROM = 20.0
"""Positive values that span more than this factor are shown on a logarithmic scale."""
LETTER = 6.2
"""Pixels that a letter of a name takes at most, on average."""
PNG_SCALE = 2.0
DYNAMIC = "expr: "
"""An axis title that begins so is an expression of the chart's parameters."""

alt.data_transformers.disable_max_rows()


def config(*, dark: bool = False) -> Spec:
    """Return the Vega-Lite configuration of all figures, for light or dark paper."""
    ink, muted, line = (
        ("#e6e8ea", "#a2abb4", "#363c43") if dark else ("#222222", "#5f5f5f", "#e3e3e3")
    )
    colours = (*DARK_COLOURS, "#a0a0a0", "#c79a6b") if dark else COLOURS
    label = {"labelColor": ink, "titleColor": ink, "labelFontSize": 11, "titleFontSize": 12}
    plain = {**label, "titleFontWeight": "normal"}
    return {
        "background": None if dark else "white",
        "font": "sans-serif",
        "title": {
            **{"anchor": "start", "frame": "group", "color": ink, "fontSize": 13, "offset": 14},
            **{"subtitleColor": muted, "subtitleFontSize": 11, "subtitlePadding": 6},
        },
        "axis": {**plain, "gridColor": line, "domainColor": muted, "tickColor": muted},
        "axisX": {"grid": False, "labelOverlap": True},
        "legend": {**plain, "symbolStrokeWidth": 2, "unselectedOpacity": 0.3, "labelLimit": 420},
        "header": {**plain, "labelFontWeight": "bold", "labelAnchor": "start", "labelLimit": 420},
        "view": {"stroke": None},
        "range": {
            "category": list(colours),
            "ordinal": {"scheme": "viridis", "extent": [0.25, 1.0] if dark else [0.88, 0.0]},
            "heatmap": {"scheme": HEAT},
            "symbol": list(SHAPES),
        },
        "text": {"color": ink, "fontSize": 11},
        "style": {
            "ink": {"color": ink},
            "ink-text": {"color": ink},
            "muted": {"color": muted},
            "muted-text": {"color": muted, "fontSize": 10},
            "empty": {"color": line},
            "halo": {
                "stroke": "#15181b" if dark else "white",
                "strokeWidth": 3,
                "strokeOpacity": 0.8,
            },
        },
    }


def specification(chart: Any, *, title: str, width: float = 640, caption: str = "") -> Spec:
    """Return a chart as a specification, its title and caption broken to its width in pixels."""
    text = alt.TitleParams(broken(title, width=width))
    if caption:
        lines = [part for line in caption.splitlines() for part in broken(line, width=width)]
        text.subtitle = lines
    # The description is what a screen reader says.
    spec = chart.properties(title=text, description=title).to_dict()
    spec.pop("config", None)
    _resolve_titles(spec)
    return spec


def _resolve_titles(part: Any) -> None:
    """Altair knows texts as titles of axes; Vega-Lite compiles expressions as well."""
    if isinstance(part, dict):
        title = part.get("title")
        if isinstance(title, str) and title.startswith(DYNAMIC):
            part["title"] = {"expr": title.removeprefix(DYNAMIC)}
        for name, each in part.items():
            if name not in ("datasets", "data"):
                _resolve_titles(each)
    elif isinstance(part, list):
        for each in part:
            _resolve_titles(each)


def svg(spec: Spec) -> str:
    """Return the figure on white, rendered without a browser."""
    text = vl_convert.vegalite_to_svg({**spec, "config": config()}, vl_version=VEGA_LITE)
    # Vega counts gradients and clips through a whole process; the same runs give the same file.
    for kind in ("gradient_", "clip"):
        found = dict.fromkeys(re.findall(rf'id="({kind}\d+)"', text))
        numbers = {name: f"{kind}{place}" for place, name in enumerate(found)}
        text = re.sub(rf'(?<=["#(]){kind}\d+', lambda each: numbers[each[0]], text)  # noqa: B023
    return text


def png(svg: str) -> bytes:
    """Return a rendered figure as PNG."""
    return vl_convert.svg_to_png(svg, scale=PNG_SCALE)


def runtime() -> str:
    """Return the JavaScript that draws specifications in a page: Vega, Vega-Lite and vega-embed."""
    return vl_convert.javascript_bundle(vl_version=VEGA_LITE)  # pyright: ignore[reportCallIssue]


def select(name: str, *, options: Mapping[str, str], label: str) -> alt.Parameter:
    """Return a parameter that a reader chooses from a list; the first is chosen at first.

    Args:
        name: of the parameter in expressions.
        options: value -> what the reader sees.
        label: before the list.
    """
    given = alt.binding_select(options=list(options), labels=list(options.values()), name=label)
    return alt.param(name, value=next(iter(options)), bind=given)


def lookup(name: str, *, options: Mapping[str, str]) -> str:
    """Return an axis title that follows a `select` parameter."""
    return f"{DYNAMIC}{json.dumps(dict(options))}[{name}]"


def toggle(field: str, *, names: Sequence[str]) -> alt.Parameter:
    """Return the selection of what is shown: a click on a name in the legend hides or shows it.

    All names are selected at first, because Vega-Lite dims the legend's entries that are not.
    """
    names_shown: Any = [{field: name} for name in names]
    return alt.selection_point(
        "shown",
        fields=[field],
        bind="legend",
        toggle="true",
        clear=False,
        empty=False,
        value=names_shown,
    )


def colour(field: str, *, names: Sequence[str], ranks: Sequence[Any] = (), **options: Any) -> Any:
    """Return the colours of names: along a ramp if all have a number as rank, else distinct ones.

    The legend, with `options`, stands beside the chart, or below it where the names are many or
    long; a single name has none.
    """
    ordered = (
        len(names) > 1 and bool(ranks) and all(isinstance(each, int | float) for each in ranks)
    )
    if ordered:
        names = [name for _, name in sorted(zip(ranks, names, strict=True))]
    return alt.Color(
        field,
        type="ordinal" if ordered else "nominal",
        scale=alt.Scale(domain=list(names)),
        legend=legend(names, **options) if len(names) > 1 else None,
    )


def legend(names: Sequence[str], **options: Any) -> Any:
    """Return a legend without a title that has room for these names."""
    longest = max(map(len, names))
    if len(names) <= 16 and longest <= 26:
        return alt.Legend(title=None, **options)
    columns = max(1, int(800 / (LETTER * longest + 30)))
    return alt.Legend(
        title=None, **{**options, "orient": "bottom", "columns": columns, "offset": 12}
    )


def columns_of(panels: int, *, width: float, most: float = 800) -> int:
    """Return how many panels stand side by side in rows as full as can be: four are 2 x 2."""
    fitting = max(1, int(most / width))
    return math.ceil(panels / math.ceil(panels / fitting))


def broken(text: str, *, width: float) -> list[str]:
    """Return text in lines of at most so many pixels."""
    return textwrap.wrap(text, width=max(12, int(width / (LETTER + 0.6)))) or [""]


def needs_log(values: Iterable[float]) -> bool:
    """Return whether positive values are so unlike that a linear scale would hide the small ones."""
    numbers = [float(value) for value in values if math.isfinite(value)]
    return bool(numbers) and min(numbers) > 0 and max(numbers) > LOG_FROM * min(numbers)


def log_ticks(values: Iterable[float]) -> list[float]:
    """Return ticks of a logarithmic scale: 1, 2, 5, or powers of ten alone if it spans many."""
    numbers = [float(value) for value in values if math.isfinite(value) and value > 0] or [1.0]
    low, high = math.floor(math.log10(min(numbers))), math.ceil(math.log10(max(numbers)))
    digits = (1, 2, 5) if high - low <= 4 else (1,)
    step = max(1, (high - low) // 8)
    return [digit * 10.0**power for power in range(low, high + 1, step) for digit in digits]


def value_axis(values: Iterable[float], *, log: bool) -> dict[str, Any]:
    """Return `scale` and `axis` of a metric's channel; a logarithmic one is not begun at 0."""
    if not log:
        return {
            "scale": alt.Scale(zero=False, nice=False, padding=12),
            "axis": alt.Axis(tickCount=6),
        }
    return {
        "scale": alt.Scale(type="log", nice=False, padding=12),
        "axis": alt.Axis(values=log_ticks(values), format="~g"),
    }


def ink_on(scale: str, *, field: str) -> Any:
    """Return black or white, whichever stands out more on a tile's colour. Source: WCAG 2.1."""
    bright = f"luminance(scale('{scale}', datum['{field}'])) > 0.179"
    return alt.condition(bright, alt.value("black"), alt.value("white"))
