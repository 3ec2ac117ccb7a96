"""Patterns: each does what it is known for; files are read, and wrong ones are told where."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from seqtune.tasks.life.board import Boards, step
from seqtune.tasks.life.pattern import (
    FOLDER,
    SHIPPED,
    Pattern,
    load,
    place,
    read_cells,
    read_file,
    read_rle,
    shipped,
)
from tests.tasks.life.boards import CONWAY, board


def later(before: Boards, *, steps: int, border: str = "dead") -> Boards:
    return step(before, rule=CONWAY, border="torus" if border == "torus" else "dead", steps=steps)


def alone(name: str, *, side: int) -> Boards:
    return place(load(name), rows=side, columns=side)


def test_every_shipped_file_is_named():
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(SHIPPED.values())
    assert [each.name for each in shipped()] == list(SHIPPED)


@pytest.mark.parametrize(
    ("name", "period", "move"),
    [
        ("block", 1, (0, 0)),
        ("blinker", 2, (0, 0)),
        ("pulsar", 3, (0, 0)),
        ("cloverleaf", 4, (0, 0)),
        ("glider", 4, (1, 1)),
        ("lwss", 4, (0, -2)),
        ("mwss", 4, (0, -2)),
        ("hwss", 4, (0, -2)),
        ("hammerhead", 4, (0, -2)),
    ],
)
def test_oscillators_and_spaceships(name: str, period: int, move: tuple[int, int]):
    before = alone(name, side=32)
    for steps in range(1, period):
        phase = later(before, steps=steps, border="torus")
        assert not any(
            (np.roll(before, (down, right), axis=(0, 1)) == phase).all()
            for down in (-2, -1, 0, 1, 2)
            for right in (-2, -1, 0, 1, 2)
        )
    after = later(before, steps=period, border="torus")
    assert (after == np.roll(before, move, axis=(0, 1))).all()


def test_the_r_pentomino_settles_after_1103_generations():
    before = later(alone("r-pentomino", side=640), steps=1102)
    assert [later(before, steps=steps).sum() for steps in range(4)] == [118, 116, 116, 116]


def without_gliders(before: Boards, *, margin: int) -> tuple[Boards, int]:
    """The board without what lies in its margin, which must all be gliders, and their number."""
    labels = np.zeros(before.shape, dtype=np.int32)
    ndimage.label(before, structure=np.ones((3, 3)), output=labels)
    after, taken = before.copy(), 0
    for number, parts in enumerate(ndimage.find_objects(labels), start=1):
        inside = all(
            margin <= part.start and part.stop <= size - margin
            for part, size in zip(parts, before.shape, strict=True)
        )
        if not inside:
            assert (labels == number).sum() == 5
            assert max(part.stop - part.start for part in parts) == 3
            after[labels == number] = 0
            taken += 1
    return after, taken


def test_the_acorn_settles_after_5206_generations():
    """Gliders that leave are taken off near the edge and counted, so that a small board is enough."""
    window, gone = alone("acorn", side=360), 0
    for _ in range(136):
        window, taken = without_gliders(later(window, steps=38), margin=24)
        gone += taken
    populations = [int(later(window, steps=38 + more).sum()) + 5 * gone for more in (-1, 0, 1, 2)]
    assert 137 * 38 == 5206
    assert populations == [635, 633, 633, 633]
    assert gone == 13


def test_the_gun_emits_a_glider_every_30_generations():
    gun = load("gosper-glider-gun")
    before = place(gun, rows=60, columns=60, at=(2, 2))
    seen = later(before, steps=30)
    own = (slice(0, 11), slice(0, 40))
    for number in (1, 2, 3):
        after = later(before, steps=30 * number)
        assert (after[own] == before[own]).all()
        assert after.sum() == before.sum() + 5 * number
        seen = after
    emitted = seen.copy()
    emitted[own] = 0
    flown = later(emitted, steps=4)
    assert (flown == np.roll(emitted, (1, 1), axis=(0, 1))).all()


def test_patterns_are_placed_in_the_middle_or_where_told():
    glider = load("glider")
    assert (
        place(glider, rows=5, columns=6).tolist()
        == board("...... ..O... ...O.. .OOO.. ......").tolist()
    )
    assert (
        place(glider, rows=4, columns=4, at=(1, 1)).tolist()
        == board(".... ..O. ...O .OOO").tolist()
    )
    exact = place(glider, rows=3, columns=3)
    assert (exact == glider.cells).all()


@pytest.mark.parametrize(
    ("size", "at", "message"),
    [
        ((2, 9), None, "glider must fit the board, but it is 3 x 3 and the board 2 x 9"),
        ((9, 2), None, "glider must fit the board, but it is 3 x 3 and the board 9 x 2"),
        ((9, 9), (7, 0), r"glider must lie inside the board, but at \(7, 0\)"),
        ((9, 9), (0, -1), r"glider must lie inside the board, but at \(0, -1\)"),
    ],
)
def test_a_pattern_must_fit(size: tuple[int, int], at: tuple[int, int] | None, message: str):
    with pytest.raises(ValueError, match=message):
        place(load("glider"), rows=size[0], columns=size[1], at=at)


def test_run_lengths_are_read():
    text = "#C a comment\n#C another\nx = 4, y=4, rule = B36/S23\n2o$b\no$3$what follows is no part"
    with pytest.raises(ValueError, match="must hold only b, o, "):
        read_rle(text, source="x.rle")
    cells = read_rle("#C a\nX=4,Y = 4\n\n2o\n$ bo2$ 3bo! and more", source="x.rle")
    assert cells.tolist() == board("OO.. .O.. .... ...O").tolist()
    assert read_rle("x = 2, y = 1\n!", source="x.rle").tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.rle:1: must have a header such as x = 3, y = 3, but has none"),
        ("#C only this\n", "x.rle:1: must have a header"),
        ("bo$!", "x.rle:1: must be a header such as x = 3, y = 3, got 'bo"),
        ("#C\nx = 0, y = 3\n!", "x.rle:2: x and y must be at least 1"),
        ("x = 3, y = 3\nbo$2xo!", "x.rle:2: must hold only b, o, .* but got '2xo!'"),
        ("x = 3, y = 3\nbo$3\no!", "x.rle:2: must hold only b, o, .* but got '3'"),
        ("x = 3, y = 3\nbo$\n4o!", "x.rle:3: cells must lie in .* row 2 reaches column 4"),
        ("x = 3, y = 2\no$o$o!", "x.rle:2: cells must lie in the header's 2 rows"),
        ("x = 3, y = 3\nbo$\n3o\n", "x.rle:3: must end with !"),
    ],
)
def test_wrong_run_lengths_are_told_by_line(text: str, message: str):
    with pytest.raises(ValueError, match=message):
        read_rle(text, source="x.rle")


def test_plain_text_is_read():
    cells = read_cells("!Name: x\n!\n.O\n\nO.O\n\n", source="x.cells")
    assert cells.tolist() == board(".O. ... O.O").tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("!only this\n", "x.cells:1: must have at least one row"),
        ("!\n.O.\n.*O\n", r"x.cells:3: must hold only \. and O, but got '\*'"),
    ],
)
def test_wrong_plain_text_is_told_by_line(text: str, message: str):
    with pytest.raises(ValueError, match=message):
        read_cells(text, source="x.cells")


def test_a_users_own_file_is_a_pattern(tmp_path: Path):
    path = tmp_path / "mine.cells"
    path.write_text(".O\nOO\n")
    mine = load(str(path))
    assert (mine.name, mine.size, mine.cells.tolist()) == ("mine", "2 x 2", [[0, 1], [1, 1]])


def test_what_cannot_be_read_is_told(tmp_path: Path):
    path = tmp_path / "x.rle"
    with pytest.raises(ValueError, match=r"x\.rle: cannot be read: No such file"):
        read_file(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"x\.rle: must be text"):
        read_file(path)
    with pytest.raises(ValueError, match=r"x\.png: must end in \.rle or \.cells"):
        read_file(tmp_path / "x.png")
    with pytest.raises(ValueError, match=r"no such pattern.*'pulser'; did you mean pulsar\?"):
        load("pulser")


def as_run_lengths(cells: Boards) -> str:
    rows = ["".join("bo"[cell] for cell in row) for row in cells]
    return f"x = {cells.shape[1]}, y = {cells.shape[0]}\n" + "$\n".join(rows) + "!"


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 2**32))
def test_both_formats_say_the_same(rows: int, columns: int, seed: int):
    cells = np.random.default_rng(seed).integers(0, 2, size=(rows, columns), dtype=np.uint8)
    text = "\n".join("".join(".O"[cell] for cell in row) for row in cells)
    assert (read_rle(as_run_lengths(cells), source="x") == cells).all()
    assert (read_cells(text, source="x") == cells).all()
    pattern = Pattern("x", cells)
    assert place(pattern, rows=9, columns=9).sum() == cells.sum()
