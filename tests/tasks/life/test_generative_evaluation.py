"""Exams of models that are known: perfect, copying, malformed; and what is scored of each."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from seqtune import seeding
from seqtune.tasks.generative_evaluation import CELLS, GenerationResult, Prompt, run
from seqtune.tasks.life.board import Boards, step
from seqtune.tasks.life.generative_evaluation import code_cells
from seqtune.tasks.life.spec import LifeSpec
from seqtune.tasks.life.task import LifeTask
from tests.tasks.life.boards import CONWAY, board

Change = Callable[[Boards], Boards]

SETS = [
    "drawn",
    *(f"density {each}" for each in (0, 0.25, 0.5, 0.75, 1)),
    *("glider", "blinker", "r-pentomino", "block"),
]


def task_of(**fields: object) -> LifeTask:
    return LifeTask(LifeSpec.parse({"kind": "life", "vocabulary": "compact", **fields}))


def shown(task: LifeTask, prompt: Prompt) -> Boards:
    """The boards of prompts, read without the task's help."""
    texts = [task.notation.text(row) for row in prompt.tokens]
    assert all(text.startswith("@PredictNextState<") and text[-1] == ">" for text in texts)
    cells = np.array([[int(cell) for cell in text[18:-1]] for text in texts], dtype=np.uint8)
    return cells.reshape(-1, task.spec.rows, task.spec.columns)


def spelt(task: LifeTask, texts: list[str]) -> np.ndarray:
    """Completions from text, filled up with their stop."""
    longest = max(map(len, texts))
    rows = [text.ljust(longest, "$") for text in texts]
    return np.array([[task.notation.characters.index(each) for each in row] for row in rows])


def written(task: LifeTask, boards: Boards) -> np.ndarray:
    return spelt(task, [f" [{''.join(map(str, each.ravel()))}]$" for each in boards])


def answers(task: LifeTask, change: Change) -> Callable[[Prompt], np.ndarray]:
    """A model that writes what `change` makes of the board it is shown."""

    def complete(prompt: Prompt) -> np.ndarray:
        assert (prompt.temperature, prompt.stop) == (0, task.notation.stop)
        assert prompt.longest == task.notation.cells + 4
        return written(task, change(shown(task, prompt)))

    return complete


def examined(
    task: LifeTask, complete: Callable[[Prompt], np.ndarray], *, count: int = 20
) -> GenerationResult:
    exam = task.generative_evaluation(count, generator=seeding.generator(0, "generate"))
    return run(exam, complete=complete)


def conway(boards: Boards) -> Boards:
    return step(boards, rule=CONWAY, border="torus")


def test_a_perfect_model_gets_everything_right():
    task = task_of()
    found = examined(task, answers(task, conway))
    assert {name: score.value for name, score in found.scores.items()} == {
        **{f"generate/{score}": 1.0 for score in ("valid", "cells", "exact")},
        **{"rollout/cells": 1.0, "rollout/exact": 1.0, "rollout/first_wrong": 11.0},
    }
    assert set(found.scores) <= task.spec.scores
    assert list(found.tables) == ["scores by test set", "roll-outs by step", "roll-outs by board"]
    rows = found.tables["scores by test set"]
    assert [row["test set"] for row in rows] == SETS
    assert [row["boards"] for row in rows] == [20, 1, 16, 16, 16, 1, 1, 1, 1, 1]
    assert all(row[score] == 1.0 for row in rows for score in ("valid", "cells", "exact"))
    assert [row["step"] for row in found.tables["roll-outs by step"]] == list(range(1, 11))
    by_board = found.tables["roll-outs by board"]
    assert [row["board"] for row in by_board] == SETS[1:]
    assert all((row["first wrong step"], row["wrong cells"]) == (11, 0) for row in by_board)
    assert all(sample.right for sample in found.samples)


def test_every_table_has_rows_of_one_shape():
    task = task_of()
    for rows in examined(task, answers(task, conway)).tables.values():
        assert len({tuple(row) for row in rows}) == 1


def test_the_world_of_the_spec_is_the_one_that_is_examined():
    task = task_of(rule="B36/S23", border="dead", steps=3, rows=5, columns=6, vocabulary="bytes")
    found = examined(task, answers(task, task.advance))
    assert {score.value for score in found.scores.values()} == {1.0, 11.0}
    assert examined(task, answers(task, conway)).scores["generate/exact"].value < 1


def test_everything_is_asked_at_once_and_roll_outs_step_by_step():
    task = task_of(rollout_steps=4)
    asked: list[int] = []

    def complete(prompt: Prompt) -> np.ndarray:
        asked.append(len(prompt.tokens))
        return answers(task, conway)(prompt)

    examined(task, complete)
    assert asked == [20 + 1 + 3 * 16 + 1 + 4, 9, 9, 9]


def test_without_roll_outs_there_is_one_prompt():
    task = task_of(rollout_steps=0)
    found = examined(task, answers(task, conway), count=3)
    assert list(found.tables) == ["scores by test set"]
    assert set(found.scores) == {"generate/valid", "generate/cells", "generate/exact"}
    assert [row["boards"] for row in found.tables["scores by test set"]][:4] == [3, 1, 3, 3]


def test_the_same_generator_asks_the_same():
    task = task_of()
    prompts = [
        next(task.generative_evaluation(5, generator=seeding.generator(0, "generate")))
        for _ in range(2)
    ]
    assert (prompts[0].tokens == prompts[1].tokens).all()


def test_drawn_boards_are_those_of_the_language():
    task = task_of(density="broad", rows=8, columns=8)
    prompt = next(task.generative_evaluation(32, generator=seeding.generator(0, "generate")))
    drawn = task.boards(32, generator=seeding.generator(0, "generate"))
    assert (shown(task, prompt)[:32] == drawn).all()


def test_a_copying_model_scores_what_stands_still():
    task = task_of(patterns=["block", "blinker", "glider"])
    found = examined(task, answers(task, lambda boards: boards))
    boards = task.boards(20, generator=seeding.generator(0, "generate"))
    assert found.scores["generate/valid"].value == 1
    cells = (boards == conway(boards)).mean(axis=(1, 2))
    assert found.scores["generate/cells"].value == pytest.approx(cells.mean(), rel=1e-12)
    assert found.scores["generate/cells"].count == 20
    error = cells.std(ddof=1) / math.sqrt(20)
    assert found.scores["generate/cells"].standard_error == pytest.approx(error)
    rows = {row["test set"]: row for row in found.tables["scores by test set"]}
    assert (rows["block"]["cells"], rows["block"]["exact"]) == (1, 1)
    assert (rows["density 0"]["cells"], rows["density 0"]["exact"]) == (1, 1)
    assert (rows["blinker"]["cells"], rows["blinker"]["exact"]) == (12 / 16, 0)
    by_board = {row["board"]: row for row in found.tables["roll-outs by board"]}
    assert by_board["block"]["first wrong step"] == 11
    # A blinker is itself again at every second step, and four cells differ at the others.
    assert by_board["blinker"] == {"board": "blinker", "first wrong step": 1, "wrong cells": 20}


def test_roll_outs_are_compared_with_the_true_course():
    """A model that errs once, in one cell of one board, and is perfect on what it then reads."""
    task = task_of(patterns=["blinker"], rollout_steps=3)
    calls: list[Boards] = []

    def complete(prompt: Prompt) -> np.ndarray:
        before = shown(task, prompt)
        after = conway(before)
        calls.append(before)
        if len(calls) == 2:
            after[-1] = board(".... .... .... ...O")
        return written(task, after)

    found = examined(task, complete)
    blinker = found.tables["roll-outs by board"][-1]
    # Step 2 has three cells too few and one too many, step 3 all three of the column missing.
    assert blinker == {"board": "blinker", "first wrong step": 2, "wrong cells": 4 + 3}
    assert (calls[2][-1] == board(".... .... .... ...O")).all()
    assert found.scores["rollout/first_wrong"].value == (5 * 4 + 2) / 6
    assert found.scores["rollout/cells"].value == pytest.approx(1 - 7 / (3 * 6 * 16))
    assert found.scores["rollout/exact"].value == pytest.approx(1 - 2 / 18)
    # One of six boards has a third of its steps right, the others all: s = (2/3) / sqrt(6), over sqrt(6).
    assert found.scores["rollout/exact"].standard_error == pytest.approx(1 / 9)
    assert [row["exact"] for row in found.tables["roll-outs by step"]] == [1, 5 / 6, 5 / 6]


@pytest.mark.parametrize(
    ("completion", "cells"),
    [
        ("$", 0),
        (" [$", 0),
        ("[0000000000000000]$", 0),
        (" [0000]$", 4 / 16),
        (" [0000x00000000000]$"[:20], 4 / 16),
        (" [000000000000000000", 1),
    ],
)
def test_malformed_completions_are_wrong_from_there_on(completion: str, cells: float):
    task = task_of(density=0, patterns=[], rollout_steps=2)
    asked: list[int] = []

    def complete(prompt: Prompt) -> np.ndarray:
        asked.append(len(prompt.tokens))
        return spelt(task, [completion] * len(prompt.tokens))

    found = examined(task, complete)
    assert found.scores["generate/valid"].value == found.scores["generate/exact"].value == 0
    assert found.scores["generate/cells"].value == cells
    assert len(asked) == 1  # nothing is left to be rolled out
    first, second = found.tables["roll-outs by step"]
    assert 0 <= float(first["cells"]) <= cells
    assert (second["cells"], second["exact"]) == (0, 0)
    assert found.scores["rollout/first_wrong"].value == 1


def test_a_malformed_board_ends_its_roll_out_alone():
    task = task_of(patterns=["block"], rollout_steps=4)
    asked: list[int] = []

    def complete(prompt: Prompt) -> np.ndarray:
        asked.append(len(prompt.tokens))
        completions = written(task, conway(shown(task, prompt)))
        if len(asked) == 2:
            completions[-1, -2:] = completions[-1, 0]
        return completions

    found = examined(task, complete)
    assert asked[1:] == [6, 5, 5]
    block = found.tables["roll-outs by board"][-1]
    assert block == {"board": "block", "first wrong step": 2, "wrong cells": 32}
    steps = found.tables["roll-outs by step"]
    assert [row["exact"] for row in steps] == [1, 5 / 6, 5 / 6, 5 / 6]
    assert [row["cells"] for row in steps] == [1, 1, 5 / 6, 5 / 6]


def test_samples_show_where_a_prediction_is_wrong():
    task = task_of(patterns=["blinker"], rows=3, columns=4)
    found = examined(task, answers(task, lambda boards: boards))
    assert [sample.title for sample in found.samples] == [*SETS[:6], "blinker"]
    sample = found.samples[-1]
    assert sample.right is False
    assert sample.text == "@PredictNextState<000011100000> [000011100000]$"
    assert sample.panels is not None
    panels = {name: cells.tolist() for name, cells in sample.panels.items()}
    assert panels["prompt"] == board(".... OOO. ....").tolist()
    # Three rows on a torus: above and below the row lie the same two dead rows.
    assert panels["truth"] == task.advance(board(".... OOO. ....")[np.newaxis])[0].tolist()
    wrong = np.array(panels["prompt"]) != np.array(panels["truth"])
    assert (np.array(panels["prediction"]) >= 2).tolist() == wrong.tolist()


def test_cells_are_coded_as_the_panels_say():
    truth = np.array([[0, 1, 1, 0, 1]], dtype=np.uint8)
    cells = np.array([[0, 1, 0, 1, -1]], dtype=np.int8)
    coded = code_cells(cells, true=truth)
    assert coded.dtype == np.int8
    names = [CELLS[code] for code in coded[0]]
    assert names == ["dead", "alive", "wrongly dead", "wrongly alive", "missing"]


def test_a_large_board_shows_a_dozen_samples():
    task = task_of(rows=32, columns=32, rollout_steps=1)
    found = examined(task, answers(task, conway), count=2)
    assert len(found.samples) == 12
    titles = [sample.title for sample in found.samples]
    assert titles[6:] == [
        "glider",
        "cloverleaf",
        "hammerhead",
        "blinker",
        "r-pentomino",
        "pulsar",
    ]
    assert found.scores["rollout/first_wrong"].value == 2
    assert found.to_data()["samples"][0]["title"] == "drawn"
