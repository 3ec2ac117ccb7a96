import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtune.config.yaml_file import FileError, parse_yaml
from seqtune.runs.spec import RunSpec
from seqtune.sweep.execution.driver import no_effect_lines, read_plan
from seqtune.sweep.planning.match import nearest_values
from seqtune.tasks.base import Task
from seqtune.tasks.build import build_task
from seqtune.training.network_cost import count_parameters
from tests.sweep.sweeps import SMALL, plan_of

LSTM = "{kind: lstm, layers: 1, width: 8, embedding: 8}"
LR = "{log: [3.0e-3, 1.0e-1]}"
LAYERS = "  model.layers: [1, 2]"


def edited(match: str, *changes: tuple[str, str]) -> str:
    text = f"{SMALL}match: {match}\n"
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def errors(match: str, *changes: tuple[str, str]) -> list[str]:
    with pytest.raises(FileError) as caught:
        plan_of(edited(match, *changes))
    return str(caught.value).splitlines()


def runs(text: str) -> list[RunSpec]:
    plan = plan_of(text)
    return [cell.run(tuned={"optimizer.lr": 0.01}, seed=0) for cell in plan.cells]


def lstm_parameters(width: int, *, layers: int) -> int:
    """Of SMALL's network: 5 embeddings of 8, gates with two biases, 5 outputs."""
    inputs = [8, *[width] * (layers - 1)]
    return 5 * 8 + sum(4 * width * (below + width + 2) for below in inputs) + 5 * (width + 1)


def test_the_width_of_every_cell_is_the_one_whose_parameters_come_nearest():
    plan = plan_of(edited("{parameters: 20_000}"))
    for cell, layers in zip(plan.cells, (1, 2), strict=True):
        best = min(range(1, 200), key=lambda w: abs(lstm_parameters(w, layers=layers) - 20_000))
        assert cell.matched is not None
        assert (cell.matched.value, cell.matched.reached) == (
            best,
            lstm_parameters(best, layers=layers),
        )
        assert cell.matched.mismatch == cell.matched.reached / 20_000 - 1
        assert abs(cell.matched.mismatch) <= 0.02
        run = cell.run(tuned={"optimizer.lr": 0.01}, seed=0)
        assert run.model.width == best


def test_what_was_solved_is_a_fixed_value_of_the_cell_in_plan_json():
    for cell in json.loads(json.dumps(plan_of(edited("{parameters: 20_000}")).to_data()))["cells"]:
        assert cell["run"]["model"]["width"] == cell["match"]["value"] != 8
        assert (cell["match"]["by"], cell["match"]["of"]) == ("model.width", "parameters")
    assert plan_of(SMALL).to_data()["cells"][0]["match"] is None


def test_flops_a_token_are_matched_too():
    plan = plan_of(edited("{flops: 100_000, tolerance: 0.05}"))
    widths = [each.matched.value for each in plan.cells if each.matched is not None]
    assert widths[0] > widths[1]
    assert all(
        abs(cell.matched.mismatch) <= 0.05 for cell in plan.cells if cell.matched is not None
    )


def test_only_values_with_which_the_model_can_be_built_are_tried():
    transformer = (LSTM, "{kind: transformer, layers: 1, heads: 2, head_width: 8}")
    compared = (LAYERS, "  model.positions: [sinusoidal, rotary, none]")
    even, *_ = runs(edited("{parameters: 9_500, tolerance: 0.1}", transformer, compared))
    assert even.model.width % 2 == 0
    heads = edited("{parameters: 40_000, by: model.heads, tolerance: 0.2}", transformer, (LAYERS, "  model.kv_heads: [3]"))  # fmt: skip
    [run] = runs(heads)
    assert run.model.to_data()["heads"] % 3 == 0


def test_an_arm_may_have_another_goal():
    arms = """arms:
  narrow: {}
  wide: {match: {parameters: 40_000, by: model.embedding}}
compare:"""
    narrow, _, wide, _ = plan_of(edited("{parameters: 20_000}", ("compare:", arms))).cells
    assert narrow.matched is not None
    assert wide.matched is not None
    assert (narrow.matched.by, narrow.matched.target) == ("model.width", 20_000)
    assert (wide.matched.by, wide.matched.target) == ("model.embedding", 40_000)
    assert wide.data["model"]["width"] == 8


def test_models_that_are_compared_as_blocks_are_brought_to_one_size():
    blocks = "  model: [{kind: lstm, layers: 2}, {kind: lstm, cell: gru}, {kind: transformer}]"
    specs = runs(edited("{parameters: 20_000, tolerance: 0.05}", (LAYERS, blocks)))
    task: Task = build_task(specs[0].task)
    sizes = [count_parameters(spec.model, task=task) for spec in specs]
    assert all(abs(size / 20_000 - 1) <= 0.05 for size in sizes)
    assert len({spec.model.width for spec in specs}) == 3


@pytest.mark.parametrize(
    ("match", "changes", "message"),
    [
        ("{by: model.width}", [], "match: needs one of parameters: N and flops: N, but got neither"),
        ("{parameters: 5, flops: 5}", [], "match: needs one of parameters: N and flops: N, but got both"),
        ("{parameters: 0}", [], "match.parameters: must be at least 1, but got 0"),
        ("{parameters: 500, tolerance: 2}", [], "match.tolerance: must be below 1, but got 2"),
        ("{parameter: 500}", [], "match.parameter: no such field; did you mean match.parameters?"),
        (
            "{parameters: 500, by: model.widht}",
            [],
            "match.by: is not an integer field of the model: model.widht; did you mean model.width?",
        ),
        (
            "{parameters: 500, by: task.height}",
            [],
            "match.by: is not an integer field of the model: task.height; it is one of model.layers, ",
        ),
        (
            "{parameters: 20_000, by: model.layers}",
            [],
            "match.by: a path has one role, but model.layers is compared",
        ),
        (
            "{parameters: 20_000}",
            [(f"optimizer.lr: {LR}", "model.width: {int: [8, 9]}")],
            "match.by: a path has one role, but model.width is tuned",
        ),
        (
            "{parameters: 20_000}",
            [(LAYERS, "  model: [{kind: lstm, width: 4}, {kind: transformer}]")],
            "match.by: a path has one role, but model.width is compared; remove it from model",
        ),
        (
            "{parameters: 500}",
            [(LAYERS, "  model.layers: [1]")],
            "match: no model.width gives 500 parameters to within 2 % in the cell (model.layers=1): "
            "width=6 has 459 (-8.2 %) and width=7 has 556 (+11.2 %); write parameters: 459, or a larger "
            "tolerance",
        ),
        (
            "{parameters: 10}",
            [(LAYERS, "  model.layers: [1]")],
            "match: no model.width gives 10 parameters to within 2 % in the cell (model.layers=1): "
            "width=1 has 94 (+840.0 %); write parameters: 94, or a larger tolerance",
        ),
    ],
)  # fmt: skip
def test_a_match_that_cannot_be_is_told_in_one_located_line(
    match: str, changes: list[tuple[str, str]], message: str
):
    [line] = errors(match, *changes)
    place, _, rest = line.partition(": ")
    assert rest.startswith(message)
    assert place == f"s.yaml:{edited(match, *changes).splitlines().index(f'match: {match}') + 1}"


def test_a_goal_out_of_reach_is_told_for_every_cell():
    found = errors("{parameters: 500}")
    assert [line.split("cell ")[1].split(":")[0] for line in found] == [
        "(model.layers=1)",
        "(model.layers=2)",
    ]


def test_what_is_tuned_must_not_change_the_size():
    embedding = (LR, f"{LR}\n  model.embedding: {{int: [8, 9]}}")
    [line] = errors("{parameters: 20_000}", embedding, (LAYERS, "  model.layers: [1]"))
    assert line == (
        "s.yaml:14: tune.model.embedding: changes what match holds constant: 20,135 parameters with "
        "model.embedding=9, but 19,870 with the first values; compare it, or remove it from tune"
    )
    dropout = (LR, f"{LR}\n  model.dropout: {{uniform: [0.0, 0.5]}}")
    for match in ("{parameters: 20_000}", "{flops: 100_000, tolerance: 0.05}"):
        assert len(plan_of(edited(match, dropout)).cells) == 2


def test_other_problems_of_the_file_are_told_beside():
    found = errors("{parameters: 20_000}", ("epochs: 4", "epochs: 0"), ("[1, 2]", "[1, 0]"))
    assert [line.split(": ")[1] for line in found] == [
        "base.training.epochs",
        "compare.model.layers",
    ]


def test_a_value_set_on_the_command_line_and_then_solved_is_told():
    source = parse_yaml(edited("{parameters: 20_000}"), name="s.yaml")
    source = source.override({"base.model.width": 9, "match.parameters": 30_000})
    plan = read_plan(source)
    assert no_effect_lines(plan, changed=source.overridden) == [
        "--set base.model.width has no effect: model.width is solved by match"
    ]
    assert all(cell.matched is not None and cell.matched.target == 30_000 for cell in plan.cells)


MEASURES: dict[str, Callable[[int], float]] = {
    "line": lambda value: 7.0 * value + 3,
    "square": lambda value: 4.0 * value**2 + 40 * value + 1000,
    "cube": lambda value: float(value**3),
    "steps": lambda value: 10.0 * (value // 5) + 1,
}


@given(
    st.sampled_from([*MEASURES]), st.integers(1, 50_000), st.sampled_from([1, 2, 3, 4]), st.data()
)
def test_the_nearest_values_are_those_next_to_the_goal(
    name: str, target: int, step: int, data: Any
):
    measure = MEASURES[name]
    first = data.draw(st.integers(1, 5)) * step

    def legal(value: int) -> bool:
        return value >= first and value % step == 0

    found = nearest_values(float(target), first=first, legal=legal, measure=measure)
    everything = [value for value in range(first, 40_000) if legal(value)]
    above = next(value for value in everything if measure(value) >= target)
    best = min(abs(measure(value) - target) for value in (above, max(first, above - step)))
    assert min(abs(each.reached - target) for each in found) == best
    assert all(legal(each.value) and each.reached == measure(each.value) for each in found)


def test_where_the_goal_is_beyond_all_values_the_last_is_nearest():
    found = nearest_values(1e6, first=1, legal=lambda value: value <= 9, measure=float)
    assert [each.value for each in found] == [9]
