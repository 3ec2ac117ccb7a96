"""How numbers, values and names are written for a reader; CSV files keep every digit instead."""

import json
import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

from seqtune.report.data.values import is_block, is_missing
from seqtune.training.measurement import HIGHER_IS_BETTER, METRICS

UNITS = {name: metric.unit for name, metric in METRICS.items() if metric.unit}
"""What a metric is counted in, where it is not a bare number."""


def with_unit(metric: str) -> str:
    """A metric with its unit, for an axis."""
    return f"{metric} ({UNITS[metric]})" if metric in UNITS else metric


def direction(metric: str) -> str:
    """Which values are good."""
    return "higher is better" if metric in HIGHER_IS_BETTER else "lower is better"


def number(value: Any, *, digits: int = 3) -> str:
    """A number in few significant digits: 0.0123, 1,234, 1.23e-5; whole numbers in full; missing is empty."""
    if is_missing(value):
        return ""
    if isinstance(value, Integral):
        return f"{int(value):,}"
    value = float(value)
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    magnitude = math.floor(math.log10(abs(value)))
    if -4 < magnitude < 7:
        return f"{value:,.{max(0, digits - 1 - magnitude)}f}"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def share(value: Any) -> str:
    """A number in [0, 1] in three decimals: 0.938; only what is 0 or 1 looks like it; missing is empty."""
    if is_missing(value):
        return ""
    text = f"{value:.3f}"
    if text == "0.000":
        return "0" if value == 0 else "<0.001"
    if text == "1.000":
        return "1" if value == 1 else ">0.999"
    return text


def percent(value: float) -> str:
    """A number in [0, 1] in whole percents; only what is 0 or 1 is called 0 % or 100 %."""
    text = f"{100 * value:.0f} %"
    if text == "0 %" and value > 0:
        return "under 1 %"
    if text == "100 %" and value < 1:
        return "over 99 %"
    return text


def percents(values: Iterable[float]) -> str:
    """`47 %`, or `40 % to 60 %`."""
    numbers = sorted(values)
    texts = dict.fromkeys(percent(value) for value in (numbers[0], numbers[-1]))
    return " to ".join(texts)


def interval(low: float, *, high: float) -> str:
    """Both bounds to the place where they begin to differ: [0.111, 0.136]; missing is empty."""
    if is_missing(low) or is_missing(high):
        return ""
    half_width = (high - low) / 2
    if half_width > 0:
        places = 1 - math.floor(math.log10(half_width))
        if places <= 5:
            return f"[{low:,.{max(0, places)}f}, {high:,.{max(0, places)}f}]"
    return f"[{number(low)}, {number(high)}]"


def value(value: Any) -> str:
    """A hyperparameter's value, in full: 0.003, adamw, null; a block is its kind and what was set in it."""
    if is_missing(value):
        return ""
    return _brief(value) if isinstance(value, Real) else _unfolded(str(value))


def clipped(text: str, *, longest: int) -> str:
    """A name on one line, its middle left out if it is too long: names of runs differ at the end."""
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    tail = (longest - 1) // 2
    return f"{text[: longest - 1 - tail]}…{text[len(text) - tail :]}"


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Path -> its last part, or all of it where two would be called the same."""
    last = {path: path.rpartition(".")[2] for path in paths}
    names = list(last.values())
    return {path: name if names.count(name) == 1 else path for path, name in last.items()}


def plural(count: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, or `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def counts(values: Iterable[int], *, name: str = "n") -> str:
    """`n = 3`, or `n = 1 to 3`."""
    numbers = sorted(set(values))
    if not numbers:
        return f"{name} = 0"
    return f"{name} = {numbers[0]}" + (f" to {numbers[-1]}" if len(numbers) > 1 else "")


def _unfolded(text: str) -> str:
    if not is_block(text):
        return text
    try:
        block = json.loads(text)
    except json.JSONDecodeError:
        return text
    return _brief(block)


def _brief(data: Any) -> str:
    """A block as its kind and its fields; blocks in a list without the names of their fields."""
    match data:
        case dict():
            kind = str(data.get("kind", ""))
            fields = ", ".join(
                f"{name} {_brief(each)}" for name, each in data.items() if name != "kind"
            )
            return f"{kind} ({fields})" if kind and fields else kind or fields
        case list() if any(isinstance(each, dict) for each in data):
            return "; ".join(_entry(each) for each in data)
        case list():
            return f"[{', '.join(_brief(each) for each in data)}]"
        case None | bool():
            return json.dumps(data)
        case float():
            # Every digit, so that no two numbers are written alike.
            return repr(float(data)).removesuffix(".0")
        case _:
            return str(data)


def _entry(data: Any) -> str:
    return " ".join(map(_brief, data.values())) if isinstance(data, dict) else _brief(data)
