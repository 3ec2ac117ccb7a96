import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import LogNorm

from seqtune.report.figures import drawing


def test_positive_values_of_very_different_size_need_a_logarithmic_scale():
    assert isinstance(drawing.colour_scale([0.01, 0.3]), LogNorm)
    assert not isinstance(drawing.colour_scale([0.1, 0.3]), LogNorm)
    assert not isinstance(drawing.colour_scale([-0.01, 0.3]), LogNorm)
    assert not isinstance(drawing.colour_scale([0.0, 0.3, math.nan]), LogNorm)


def test_a_single_value_lies_in_the_middle_of_its_scale():
    assert float(drawing.colour_scale([0.3, math.nan])(0.3)) == pytest.approx(0.5)


def test_the_colour_map_darkens_with_the_value_so_that_it_reads_in_greyscale():
    lightness = [drawing.luminance(drawing.COLOUR_MAP(step / 20)) for step in range(21)]
    assert lightness == sorted(lightness, reverse=True)


@given(st.tuples(*[st.floats(0, 1)] * 3))
def test_text_on_any_colour_can_be_read(colour: tuple[float, float, float]):
    ink = drawing.luminance(drawing.text_colour(colour))
    lighter, darker = sorted((ink, drawing.luminance(colour)), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


@given(st.tuples(*[st.floats(0, 1)] * 3))
def test_a_lines_name_can_be_read_on_white(colour: tuple[float, float, float]):
    assert 1.05 / (drawing.luminance(drawing.as_text(colour)) + 0.05) >= 4.5


@given(st.lists(st.floats(0, 1), max_size=12))
def test_names_are_moved_apart_and_keep_their_order(positions: list[float]):
    moved = drawing.spread(positions, gap=0.1)
    by_height = sorted(range(len(positions)), key=lambda index: positions[index])
    heights = [moved[index] for index in by_height]
    gaps = [above - below for below, above in itertools.pairwise(heights)]
    assert all(gap >= 0.1 - 1e-9 for gap in gaps)


@given(st.lists(st.floats(-1, 2), min_size=1, max_size=9))
def test_names_are_held_between_bounds_and_stay_apart(positions: list[float]):
    moved = drawing.held(drawing.spread(positions, gap=0.1), gap=0.1, low=0.05, high=1.0)
    heights = sorted(moved)
    assert heights[0] >= 0.05 - 1e-9
    assert heights[-1] <= 1 + 1e-9
    assert all(above - below >= 0.1 - 1e-9 for below, above in itertools.pairwise(heights))


def test_too_many_names_leave_the_upper_bound():
    held = drawing.held([0.2, 0.4, 0.6], gap=0.5, low=0.1, high=1.0)
    assert held == pytest.approx([0.1, 0.6, 1.1])


def test_names_that_are_apart_stay_where_they_are():
    assert drawing.spread([0.9, 0.1, 0.5], gap=0.1) == [0.9, 0.1, 0.5]


@pytest.mark.parametrize(
    ("count", "text"), [(500, "500"), (20_000, "20k"), (1_500_000, "1.5M"), (0, "0")]
)
def test_ticks_of_large_counts_are_short(count: float, text: str):
    assert drawing.short_count(count) == text
