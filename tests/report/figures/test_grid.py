from collections.abc import Sequence

import pandas as pd

from seqtune.report.figures.grid import Layout, layout, named_groups, names
from seqtune.report.naming import naming


def test_the_task_is_the_x_axis_and_the_model_the_y_axis():
    assert layout(["model.layers", "task.height"]) == Layout("task.height", "model.layers", ())


def test_two_paths_of_the_model_keep_their_order():
    assert layout(["model.layers", "model.width"]) == Layout("model.layers", "model.width", ())


def test_further_paths_make_panels():
    found = layout(["task.height", "task.format", "model.layers", "data.kind"])
    assert found == Layout("task.height", "model.layers", ("task.format", "data.kind"))


def test_two_paths_of_the_task_have_an_axis_each():
    assert layout(["task.height", "task.format"]) == Layout("task.height", "task.format", ())


def test_nothing_compared_has_no_axis():
    assert layout([]) == Layout(None, None, ())


def cells(**columns: Sequence[object]) -> pd.DataFrame:
    return pd.DataFrame({"arm": None, **columns})


def test_cells_are_named_by_what_differs():
    frame = cells(**{"cell": ["a", "b"], "task.height": [2, 2], "model.layers": [1, 4]})
    assert names(frame, naming=naming(frame, compared=["task.height", "model.layers"])) == [
        "layers 1",
        "layers 4",
    ]


def test_cells_of_several_arms_are_named_by_their_arms_too():
    frame = cells(cell=["a", "b", "c"], **{"model.layers": [1, 4, 1]})
    frame["arm"] = ["lstm", "lstm", "gru"]
    assert names(frame, naming=naming(frame, compared=["model.layers"])) == [
        "lstm, layers 1",
        "lstm, layers 4",
        "gru, layers 1",
    ]


def test_cells_that_nothing_tells_apart_keep_their_labels():
    alone = cells(cell=["x"], **{"model.layers": [1]})
    assert names(alone, naming=naming(alone, compared=["model.layers"])) == ["x"]
    pair = cells(cell=["x", "y"])
    assert names(pair, naming=naming(pair, compared=[])) == ["x", "y"]


def test_groups_are_named_by_the_path_that_decides():
    frame = cells(
        cell=["a", "b", "c", "d"], **{"model.layers": [1, 2, 1, 2], "task.height": [2, 2, 3, 3]}
    )
    known = naming(frame, compared=["model.layers", "task.height"])
    assert named_groups(frame, groups=["x", "x", "y", "y"], naming=known) == {
        "x": ["height=2"],
        "y": ["height=3"],
    }
    assert named_groups(frame, groups=["x", "y", "x", "y"], naming=known) == {
        "x": ["layers=1"],
        "y": ["layers=2"],
    }


def test_groups_that_no_path_decides_are_named_by_their_cells():
    frame = cells(
        cell=["a", "b", "c", "d"], **{"model.layers": [1, 2, 1, 2], "task.height": [2, 2, 3, 3]}
    )
    found = named_groups(
        frame,
        groups=["x", "y", "y", "y"],
        naming=naming(frame, compared=["model.layers", "task.height"]),
    )
    assert found == {"x": ["a"], "y": ["b", "c", "d"]}
