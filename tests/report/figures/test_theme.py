import base64
import json
import math
import struct

import altair as alt
import numpy as np
import pandas as pd
import pytest

from seqtune.report.figures import theme
from seqtune.report.figures.boards import data_url


def test_positive_values_of_very_different_size_need_a_logarithmic_scale():
    assert theme.needs_log([0.01, 0.3])
    assert not theme.needs_log([0.1, 0.3])
    assert not theme.needs_log([-0.01, 0.3])
    assert not theme.needs_log([0.0, 0.3, math.nan])


def test_logarithmic_ticks_are_round_and_span_the_values():
    assert theme.log_ticks([0.02, 0.4]) == pytest.approx([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5])
    many = theme.log_ticks([1e-6, 1e6])
    assert len(many) <= 13
    assert all(math.log10(tick) % 1 == pytest.approx(0) for tick in many)


def test_panels_fill_their_rows():
    assert [theme.columns_of(count, width=260) for count in (1, 2, 3, 4, 5, 6)] == [
        1,
        2,
        3,
        2,
        3,
        3,
    ]


def test_names_with_an_order_are_coloured_along_a_ramp_and_others_by_distinct_colours():
    ramp = theme.colour("name", names=["b", "a"], ranks=[2, 1]).to_dict()
    assert (ramp["type"], ramp["scale"]["domain"]) == ("ordinal", ["a", "b"])
    distinct = theme.colour("name", names=["b", "a"], ranks=["x", 1]).to_dict()
    assert (distinct["type"], distinct["scale"]["domain"]) == ("nominal", ["b", "a"])
    assert theme.colour("name", names=["a"]).to_dict()["legend"] is None


def test_many_or_long_names_stand_below_the_chart():
    assert "orient" not in theme.legend(["a", "b"]).to_dict()
    assert theme.legend(["a" * 40, "b"]).to_dict()["orient"] == "bottom"
    assert theme.legend([str(name) for name in range(40)]).to_dict()["orient"] == "bottom"


def test_a_chart_has_no_colours_of_its_own_that_a_dark_page_could_not_change():
    chart = alt.Chart(pd.DataFrame({"x": [1], "name": ["a"]})).mark_point()
    color = theme.colour("name", names=["a"])
    spec = theme.specification(chart.encode(x="x:Q", color=color), title="T")
    assert "config" not in spec
    assert "#" not in json.dumps(spec["encoding"])
    light, dark = theme.config(), theme.config(dark=True)
    assert light.keys() == dark.keys()
    assert light["range"]["category"] != dark["range"]["category"]


def test_the_same_chart_gives_the_same_picture():
    chart = alt.Chart(pd.DataFrame({"x": [1, 2]})).mark_point().encode(x="x:Q")
    specs = [theme.specification(chart, title="<b> & $x$") for _ in range(2)]
    first, second = map(theme.svg, specs)
    assert first == second
    assert "&lt;b&gt; &amp; $x$" in first
    assert theme.png(first)[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_title_that_follows_a_choice_is_an_expression():
    given = {"a": "first", "b": "second"}
    axis = alt.Axis(title=theme.lookup("which", options=given))
    chart = alt.Chart(pd.DataFrame({"x": [1]})).mark_point().encode(alt.X("x:Q", axis=axis))
    chart = chart.add_params(theme.select("which", options=given, label="x "))
    spec = theme.specification(chart, title="T")
    assert spec["encoding"]["x"]["axis"]["title"] == {"expr": f"{json.dumps(given)}[which]"}
    assert ">first<" in theme.svg(spec)


def test_a_board_is_a_picture_of_its_cells():
    url = data_url(np.zeros((2, 3), dtype=np.int8))
    content = base64.b64decode(url.removeprefix("data:image/png;base64,"))
    width, height = struct.unpack(">II", content[16:24])
    assert width / height == 3 / 2
