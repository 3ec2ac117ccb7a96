import pytest

from seqtune.config.yaml_file import FileError
from seqtune.models import LSTMSpec
from seqtune.sweep.execution.driver import no_effect_lines
from seqtune.sweep.planning.cell import LONGEST_KEY
from seqtune.sweep.planning.distributions import grid_points
from seqtune.tasks.cfg.grammar import Grammar
from seqtune.tasks.cfg.spec import CfgSpec
from tests.sweep.sweeps import SMALL, plan_of


def edited(*changes: tuple[str, str]) -> str:
    text = SMALL
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def errors(*changes: tuple[str, str]) -> list[str]:
    with pytest.raises(FileError) as caught:
        plan_of(edited(*changes))
    return str(caught.value).splitlines()


def test_every_combination_is_a_cell():
    plan = plan_of(
        edited(("  model.layers: [1, 2]", "  task.height: [1, 2, 3]\n  model.layers: [1, 2]"))
    )
    assert [cell.name for cell in plan.cells] == [
        f"height={height}, layers={layers}" for height in (1, 2, 3) for layers in (1, 2)
    ]
    assert plan.runs == 6 * (4 + 2)
    run = plan.cells[3].run(tuned={"optimizer.lr": 0.02}, seed=7)
    assert isinstance(run.task, CfgSpec)
    assert (run.task.height, run.model.layers, run.optimizer.lr, run.seed) == (2, 2, 0.02, 7)


def test_zip_pairs_and_exclude_drops():
    block = """  zip: [[model.layers, model.width], [1, 64], [2, 45]]
  task.height: [1, 2, 3]
  exclude: [{task.height: 3, model.layers: 2}]"""
    plan = plan_of(edited(("  model.layers: [1, 2]", block)))
    pairs = [
        (c.compared["model.layers"], c.compared["model.width"], c.compared["task.height"])
        for c in plan.cells
    ]
    assert pairs == [(1, 64, 1), (1, 64, 2), (1, 64, 3), (2, 45, 1), (2, 45, 2)]


def test_arms_are_laid_over_the_base_with_roles_of_their_own():
    arms = """arms:
  plain: {}
  deep:
    model: {head_layers: 2}
    compare: {model.width: [8, 16]}
    tune: {model.dropout: {uniform: [0.0, 0.2]}}
compare:"""
    plan = plan_of(edited(("compare:", arms)))
    assert [cell.name for cell in plan.cells] == [
        "plain: layers=1",
        "plain: layers=2",
        "deep: layers=1, width=8",
        "deep: layers=1, width=16",
        "deep: layers=2, width=8",
        "deep: layers=2, width=16",
    ]
    deep = plan.cells[2]
    assert set(deep.tune) == {"optimizer.lr", "model.dropout"}
    spec = deep.run(tuned={"optimizer.lr": 0.01, "model.dropout": 0.1}, seed=0)
    assert isinstance(spec.model, LSTMSpec)
    assert (spec.model.head_layers, spec.model.width, spec.model.dropout) == (2, 8, 0.1)


def test_nothing_tuned_means_nothing_searched():
    text = edited(("tune:\n  optimizer.lr: {log: [3.0e-3, 1.0e-1]}\n", ""))
    text = text.replace(
        "search:  {trials: 4, pruner: {kind: asha, grace_period: 1, reduction_factor: 2}}\n", ""
    )
    plan = plan_of(text)
    assert plan.runs == 2 * 2


def test_a_grid_enumerates_its_choices():
    plan = plan_of(
        edited(
            (
                "{log: [3.0e-3, 1.0e-1]}",
                "{choice: [0.01, 0.03]}\n  model.dropout: {choice: [0.0, 0.1, 0.2]}",
            ),
            ("{trials: 4, ", "{sampler: grid, "),
        )
    )
    assert plan.cells[0].trials == 6
    points = grid_points(plan.cells[0].tune)
    assert points[0] == {"optimizer.lr": 0.01, "model.dropout": 0.0}
    assert len({tuple(point.values()) for point in points}) == 6


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "  model.layers: [1, 2]",
            "  model.layer: [1, 2]",
            "s.yaml:11: compare.model.layer: no such path; did you mean model.layers?",
        ),
        (
            "optimizer.lr: {log",
            "optimiser.lr: {log",
            "s.yaml:13: tune.optimiser.lr: no such path; did you mean optimizer?",
        ),
        (
            "{log: [3.0e-3, 1.0e-1]}",
            "{log: [1.0e-1, 3.0e-3]}",
            "s.yaml:13: tune.optimizer.lr: low <= high must hold, but got (low=0.1, high=0.003)",
        ),
        (
            "{log: [3.0e-3, 1.0e-1]}",
            "{log: [0, 1]}",
            "s.yaml:13: tune.optimizer.lr: low > 0 must hold on a log scale, but got (low=0, high=1)",
        ),
        (
            "optimizer.lr: {log: [3.0e-3, 1.0e-1]}",
            "model.dropout: {uniform: [0, 2]}",
            "s.yaml:13: tune.model.dropout: must be below 1, but got 2.0",
        ),
        (
            "optimizer.lr: {log: [3.0e-3, 1.0e-1]}",
            "model.width: {int: [1.5, 4]}",
            "s.yaml:13: tune.model.width: int needs integers, but got (low=1.5, high=4)",
        ),
        (
            "{log: [3.0e-3, 1.0e-1]}",
            "{logg: [3.0e-3, 1.0e-1]}",
            "s.yaml:13: tune.optimizer.lr: no such distribution: logg; did you mean log?",
        ),
        (
            "{log: [3.0e-3, 1.0e-1]}",
            "{choice: []}",
            "s.yaml:13: tune.optimizer.lr: choice needs a list of at least one value, but got []",
        ),
        (
            "  model.layers: [1, 2]",
            "  model.layers: [0, 1]",
            "s.yaml:11: compare.model.layers: must be at least 1, but got 0",
        ),
        (
            "  model.layers: [1, 2]",
            "  model.layers: []",
            "s.yaml:11: compare.model.layers: needs at least one value to compare, but the list is empty",
        ),
        (
            "  model.layers: [1, 2]",
            "  model.layers: [1, 2, 1]",
            "s.yaml:10: compare: two cells are the same: (model.layers=1) and (model.layers=1)",
        ),
        (
            "  model.layers: [1, 2]",
            "  model.layers: 2",
            "s.yaml:11: compare.model.layers: must be a list of values to compare, but got 2",
        ),
        (
            "  model.layers: [1, 2]",
            "  optimizer.lr: [0.1, 0.2]",
            "s.yaml:13: tune.optimizer.lr: a path has one role, but optimizer.lr is compared",
        ),
        (
            "grammar: cfg3b",
            "grammar: cfg3c",
            "s.yaml:6: base.task.grammar: no such grammar: 'cfg3c'; "
            "it is one of cfg3b, cfg3i, cfg3h, cfg3g, cfg3f, cfg3j, cfg3k",
        ),
        (
            "metric: valid/excess",
            "metric: valid/exces",
            "s.yaml:4: metric: no run has the metric valid/exces; did you mean valid/excess?",
        ),
        (
            "metric: valid/excess",
            "metric: perplexity",
            "s.yaml:4: metric: no run has the metric perplexity; it is one of valid/loss, valid/accuracy",
        ),
        (
            "search:  {trials: 4",
            "search:  {trials: 0",
            "s.yaml:14: search.trials: must be at least 1, but got 0",
        ),
        (
            "search:  {trials: 4, ",
            "search:  {",
            "s.yaml:14: search.trials: is required, and is not given",
        ),
        (
            "reduction_factor: 2",
            "reduction_factor: 1",
            "s.yaml:14: search.pruner.reduction_factor: must be at least 2, but got 1",
        ),
        (
            "kind: asha, grace_period",
            "kind: ahsa, grace_period",
            "s.yaml:14: search.pruner.kind: no such kind: 'ahsa'; did you mean asha?",
        ),
        ("name: small", "name: ../small", "s.yaml:2: name: "),
        ("question:", "qestion:", "s.yaml:3: qestion: no such field; did you mean question?"),
        (
            "tune:",
            "training: {}\ntune:",
            "s.yaml:12: training: no such field; did you mean base.training?",
        ),
        (
            "  model.layers: [1, 2]",
            "  model.layers: [1, 2]\n  exclude: [{model.layer: 1}]",
            "s.yaml:12: compare.exclude[0]: model.layer is not compared; did you mean model.layers?",
        ),
        (
            "  model.layers: [1, 2]",
            "  zip: [[model.layers, 3], [1, 2]]",
            "s.yaml:11: compare.zip[0]: must be a list of paths, but got ['model.layers', 3]",
        ),
        (
            "{kind: lstm, layers: 1",
            "{kind: [lstm], layers: 1",
            "s.yaml:7: base.model.kind: no such kind: ['lstm']; did you mean lstm?",
        ),
        (
            "{log: [3.0e-3, 1.0e-1]}",
            "{log: [3.0e-3, .inf]}",
            "s.yaml:13: tune.optimizer.lr: log needs [low, high], two finite numbers, but got",
        ),
        (
            "{log: [3.0e-3, 1.0e-1]}",
            "{log: [3.0e-3, 1.0e-1], when: 5}",
            "s.yaml:13: tune.optimizer.lr: when must be {path: value}, but got 5",
        ),
        (
            "{log: [3.0e-3, 1.0e-1]}",
            "{log: [3.0e-3, 1.0e-1], when: {optimizer: sgd}}\n  optimizer: {choice: [adam, adamw]}",
            "s.yaml:13: tune.optimizer.lr.when: optimizer never takes the value 'sgd'",
        ),
        (
            "grace_period: 1",
            "grace_period: 5",
            "s.yaml:14: search.pruner.grace_period: grace_period <= training.epochs must hold, but got (grace_period=5, training.epochs=4)",
        ),
        (
            "confirm: {seeds: 2}",
            "confirm: {seeds: 2}\nresources: {gpu: 1.5}",
            "s.yaml:16: resources.gpu: must be a whole number above 1, but got 1.5",
        ),
        (
            "base:\n",
            "base:\n  seed: 3\n",
            "s.yaml:6: base.seed: search and confirm set the seeds",
        ),
        (
            "  model.layers: [1, 2]",
            "  seed: [1, 2]",
            "s.yaml:11: compare.seed: search and confirm set the seeds",
        ),
        (
            "  model.layers: [1, 2]",
            "  model.layers: [1, 2]\n  exclude: [{model.layers: 1}, {model.layers: 2}]",
            "s.yaml:12: compare.exclude: leaves no cell to run",
        ),
    ],
)
def test_a_wrong_file_is_told_in_one_located_line(old: str, new: str, message: str):
    found = errors((old, new))
    assert len(found) == 1, found
    assert found[0].startswith(message)


TRANSFORMER = (
    "{kind: lstm, layers: 1, width: 8, embedding: 8}",
    "{kind: transformer, layers: 1, width: 8, heads: 4, head_width: 8}",
)


@pytest.mark.parametrize(
    ("tune", "message"),
    [
        (
            "model.head_width: {int: [8, 12]}",
            "tune.model.head_width: must be a multiple of 4, and at least 8, with rotary positions, which "
            "rotate pairs of numbers in half of each head, but got 9",
        ),
        (
            "model.head_width: {int: [8, 800]}",
            "tune.model.head_width: must be a multiple of 4, and at least 8, with rotary positions, which "
            "rotate pairs of numbers in half of each head, but got 9",
        ),
        (
            "model.kv_heads: {int: [1, 4]}",
            "tune.model.kv_heads: must divide heads, but got (heads=4, kv_heads=3)",
        ),
        (
            "model.heads: {choice: [4, 6]}\n  model.kv_heads: {choice: [1, 4]}\n  optimizer.lr: {log: [0.1, 1]}",
            "tune.model.kv_heads: must divide heads, but got (heads=6, kv_heads=4) "
            "(tune would try model.heads=6, model.kv_heads=4)",
        ),
    ],
)
def test_values_inside_what_is_tuned_that_do_not_fit_are_refused(tune: str, message: str):
    found = errors(TRANSFORMER, ("optimizer.lr: {log: [3.0e-3, 1.0e-1]}", tune))
    assert len(found) == 1
    assert found[0].split(": ", 1)[1] == message


def test_every_problem_of_a_file_is_told_at_once():
    found = errors(
        ("layers: 1, width: 8", "layers: 1, widht: 8"),
        ("epochs: 4", "epochs: 0"),
        ("[1, 2]", "[1, 0]"),
        ("{log: [3.0e-3, 1.0e-1]}", "{log: [-1.0e-3, 1.0e-1]}"),
    )
    assert [" ".join(line.split(": ")[:2]) for line in found] == [
        "s.yaml:7 base.model.widht",
        "s.yaml:8 base.training.epochs",
        "s.yaml:11 compare.model.layers",
        "s.yaml:13 tune.optimizer.lr",
    ]


def test_a_metric_that_the_task_cannot_give_is_refused():
    found = errors(
        ("metric: valid/excess", "metric: generate/valid"), ("generate: 16", "generate: 0")
    )
    assert found == [
        "s.yaml:4: metric: no run has generate/valid: evaluation.generate is 0; set the number of strings"
    ]
    found = errors(("metric: valid/excess", "metric: free/loss"), ("generate: 16", "free: 0"))
    assert found == [
        "s.yaml:4: metric: no run has free/loss: evaluation.free is 0; set the number of strings"
    ]
    found = errors(
        ("metric: valid/excess", "metric: generate/valid"),
        ("height: 1", "height: 1, format: padded"),
    )
    assert found == [
        "s.yaml:4: metric: no run of this task has generate/valid: nothing is generated; write one of "
        "valid/loss, valid/accuracy, valid/excess, valid/excess_string, valid/kl, valid/exact, free/loss, "
        "free/accuracy"
    ]


def test_the_shape_of_generated_grammars_is_compared_like_anything_else():
    task = "{kind: cfg, grammar: {kind: generated, symbols: 2}}"
    values = "task.grammar.height: [2, 3]\n  task.grammar.lengths: [[2], [2, 3]]"
    plan = plan_of(
        edited(
            ("{kind: cfg, grammar: cfg3b, height: 1}", task),
            ("  model.layers: [1, 2]", f"  {values}\n  task.grammar.ambiguity: [allow, forbid]"),
        )
    )
    tasks = [cell.run(tuned={"optimizer.lr": 0.02}, seed=0).task for cell in plan.cells]
    languages = [task.language() for task in tasks if isinstance(task, CfgSpec)]
    grammars = [language for language in languages if isinstance(language, Grammar)]
    assert len(grammars) == 8
    assert {grammar.height for grammar in grammars} == {2, 3}
    forbidden = [g for cell, g in zip(plan.cells, grammars, strict=True) if "forbid" in cell.name]
    assert len(forbidden) == 4
    assert {grammar.ambiguity().verdict for grammar in forbidden} == {"unambiguous"}


@pytest.mark.parametrize(
    ("task", "metric", "why"),
    [
        ("{kind: text}", "valid/excess", "its floor is unknown"),
        ("{kind: text}", "generate/valid", "nothing is generated"),
        ("{kind: cfg, height: 1}", "generate/cells", "nothing is generated"),
        ("{kind: life, rollout_steps: 0}", "rollout/exact", "nothing is generated"),
        ("{kind: cfg, height: 1, cut: 0}", "generate/valid_cut", "its strings are never cut"),
        (
            "{kind: life}",
            "valid/kl",
            "the true distribution is unknown, or certain, and then valid/excess is the same",
        ),
    ],
)
def test_a_metric_of_another_language_is_refused(task: str, metric: str, why: str):
    found = errors(
        ("{kind: cfg, grammar: cfg3b, height: 1}", task),
        ("metric: valid/excess", f"metric: {metric}"),
    )
    [line] = found
    told, _, others = line.partition("; write one of ")
    assert told == f"s.yaml:4: metric: no run of this task has {metric}: {why}"
    for other in others.split(", "):
        text = edited(
            ("{kind: cfg, grammar: cfg3b, height: 1}", task),
            ("metric: valid/excess", f"metric: {other}"),
        )
        assert plan_of(text).sweep.metric == other


def test_what_has_no_effect_is_told_with_its_cells():
    residual = ("width: 8, embedding: 8}", "width: 8, embedding: 8, residual: true}")
    why = "model.residual: applies to layers above the first, and there are none"
    assert no_effect_lines(plan_of(edited(residual))) == [f"{why} (layers=1)"]
    assert no_effect_lines(plan_of(edited(residual, ("[1, 2]", "[1]")))) == [why]
    assert no_effect_lines(plan_of(edited())) == []
    changed = ["base.model.layers", "base.optimizer.lr", "base.model.width"]
    assert no_effect_lines(plan_of(edited()), changed=changed) == [
        "--set base.model.layers has no effect: model.layers is compared",
        "--set base.optimizer.lr has no effect: optimizer.lr is tuned",
    ]


SCHEDULES = """
    - {kind: linear}
    - {kind: linear, minimum: 0.75}
    - {kind: inverse_sigmoid, feedback: sample}
    - {kind: phased, granularity: step, phases: [{epochs: 1, rate: 1.0}, {epochs: 3, rate: [0.7, 0.4]}]}
    - {kind: phased, granularity: step, phases: [{epochs: 1, rate: 1.0}, {epochs: 3, rate: [0.7, 0.3]}]}
    - {kind: reversed, schedule: linear, update: step}
    - {kind: reversed, schedule: {kind: linear, minimum: 0.5}, update: step}"""


def test_cells_that_compare_blocks_are_named_by_their_kinds_and_fields():
    plan = plan_of(edited(("  model.layers: [1, 2]", f"  forcing: {SCHEDULES}")))
    assert [(cell.name, cell.key) for cell in plan.cells] == [
        ("forcing=linear", "forcing=linear"),
        ("forcing=linear minimum=0.75", "forcing=linear_minimum=0.75"),
        ("forcing=inverse_sigmoid feedback=sample", "forcing=inverse_sigmoid_feedback=sample"),
        (
            "forcing=phased granularity=step phases=[epochs=1 rate=1.0; 3 [0.7, 0.4]]",
            "forcing=phased_granularity=step_phases=epochs=1_rate=1.0-3_0.7_0.4",
        ),
        (
            "forcing=phased granularity=step phases=[epochs=1 rate=1.0; 3 [0.7, 0.3]]",
            "forcing=phased_granularity=step_phases=epochs=1_rate=1.0-3_0.7_0.3",
        ),
        (
            "forcing=reversed schedule=linear update=step",
            "forcing=reversed_schedule=linear_update=step",
        ),
        (
            "forcing=reversed schedule=(linear minimum=0.5) update=step",
            "forcing=reversed_schedule=linear_minimum=0.5._update=step",
        ),
    ]


def test_keys_too_long_for_a_file_name_differ_and_stay_when_the_sweep_grows():
    block = "{{kind: phased, granularity: step, phases: [{}{{epochs: 1, rate: {}}}]}}"
    steps = [f"{{epochs: 1, rate: {truth}}}, " for truth in (0.9125, 0.8125, 0.7125)]
    # 19 phases have more letters than a key.
    values = [block.format("".join(6 * steps), last) for last in (0.1, 0.2, 0.3)]

    def keys(values: list[str]) -> list[str]:
        listed = "".join(f"\n    - {value}" for value in values)
        plan = plan_of(
            edited(("  model.layers: [1, 2]", f"  forcing:{listed}"), ("epochs: 4", "epochs: 19"))
        )
        return [cell.key for cell in plan.cells]

    found = keys(values)
    assert len(set(found)) == 3
    assert all(len(key) == LONGEST_KEY for key in found)
    assert all(
        key.startswith("forcing=phased_granularity=step_phases=epochs=1_rate=0.9125-1_0.8125-")
        for key in found
    )
    assert keys(values[::-1][:2]) == [found[2], found[1]]


def test_keys_of_plain_values_are_as_they_were():
    plan = plan_of(
        edited(
            (
                "  model.layers: [1, 2]",
                "  training.clip_norm: [null, 0.5]\n  model.embedding: [8, 16]",
            ),
        )
    )
    assert [cell.key for cell in plan.cells] == [
        "clip_norm=null_embedding=8",
        "clip_norm=null_embedding=16",
        "clip_norm=0.5_embedding=8",
        "clip_norm=0.5_embedding=16",
    ]


def test_lists_of_plain_values_keep_their_names():
    task = "{kind: cfg, grammar: {kind: generated, symbols: 2}}"
    plan = plan_of(
        edited(
            ("{kind: cfg, grammar: cfg3b, height: 1}", task),
            ("  model.layers: [1, 2]", "  task.grammar.lengths: [[2], [2, 3]]"),
        )
    )
    assert [(cell.name, cell.key) for cell in plan.cells] == [
        ("lengths=[2]", "lengths=_2_"),
        ("lengths=[2, 3]", "lengths=_2_3_"),
    ]
