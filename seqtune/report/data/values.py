"""A hyperparameter's value as a frame holds it: a number or text.

True, false, null, lists and blocks are their JSON text, so that null is a value and only missing is empty.
"""

import json
import math
from numbers import Real
from typing import Any

import pandas as pd


def plain(value: Any) -> Any:
    """A hyperparameter's value as a frame holds it."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number or isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def order(value: Any) -> tuple[int, float, str]:
    """Key that sorts values of a hyperparameter: numbers, then text, then missing."""
    if is_missing(value):
        return (2, 0.0, "")
    return (0, float(value), "") if isinstance(value, Real) else (1, 0.0, str(value))


def is_block(value: Any) -> bool:
    """Whether a value in a frame is the text of a block, or of a list of blocks."""
    return isinstance(value, str) and value.startswith(("{", "[{"))


def is_missing(value: Any) -> bool:
    """Whether there is no value: None, NaN or NA."""
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
