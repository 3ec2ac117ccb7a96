"""What several tests write: boards as pictures, and the rule as one would first write it."""

import numpy as np

from seqtune.tasks.life.board import Boards, Rule

CONWAY = Rule.parse("B3/S23")


def board(picture: str) -> Boards:
    """A board from rows of `.` and `O` between blanks."""
    return np.array([[cell == "O" for cell in row] for row in picture.split()], dtype=np.uint8)


def plain_step(before: Boards, *, rule: Rule, border: str) -> Boards:
    """One board one step later, cell by cell and offset by offset."""
    rows, columns = before.shape
    after = np.zeros_like(before)
    for row in range(rows):
        for column in range(columns):
            count = 0
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    i, j = row + down, column + right
                    inside = 0 <= i < rows and 0 <= j < columns
                    if (down or right) and (inside or border == "torus"):
                        count += int(before[i % rows, j % columns])
            after[row, column] = count in (rule.survival if before[row, column] else rule.birth)
    return after
