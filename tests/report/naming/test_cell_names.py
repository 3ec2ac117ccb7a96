from collections.abc import Sequence

import pandas as pd

from seqtune.report.naming.names import name_cells


def cells(**columns: Sequence[object]) -> pd.DataFrame:
    return pd.DataFrame({"arm": None, **columns})


def test_cells_are_named_by_what_differs():
    frame = cells(**{"cell": ["a", "b"], "task.height": [2, 2], "model.layers": [1, 4]})
    assert name_cells(frame, compared=["task.height", "model.layers"]).distinguish(frame) == [
        "layers 1",
        "layers 4",
    ]


def test_cells_of_several_arms_are_named_by_their_arms_too():
    frame = cells(cell=["a", "b", "c"], **{"model.layers": [1, 4, 1]})
    frame["arm"] = ["lstm", "lstm", "gru"]
    assert name_cells(frame, compared=["model.layers"]).distinguish(frame) == [
        "lstm, layers 1",
        "lstm, layers 4",
        "gru, layers 1",
    ]


def test_cells_that_nothing_tells_apart_keep_their_labels():
    alone = cells(cell=["x"], **{"model.layers": [1]})
    assert name_cells(alone, compared=["model.layers"]).distinguish(alone) == ["x"]
    pair = cells(cell=["x", "y"])
    assert name_cells(pair, compared=[]).distinguish(pair) == ["x", "y"]


def test_groups_are_named_by_the_path_that_decides():
    frame = cells(
        cell=["a", "b", "c", "d"], **{"model.layers": [1, 2, 1, 2], "task.height": [2, 2, 3, 3]}
    )
    known = name_cells(frame, compared=["model.layers", "task.height"])
    assert known.name_groups(frame, groups=["x", "x", "y", "y"]) == {
        "x": ["height=2"],
        "y": ["height=3"],
    }
    assert known.name_groups(frame, groups=["x", "y", "x", "y"]) == {
        "x": ["layers=1"],
        "y": ["layers=2"],
    }


def test_groups_that_no_path_decides_are_named_by_their_cells():
    frame = cells(
        cell=["a", "b", "c", "d"], **{"model.layers": [1, 2, 1, 2], "task.height": [2, 2, 3, 3]}
    )
    known = name_cells(frame, compared=["model.layers", "task.height"])
    assert known.name_groups(frame, groups=["x", "y", "y", "y"]) == {
        "x": ["a"],
        "y": ["b", "c", "d"],
    }
