"""Numbers, hyperparameter values and names as a report prints them. CSV files keep every digit.

In a data frame a hyperparameter's value is a number or text (`plain`). True, false, null, lists and
blocks are stored as JSON text, so that null is a value and only None, NaN and NA are missing.
"""

import json
import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

import pandas as pd

from seqtune.training.measurement import HIGHER_IS_BETTER, METRICS

UNITS = {name: metric.unit for name, metric in METRICS.items() if metric.unit}
"""Unit of a metric, where it is not a bare number."""


def plain(value: Any) -> Any:
    """Return a hyperparameter's value as data frames store it: a number or text."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number or isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def order(value: Any) -> tuple[int, float, str]:
    """Return a sort key for values of one hyperparameter: numbers, then text, then missing."""
    if is_missing(value):
        return (2, 0.0, "")
    return (0, float(value), "") if isinstance(value, Real) else (1, 0.0, str(value))


def is_block(value: Any) -> bool:
    """Return whether a value in a frame is the JSON text of a block, or of a list of blocks."""
    return isinstance(value, str) and value.startswith(("{", "[{"))


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN or NA."""
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def with_unit(metric: str) -> str:
    """Return a metric with its unit, as an axis title."""
    return f"{metric} ({UNITS[metric]})" if metric in UNITS else metric


def direction(metric: str) -> str:
    """Return whether higher or lower values of a metric are better, in words."""
    return "higher is better" if metric in HIGHER_IS_BETTER else "lower is better"


def number(value: Any, *, digits: int = 3) -> str:
    """Format a number: 0.0123, 1,234, 1.23e-5.

    Whole numbers are written in full, others in `digits` significant digits; missing is empty.
    """
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
    """Format a number in [0, 1] with three decimals: 0.938.

    Only exact 0 and 1 are written as such: others are `<0.001` or `>0.999`. Missing is empty.
    """
    if is_missing(value):
        return ""
    text = f"{value:.3f}"
    if text == "0.000":
        return "0" if value == 0 else "<0.001"
    if text == "1.000":
        return "1" if value == 1 else ">0.999"
    return text


def percent(value: float) -> str:
    """Format a number in [0, 1] as a whole percentage; only exact 0 and 1 are 0 % and 100 %."""
    text = f"{100 * value:.0f} %"
    if text == "0 %" and value > 0:
        return "under 1 %"
    if text == "100 %" and value < 1:
        return "over 99 %"
    return text


def percents(values: Iterable[float]) -> str:
    """Format the range of numbers in [0, 1]: `47 %`, or `40 % to 60 %`."""
    numbers = sorted(values)
    return " to ".join(dict.fromkeys(percent(value) for value in (numbers[0], numbers[-1])))


def interval(low: float, *, high: float) -> str:
    """Format an interval to the digit where its bounds begin to differ: [0.111, 0.136].

    Empty if a bound is missing.
    """
    if is_missing(low) or is_missing(high):
        return ""
    half_width = (high - low) / 2
    if half_width > 0:
        places = 1 - math.floor(math.log10(half_width))
        if places <= 5:
            return f"[{low:,.{max(0, places)}f}, {high:,.{max(0, places)}f}]"
    return f"[{number(low)}, {number(high)}]"


def intervals(low: Iterable[float], *, high: Iterable[float]) -> list[str]:
    """Format a column of intervals."""
    return [interval(left, high=right) for left, right in zip(low, high, strict=True)]


def estimate(mean: float, *, low: float, high: float, n: int, of: int) -> str:
    """Format a mean with its interval, and with n where it is smaller than `of`, the row's n."""
    fewer = f"(n {n:g})" if 0 < n < of else ""
    return " ".join(filter(None, (number(mean), interval(low, high=high), fewer)))


def value(value: Any) -> str:
    """Format a hyperparameter's value in full: 0.003, adamw, null.

    A block is written as its kind and its fields; missing is empty.
    """
    if is_missing(value):
        return ""
    if isinstance(value, Real) or not is_block(value):
        return _flatten(value)
    try:
        return _flatten(json.loads(value))
    except json.JSONDecodeError:
        return str(value)


def clip(text: str, *, longest: int) -> str:
    """Return a name on one line, its middle replaced by an ellipsis if it is too long.

    The end is kept because names of runs differ there.
    """
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    tail = (longest - 1) // 2
    return f"{text[: longest - 1 - tail]}…{text[len(text) - tail :]}"


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Map each dotted path to its last part, or to all of it where two last parts are the same."""
    last = {path: path.rpartition(".")[2] for path in paths}
    names = list(last.values())
    return {path: name if names.count(name) == 1 else path for path, name in last.items()}


def plural(count: int, noun: str) -> str:
    """Return `1 run`, `2 runs`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def join(names: Sequence[str], *, word: str = "and") -> str:
    """Return `a`, `a and b`, or `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last


def counts(values: Iterable[int], *, name: str = "n") -> str:
    """Return `n = 3`, or `n = 1 to 3`."""
    numbers = sorted(set(values))
    if not numbers:
        return f"{name} = 0"
    return f"{name} = {numbers[0]}" + (f" to {numbers[-1]}" if len(numbers) > 1 else "")


def _flatten(data: Any) -> str:
    """Write a block as its kind and fields; blocks in a list without the names of their fields."""
    match data:
        case dict():
            kind = str(data.get("kind", ""))
            fields = ", ".join(
                f"{name} {_flatten(each)}" for name, each in data.items() if name != "kind"
            )
            return f"{kind} ({fields})" if kind and fields else kind or fields
        case list() if any(isinstance(each, dict) for each in data):
            return "; ".join(
                " ".join(map(_flatten, each.values())) if isinstance(each, dict) else _flatten(each)
                for each in data
            )
        case list():
            return f"[{', '.join(_flatten(each) for each in data)}]"
        case None | bool():
            return json.dumps(data)
        case float():
            # Every digit, so that no two numbers are written alike.
            return repr(float(data)).removesuffix(".0")
        case _:
            return str(data)
