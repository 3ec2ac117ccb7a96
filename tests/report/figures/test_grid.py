from seqtune.report.figures.grid import Layout, layout


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
