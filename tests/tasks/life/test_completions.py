"""Boards as people write them, and where completions go wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtune import seeding
from seqtune.tasks.generative_evaluation import CELLS, Sample
from seqtune.tasks.life.pattern import read_board
from seqtune.tasks.life.spec import LifeSpec
from seqtune.tasks.life.task import LifeTask

BLINKER = [[0, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]]


def task_of(**fields: Any) -> LifeTask:
    return LifeTask(LifeSpec.parse({"kind": "life", "rows": 4, "columns": 4, **fields}))


def tokens_of(task: LifeTask, text: str) -> npt.NDArray[np.int64]:
    return np.array([[task.notation.characters.index(each) for each in text]], dtype=np.int64)


def check(task: LifeTask, asked: str, answer: str) -> Sample:
    prompt = task.prompt(asked, count=1, generator=seeding.generator(0, "generate"))
    (sample,) = task.check_completions(prompt, completions=tokens_of(task, answer))
    return sample


@pytest.mark.parametrize(
    "text",
    [
        "0000/1110/0000",
        "..../OOO./....",
        "0000\n1110\n0000\n",
        " . . . . / O O O . / . . . . ",
        "000011100000",
        "....OOO.....",
        "@PredictNextState<000011100000>",
        "blinker",
    ],
)
def test_a_board_is_read_in_many_ways(text: str):
    read = read_board(text, rows=3, columns=4)
    assert read.dtype == np.uint8
    assert read.tolist() == BLINKER


def test_a_board_is_read_from_a_pattern_file(tmp_path: Path):
    path = tmp_path / "my.cells"
    path.write_text("O.\n.O\n")
    assert read_board(str(path), rows=2, columns=4).tolist() == [[0, 1, 0, 0], [0, 0, 1, 0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("01", "must have 3 rows of 4 cells, 12 in all, but has 2; write / between rows"),
        (
            "010/111/010",
            "must have 3 rows of 4 cells, but has 3 of 3; for such a board the task needs rows=3 and "
            "columns=3",
        ),
        ("0100/111/0100", "must have 3 rows of 4 cells, but row 2 has 3"),
        ("0100/1111/01", "must have 3 rows of 4 cells, but row 3 has 2"),
        (
            "gliderr",
            "must be cells, 0 or . for dead and 1 or O for alive, or a pattern, but got 'g' in 'gliderr'; "
            "did you mean glider?",
        ),
        (
            "",
            "must be cells, 0 or . for dead and 1 or O for alive, or a pattern, but got ''; it is one",
        ),
        (
            "0102/0000/0000",
            "must be cells, 0 or . for dead and 1 or O for alive, or a pattern, but got '2'",
        ),
        ("pulsar", "pulsar must fit the board, but it is 13 x 13 and the board 3 x 4"),
        ("missing.rle", "missing.rle: cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_board_of_that_size_is_refused(text: str, message: str):
    with pytest.raises(ValueError, match=r"must|cannot") as caught:
        read_board(text, rows=3, columns=4)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@given(st.lists(st.lists(st.integers(0, 1), min_size=5, max_size=5), min_size=1, max_size=6))
@settings(deadline=None)
def test_a_prompt_says_its_board_again(rows: list[list[int]]):
    task = task_of(rows=len(rows), columns=5, patterns=[])
    text = "/".join("".join(".O"[cell] for cell in row) for row in rows)
    asked = task.prompt(text, count=3, generator=seeding.generator(0, "generate"))
    answer = np.zeros((3, 1), dtype=np.int64)
    for sample in task.check_completions(asked, completions=answer):
        assert sample.panels is not None
        assert sample.panels["prompt"].tolist() == rows
        assert sample.panels["truth"].tolist() == task.advance(np.array(rows, np.uint8)).tolist()


@pytest.mark.parametrize("vocabulary", ["bytes", "compact"])
@pytest.mark.parametrize(
    ("answer", "marked", "wrong"),
    [
        (" [0100010001000000]$", "[0100010001000000]$", 0),
        (
            " [0100010001100001]$",
            "[0100010001⟨wrong: row 3, column 3 must be dead; 2 of 16 cells are wrong⟩100001]$",
            2,
        ),
        (
            " [010001000000000",
            "[010001000⟨wrong: row 3, column 2 must be alive; 2 of 16 cells are wrong⟩000000",
            2,
        ),
        (
            " [0100]$",
            "[0100⟨wrong: row 2, column 1 must be dead; 12 of 16 cells are wrong⟩]$",
            12,
        ),
        (" [0100010001000000>$", "[0100010001000000⟨wrong: must end with ]$⟩>$", 0),
        ("[0100010001000000]$", "⟨wrong: must begin with a blank and [⟩[0100010001000000]$", 16),
        ("$", "⟨wrong: must begin with a blank and [⟩$", 16),
    ],
)
def test_a_completion_is_wrong_from_its_first_wrong_character_on(
    answer: str, marked: str, wrong: int, vocabulary: str
):
    sample = check(task_of(vocabulary=vocabulary), "0000/1110/0000/0000", answer)
    prompt = "@PredictNextState<0000111000000000>"
    assert "".join(sample.marked).removeprefix(prompt).strip() == marked
    assert sample.right == ("wrong" not in marked)
    assert sample.panels is not None
    prediction = sample.panels["prediction"]
    assert (prediction >= CELLS.index("wrongly dead")).sum() == wrong


def test_what_cannot_be_printed_keeps_the_place():
    answer = np.array([[32, 91, 48, 0, 10, 255, 36]])
    task = task_of()
    asked = task.prompt("0" * 16, count=1, generator=seeding.generator(0, "generate"))
    (sample,) = task.check_completions(asked, completions=answer)
    assert sample.wrong_at is not None
    assert sample.text[sample.wrong_at :] == "???$"


def test_boards_are_drawn_by_the_tasks_density():
    task = task_of(density=1.0)
    asked = task.prompt(None, count=4, generator=seeding.generator(0, "generate"))
    assert asked.temperature == 0
    for sample in task.check_completions(asked, completions=tokens_of(task, "$").repeat(4, axis=0)):
        assert sample.panels is not None
        assert sample.panels["prompt"].all()
