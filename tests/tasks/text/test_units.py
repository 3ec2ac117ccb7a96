import itertools
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtune.tasks.text.units import UNKNOWN, ByteVocabulary, UnitVocabulary, tokenize

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
prose = st.text("ab1_ \n\t.,-é😀\u0301", max_size=60)


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    at = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[start:stop] for start, stop in itertools.pairwise(at)]


def units_of(*texts: str, unit: Literal["char", "word"]) -> list[str]:
    return list(itertools.chain.from_iterable(tokenize(texts, unit=unit)))


def test_words_are_runs_of_letters_of_white_space_and_single_marks():
    words = units_of("It's 3_a,\n\n  no..", unit="word")
    assert words == ["It", "'", "s", " ", "3_a", ",", "\n\n  ", "no", ".", "."]


@given(texts | prose, st.lists(st.integers(0, 1000), max_size=5), st.sampled_from(["char", "word"]))
def test_units_are_lossless_and_do_not_depend_on_how_a_text_comes_in(text, cuts, unit):
    whole = units_of(text, unit=unit)
    assert "".join(whole) == text
    assert units_of(*pieces_of(text, cuts), unit=unit) == whole


@given(texts | prose, st.sampled_from(["char", "word"]))
def test_a_text_of_known_units_comes_back(text, unit):
    units = sorted(set(units_of(text, unit=unit)))
    vocabulary = UnitVocabulary(units, unit=unit)
    tokens = vocabulary.encode(text)
    assert tokens.dtype == np.int64
    assert (tokens > 0).all()
    assert vocabulary.decode(tokens) == text


@given(texts)
def test_every_text_comes_back_from_bytes(text):
    vocabulary = ByteVocabulary()
    tokens = vocabulary.encode(text)
    assert tokens.dtype == np.int64
    assert tokens.tolist() == list(text.encode())
    assert vocabulary.decode(tokens) == text


def test_what_is_not_in_the_vocabulary_is_unknown():
    words = UnitVocabulary([" ", "the", "cat"], unit="word")
    assert words.encode("the dog cat").tolist() == [2, 1, 0, 1, 3]
    assert words.decode(np.array([2, 1, 0], dtype=np.uint8)) == f"the {UNKNOWN}"
    assert words.size == 4
    characters = UnitVocabulary("ab", unit="char")
    assert characters.encode("abc\ud800").tolist() == [1, 2, 0, 0]


def test_bytes_that_are_no_text_show_as_replaced():
    assert ByteVocabulary().decode(np.array([0x61, 0xC3, 0x62])) == f"a{UNKNOWN}b"
    assert ByteVocabulary().decode(ByteVocabulary().encode("a\ud800")) == "a?"


@pytest.mark.parametrize(
    ("token", "shown"), [(0, "unknown"), (1, r"'\n'"), (2, "'é'"), (3, "'\"'")]
)
def test_units_are_shown_in_quotes(token: int, shown: str):
    assert UnitVocabulary(["\n", "é", '"'], unit="char").show(token) == shown


def test_bytes_are_shown_with_escapes():
    assert [ByteVocabulary().show(token) for token in (0x20, 0x0A, 0xC3)] == [
        "' '",
        r"'\n'",
        r"'\xc3'",
    ]
