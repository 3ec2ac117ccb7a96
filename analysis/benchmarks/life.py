"""How fast boards of Life are stepped and drawn on one core, beside plain implementations.

Prints microseconds of CPU time a board: medians of interleaved repetitions after a warm-up, so that
other work on the machine counts little. The plain step is what one would write first, two loops over
the cells of nested lists, and Conway's rule only; the other one adds up shifted NumPy arrays. Run it
without arguments.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy starts

import platform
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from seqtune.provenance import cpu_name
from seqtune.tasks.life.board import Boards, Rule, step
from seqtune.tasks.life.spec import LifeSpec
from seqtune.tasks.life.task import LifeTask

REPETITIONS = 15
SIDE = 32
BATCH = 256
DRAWN = 64
CONWAY = Rule.parse("B3/S23")


def plain_step(board: list[list[int]]) -> list[list[int]]:
    """A step on a torus, by two loops."""
    rows, columns = len(board), len(board[0])
    after = [[0] * columns for _ in range(rows)]
    for i in range(rows):
        for j in range(columns):
            count = 0
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    if down or right:
                        count += board[(i + down) % rows][(j + right) % columns]
            after[i][j] = int(count == 3 or (count == 2 and board[i][j] == 1))
    return after


def shifted_step(boards: Boards) -> Boards:
    """A step of [B, R, C] on a torus, by sums of shifted arrays."""
    padded = np.pad(boards, ((0, 0), (1, 1), (1, 1)), mode="wrap")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    nine = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    return ((nine == 3) | ((nine == 4) & (boards == 1))).astype(np.uint8)


def microseconds(tasks: dict[str, tuple[int, Callable[[], object]]]) -> dict[str, float]:
    """CPU microseconds a board of every task, which is told with the number of boards of a call.

    A repetition calls a task until a hundredth of a second has passed: one call is too short to time.
    """
    found: dict[str, list[float]] = {name: [] for name in tasks}
    for repetition in range(REPETITIONS + 1):
        for name, (boards, call) in tasks.items():
            calls, start, spent = 0, time.process_time(), 0.0
            while spent < 0.01:
                call()
                calls += 1
                spent = time.process_time() - start
            if repetition > 0:  # the first warms up, and compiles
                found[name].append(1e6 * spent / (calls * boards))
    return {name: median(values) for name, values in found.items()}


def check(boards: Boards) -> None:
    """All steps must agree before they are compared."""
    after = step(boards, rule=CONWAY, border="torus")
    assert (shifted_step(boards) == after).all()
    assert plain_step(boards[0].tolist()) == after[0].tolist()


def draws() -> dict[str, float]:
    """CPU microseconds a board that is drawn, by density and layout."""
    generator = np.random.default_rng(0)
    tasks: dict[str, tuple[int, Callable[[], object]]] = {}
    for layout in ("homogeneous", "heterogeneous"):
        for density in ("high", "broad"):
            fields = {"rows": SIDE, "columns": SIDE, "density": density, "layout": layout}
            task = LifeTask(LifeSpec.parse(fields))
            tasks[f"{layout}, {density}"] = (
                DRAWN,
                lambda task=task: task.boards(DRAWN, generator=generator),
            )
            if layout == "homogeneous":
                tasks[f"{density}, with its string"] = (
                    DRAWN,
                    lambda task=task: task.draw(DRAWN, generator=generator),
                )
    return microseconds(tasks)


def main() -> None:
    """Prints the times and their ratios."""
    boards = np.random.default_rng(0).integers(0, 2, size=(BATCH, SIDE, SIDE), dtype=np.uint8)
    first, nested = boards[:1], boards[0].tolist()
    check(boards)
    found = microseconds(
        {
            "plain": (1, lambda: plain_step(nested)),
            f"batch of {BATCH}": (BATCH, lambda: step(boards, rule=CONWAY, border="torus")),
            f"batch of {BATCH}, shifted arrays": (BATCH, lambda: shifted_step(boards)),
            "single": (1, lambda: step(first, rule=CONWAY, border="torus")),
            "single, shifted arrays": (1, lambda: shifted_step(first)),
        }
    )
    print(f"{SIDE} x {SIDE}, one core of {cpu_name()}, Python {platform.python_version()}")
    print(f"a step, medians of {REPETITIONS}:")
    for name, time_taken in found.items():
        ratio = found["plain"] / time_taken
        print(f"{name:30} {time_taken:10,.2f} microseconds a board  plain / this {ratio:8,.0f}")
    print(f"drawing {DRAWN} boards:")
    for name, time_taken in draws().items():
        print(f"{name:30} {time_taken:10,.2f} microseconds a board")


if __name__ == "__main__":
    main()
