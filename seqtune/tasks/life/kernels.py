"""Compiled loops: a step of many boards, and the arrangement of live cells in clusters.

numba compiles on the first call and caches the result on disk, so this module is imported only
then. A step takes about half a nanosecond per cell: its inner loops have no branches and no types
wider than needed, so that they become vector instructions.
"""

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def step(boards, rule, torus, steps):
    """Return boards uint8 [B, R, C] some steps later; `rule` is `Rule.bits`."""
    count, rows, columns = boards.shape
    out = boards.copy()
    padded = np.zeros((rows + 2, columns + 2), np.uint8)
    sums = np.empty(columns + 2, np.uint8)
    for b in range(count):
        for _ in range(steps):
            for i in range(rows):
                for j in range(columns):
                    padded[i + 1, j + 1] = out[b, i, j]
                if torus:
                    padded[i + 1, 0] = out[b, i, columns - 1]
                    padded[i + 1, columns + 1] = out[b, i, 0]
            if torus:
                for j in range(columns + 2):
                    padded[0, j] = padded[rows, j]
                    padded[rows + 1, j] = padded[1, j]
            # numba widens a sum of bytes to 64 bits; the casts keep 32 cells in a register.
            for i in range(rows):
                for j in range(columns + 2):
                    sums[j] = np.uint8(np.uint8(padded[i, j] + padded[i + 1, j]) + padded[i + 2, j])
                for j in range(columns):
                    own = padded[i + 1, j + 1]
                    three = np.uint8(np.uint8(sums[j] + sums[j + 1]) + sums[j + 2])
                    place = np.uint8(np.uint8(three - own) + np.uint8(own << np.uint8(4)))
                    out[b, i, j] = np.uint8((rule >> np.uint32(place)) & np.uint32(1))
    return out


@njit(cache=True, nogil=True)
def arrange(live, shape, aim, generator):
    """Return boards uint8 [B, R, C] with live cells at random places, then clustered by swaps.

    Args:
        live: int64 [B], number of live cells of each board.
        shape: rows and columns of a board, and side of the square windows.
        aim: target heterogeneity, tolerance, and the most swaps to try on a board.
        generator: NumPy's.
    """
    rows, columns, window = shape
    cells = rows * columns
    boards = np.zeros((len(live), rows, columns), np.uint8)
    places = np.arange(cells)  # the first `alive` of them are the live cells
    inside = np.zeros((rows - window + 1, columns - window + 1), np.int64)
    sums = np.zeros(2, np.int64)
    windows = (inside, sums, window)
    for b in range(len(live)):
        alive = live[b]
        inside[:] = 0
        sums[:] = 0
        for i in range(alive):
            j = i + int(generator.random() * (cells - i))
            places[i], places[j] = places[j], places[i]
            _add(windows, places[i], columns, 1)
        if 0 < alive < cells:
            _cluster(places, alive, (windows, columns), aim, generator)
        for i in range(alive):
            boards[b, places[i] // columns, places[i] % columns] = 1
    return boards


@njit(cache=True, nogil=True)
def _cluster(places, alive, board, aim, generator):
    """Swap a live and a dead cell, both drawn at random, if that comes nearer to the target."""
    windows, columns = board
    target, tolerance, swaps = aim
    gap = abs(_deviation(windows) - target)
    for _ in range(swaps):
        if gap <= tolerance:
            return
        i = int(generator.random() * alive)
        j = alive + int(generator.random() * (len(places) - alive))
        _add(windows, places[i], columns, -1)
        _add(windows, places[j], columns, 1)
        found = abs(_deviation(windows) - target)
        if found < gap:
            gap = found
            places[i], places[j] = places[j], places[i]
        else:
            _add(windows, places[j], columns, -1)
            _add(windows, places[i], columns, 1)


@njit(cache=True, nogil=True)
def _add(windows, place, columns, change):
    """Add a cell to the counts of its windows, to their sum and to the sum of their squares."""
    inside, sums, window = windows
    row, column = place // columns, place % columns
    for i in range(max(0, row - window + 1), min(inside.shape[0], row + 1)):
        for j in range(max(0, column - window + 1), min(inside.shape[1], column + 1)):
            sums[0] += change
            sums[1] += 2 * change * inside[i, j] + 1
            inside[i, j] += change


@njit(cache=True, nogil=True)
def _deviation(windows):
    """Return the standard deviation of the windows' live fraction."""
    inside, sums, window = windows
    mean = sums[0] / inside.size
    return math.sqrt(max(0.0, sums[1] / inside.size - mean * mean)) / (window * window)
