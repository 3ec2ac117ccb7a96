"""Names that stand beside each other are short, and never two the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtune.report.naming.names import distinct

LONG = "phased (granularity step, phases 3 1; 7 [{}]; 2 {})"


def phased(line: str, last: str) -> str:
    return LONG.format(line, last)


def test_what_has_room_stays_as_it_is():
    texts = ["linear", "linear (minimum 0.75)", "inverse_sigmoid (feedback sample)"]
    assert distinct(texts) == texts


def test_a_block_without_a_twin_keeps_its_kind_and_its_first_fields():
    assert distinct([phased("0.7, 0.383", "0"), "linear"]) == [
        "phased (granularity step, phases 3 1 …)",
        "linear",
    ]


def test_blocks_that_clipping_would_make_alike_show_where_they_differ():
    texts = [phased("0.7, 0.383", "0"), phased("0.5, 0.2", "0"), phased("0.5, 0.2", "0.25")]
    assert distinct(texts) == [
        "phased (… 7 [0.7, 0.383]; 2 0)",
        "phased (… 7 [0.5, 0.2]; 2 0)",
        "phased (… 7 [0.5, 0.2]; 2 0.25)",
    ]


def test_only_those_that_would_be_alike_are_cut_otherwise():
    names = distinct([phased("0.7, 0.383", "0"), phased("0.7, 0.383", "1"), phased("1, 2", "3")])
    assert names == [*distinct([phased("0.7, 0.383", "0"), phased("0.7, 0.383", "1")]), names[2]]


def test_names_that_differ_in_their_middle_show_it():
    names = distinct(
        [f"/data/{'long/' * 9}{part}/{'deep/' * 9}corpus.txt" for part in ("one", "two")]
    )
    assert ["one/" in name for name in names] == [True, False]
    assert ["two/" in name for name in names] == [False, True]


def test_what_nothing_tells_apart_is_numbered():
    assert distinct(["null", "null", "a", "null"]) == ["null", "null #2", "a", "null #3"]
    assert distinct(["x" * 60] * 2, longest=10) == ["xxxxx…xxxx", "xxxxx…x #2"]


@pytest.mark.parametrize("longest", [16, 28, 40])
@given(
    texts=st.lists(
        st.builds(
            "{} ({}, {})".format,
            st.sampled_from(["phased", "linear"]),
            st.text("ab, ;", max_size=60),
            st.text("ab, ;", max_size=60),
        )
        | st.text("ab ()", max_size=80),
        max_size=8,
    )
)
def test_names_are_distinct_and_no_longer_than_asked(longest: int, texts: list[str]):
    names = distinct(texts, longest=longest)
    assert len(names) == len(set(names)) == len(texts)
    assert all(len(name) <= longest for name in names)
