"""Boards as strings, and completions read back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtune.tasks.life.notation import COMPACT, MISSING, Notation, VocabularyName
from tests.tasks.life.boards import board

VOCABULARIES: tuple[VocabularyName, ...] = ("bytes", "compact")
TWO = Notation(rows=2, columns=2, vocabulary="bytes")


def ids(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64)[np.newaxis]


@pytest.mark.parametrize(
    ("side", "length", "prompt"), [(32, 2071, 1043), (16, 535, 275), (8, 151, 83), (4, 55, 35)]
)
def test_lengths_are_those_published(side: int, length: int, prompt: int):
    notation = Notation(rows=side, columns=side, vocabulary="bytes")
    assert notation.length == length == 2 * side * side + 23
    assert notation.prompt_length == prompt == side * side + 19
    assert notation.completion_length == length - prompt == side * side + 4


def test_the_string_of_two_boards_is_spelt_out():
    before, after = board("O. .O .."), board(".. OO O.")
    notation = Notation(rows=3, columns=2, vocabulary="bytes")
    strings = notation.strings(before[np.newaxis], after=after[np.newaxis])
    assert strings.tokens.tobytes() == b"@PredictNextState<100100> [001110]$"
    assert strings.tokens.dtype == np.uint8
    assert strings.offsets.tolist() == [0, 35]
    assert notation.stop == ord("$")
    assert notation.size == 256


def test_compact_tokens_are_the_characters_that_occur():
    assert COMPACT == "01@PredictNxSa<> []$"
    notation = Notation(rows=2, columns=2, vocabulary="compact")
    boards = np.array([[[0, 1], [1, 1]], [[0, 0], [0, 0]]], dtype=np.uint8)
    strings = notation.strings(boards, after=boards)
    assert notation.size == 21
    assert set(strings.tokens.tolist()) == set(range(1, 21))
    assert strings[0][18:22].tolist() == [1, 2, 2, 2]
    assert notation.text(strings[0].astype(np.int64)) == "@PredictNextState<0111> [0111]$"


@settings(deadline=None, max_examples=40)
@given(
    shape=st.tuples(st.integers(0, 4), st.integers(1, 6), st.integers(1, 6)),
    vocabulary=st.sampled_from(VOCABULARIES),
    seed=st.integers(0, 2**32),
)
def test_what_is_written_is_read(
    shape: tuple[int, int, int], vocabulary: VocabularyName, seed: int
):
    notation = Notation(rows=shape[1], columns=shape[2], vocabulary=vocabulary)
    before, after = np.random.default_rng(seed).integers(0, 2, size=(2, *shape), dtype=np.uint8)
    strings = notation.strings(before, after=after)
    rows = strings.tokens.reshape(shape[0], notation.length).astype(np.int64)
    assert len(strings) == shape[0]
    assert (notation.first_boards(strings).reshape(shape) == before).all()
    assert (rows[:, : notation.prompt_length] == notation.prompt(before).tokens).all()
    predicted = notation.read(rows[:, notation.prompt_length :])
    assert predicted.valid.all()
    assert (predicted.cells == after).all()


@pytest.mark.parametrize(
    ("completion", "cells", "valid"),
    [
        (" [0110]$", [0, 1, 1, 0], True),
        (" [0110]]", [0, 1, 1, 0], False),
        (" [0110$$", [0, 1, 1, 0], False),
        (" [01100$", [0, 1, 1, 0], False),
        (" [01]$$$", [0, 1, MISSING, MISSING], False),
        (" [0x10]$", [0, MISSING, MISSING, MISSING], False),
        (" [$$", [MISSING] * 4, False),
        ("[0110]$$", [MISSING] * 4, False),
        ("  0110]$", [MISSING] * 4, False),
        ("$", [MISSING] * 4, False),
        (" [0110]$$$$", [0, 1, 1, 0], True),
    ],
)
def test_cells_count_up_to_the_first_character_out_of_place(
    completion: str, cells: list[int], valid: bool
):
    predicted = TWO.read(ids(completion))
    assert predicted.cells.ravel().tolist() == cells
    assert predicted.valid.tolist() == [valid]


def test_text_ends_with_the_first_stop_and_prints_everything():
    assert TWO.text(ids(" [01\n\x00]$$$")[0]) == " [01??]$"
    assert TWO.text(ids(" [01")[0]) == " [01"
