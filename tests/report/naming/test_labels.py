import math

import pytest

from seqtune.report.naming import labels
from seqtune.training.measurement import OBJECTIVES


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123456, "0.0123"),
        (0.5, "0.500"),
        (12.345, "12.3"),
        (1234.5, "1,234"),
        (0.00012345, "1.23e-4"),
        (1.5e9, "1.50e9"),
        (0.0, "0"),
        (-0.0314, "-0.0314"),
        (17_000, "17,000"),
        (math.inf, "inf"),
        (math.nan, ""),
        (None, ""),
    ],
)
def test_numbers_are_written_in_three_digits(value: float | None, text: str):
    assert labels.number(value) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.1112, 0.1358, "[0.111, 0.136]"),
        (-0.29, 1.134, "[-0.29, 1.13]"),
        (80.0, 150.0, "[80, 150]"),
        (1.2e-7, 3.4e-7, "[1.20e-7, 3.40e-7]"),
        (0.25, 0.25, "[0.250, 0.250]"),
        (math.nan, math.nan, ""),
    ],
)
def test_an_interval_is_written_to_the_place_where_its_bounds_differ(
    low: float, high: float, text: str
):
    assert labels.interval(low, high=high) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2, "2"),
        (1024, "1024"),
        (0.003, "0.003"),
        ("adamw", "adamw"),
        ("null", "null"),
        ('{"kind":"cosine","minimum":0.1}', "cosine (minimum 0.1)"),
        ('{"kind":"cosine"}', "cosine"),
        ("{no json", "{no json"),
        (0.1234567891, "0.1234567891"),
        ('{"kind":"constant","rate":null,"update":true}', "constant (rate null, update true)"),
        ('[{"epochs":3,"rate":1.0},{"epochs":7,"rate":null}]', "3 1; 7 null"),
        ('{"masks":[{"kind":"window","length":8},"causal"]}', "masks window 8; causal"),
        (
            '{"kind":"reversed","schedule":{"kind":"linear","minimum":0.5}}',
            "reversed (schedule linear (minimum 0.5))",
        ),
        (
            '{"kind":"phased","phases":[{"epochs":3,"rate":1.0},{"epochs":7,"rate":[0.7,0.38]}]}',
            "phased (phases 3 1; 7 [0.7, 0.38])",
        ),
        (math.nan, ""),
    ],
)
def test_a_block_is_named_by_its_kind(value: object, text: str):
    assert labels.value(value) == text


def test_a_long_name_keeps_its_end():
    assert labels.clip("lstm-layers-2-0123456789", longest=13) == "lstm-l…456789"


def test_paths_that_end_alike_keep_their_whole_names():
    names = labels.short_names(["task.height", "task.kind", "model.kind"])
    assert names == {"task.height": "height", "task.kind": "task.kind", "model.kind": "model.kind"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.99996, ">0.999"),
        (0.9375, "0.938"),
        (0.0004, "<0.001"),
        (0.0, "0"),
        (math.nan, ""),
    ],
)
def test_only_a_whole_share_looks_like_one(value: float, text: str):
    assert labels.share(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "100 %"), (0.999, "over 99 %"), (0.034, "3 %"), (0.001, "under 1 %"), (0.0, "0 %")],
)
def test_only_a_whole_share_is_called_all_or_nothing(value: float, text: str):
    assert labels.percent(value) == text


def test_percents_that_look_alike_are_one():
    assert labels.percents([0.471, 0.468]) == "47 %"
    assert labels.percents([0.6, 0.4, 0.5]) == "40 % to 60 %"


@pytest.mark.parametrize("metric", OBJECTIVES)
def test_every_objective_has_a_unit(metric: str):
    assert labels.UNITS[metric]


def test_a_late_first_wrong_board_is_good():
    assert labels.with_unit("rollout/first_wrong") == "rollout/first_wrong (steps)"
    assert labels.direction("rollout/first_wrong") == "higher is better"
