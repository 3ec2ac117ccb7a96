import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from seqtune.cli import app
from seqtune.models import LSTMSpec
from seqtune.runs.cost import CostEstimator, running_means, strings_per_step
from seqtune.runs.directory import RunDirectory
from seqtune.runs.record import record
from seqtune.runs.spec import RunSpec
from seqtune.runs.timing import NotMeasured, Speed, measure_speed
from seqtune.stats.power import seeds_needed, underpowered
from seqtune.sweep.planning.design_warnings import design_warnings
from seqtune.sweep.planning.forecast import Forecast, forecast_run, forecast_sweep, typical_run
from seqtune.tasks.build import build_task
from seqtune.training.optim import build_optimizer
from tests.sweep.sweeps import SMALL, plan_of, write

ROOT = Path(__file__).parents[1]
LR = "optimizer.lr: {log: [3.0e-3, 1.0e-1]}"
LAYERS = "  model.layers: [1, 2]"
RUN = """
task:       {kind: cfg, grammar: cfg3b, height: 2}
model:      {kind: lstm, layers: 2, width: 12, embedding: 8}
training:   {epochs: 3, batches_per_epoch: 4, batch_size: 16}
evaluation: {strings: 64, generate: 8}
"""
LIFE = {
    "task": {"kind": "life", "rows": 2, "columns": 3, "vocabulary": "compact"},
    "model": {"kind": "transformer", "layers": 2, "width": 16, "heads": 2, "head_width": 8},
    "training": {"epochs": 2, "batches_per_epoch": 5, "batch_size": 8},
}


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["plan", *map(str, words)], prog_name="seqtune")


def edited(*changes: tuple[str, str]) -> str:
    text = SMALL
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def forecasts(text: str) -> list[Forecast]:
    return forecast_sweep(plan_of(text), measure=None, gpus=0)


def notes(*changes: tuple[str, str]) -> list[str]:
    plan = plan_of(edited(*changes))
    return design_warnings(plan, forecasts=forecast_sweep(plan, measure=None, gpus=0))


def lstm_flops(spec: LSTMSpec, *, outputs: int) -> int:
    """Of a token, forward and backward: two for a product and a sum, backward twice as many as forward."""
    inputs = [spec.embedding, *[spec.width] * (spec.layers - 1)]
    gates = sum(4 * spec.width * (below + spec.width) for below in inputs)
    return 3 * 2 * (gates + spec.head_layers * spec.width**2 + spec.width * outputs)


def test_an_lstms_flops_are_their_closed_form_and_those_of_its_run(tmp_path: Path):
    file = write(tmp_path / "run.yaml", RUN)
    data = json.loads(call(file, "--no-measure", "--json").stdout)
    size = data["cells"][0]["run"]
    spec = RunSpec.parse(
        {
            "task": {"kind": "cfg", "grammar": "cfg3b", "height": 2},
            "model": {"kind": "lstm", "layers": 2, "width": 12, "embedding": 8},
            "training": {"epochs": 3, "batches_per_epoch": 4, "batch_size": 16},
            "evaluation": {"strings": 64, "generate": 8},
        }
    )
    measurements = list(record(spec, directory=RunDirectory(tmp_path / "run")))
    info = RunDirectory(tmp_path / "run").info()
    assert size["parameters"] == info["parameters"]
    assert size["flops_per_token"] == info["flops_per_token"]
    assert isinstance(spec.model, LSTMSpec)
    # Strings of one batch are padded to the longest of them.
    padding = size["flops_per_token"] / lstm_flops(spec.model, outputs=5)
    assert 1 < padding < 10 / 7
    assert size["steps"] == measurements[-1].step == 12
    assert size["tokens"] == pytest.approx(measurements[-1].tokens, rel=0.05)
    assert size["flops"] == pytest.approx(size["flops_per_token"] * size["tokens"])
    assert size["disk_bytes"] == pytest.approx(
        sum(each.stat().st_size for each in (tmp_path / "run").iterdir()), rel=0.5
    )


def test_strings_of_one_length_have_exact_costs():
    spec = RunSpec.parse(LIFE)
    size = CostEstimator().estimate(spec)
    # The next board of 6 cells is scored: ` [`, its cells and `]$`; 34 tokens are read for it.
    assert (size.tokens_per_step, size.steps, size.tokens) == (8 * 10, 10, 800)
    width, inner, hidden = 16, 2 * 8, 4 * 16
    products = 2 * (4 * width * inner + 2 * width * hidden + 2 * 34 * inner)
    outputs = build_task(spec.task).outputs
    assert size.flops_per_step == 3 * 2 * 8 * 34 * (products + width * outputs)
    assert size.checkpoint_bytes == 3 * 4 * size.parameters


def test_a_step_of_a_fixed_set_has_the_strings_that_are_left():
    fixed = {"data": {"kind": "fixed", "strings": 20}}
    # Of 20 strings: 8, 8, 4 and again 8, 8.
    assert strings_per_step(RunSpec.parse({**LIFE, **fixed})) == 36 / 5
    assert strings_per_step(RunSpec.parse(LIFE)) == 8


@pytest.mark.parametrize(
    ("optimizer", "means"),
    [("adam", 2), ("adamw", 2), ("sgd", 1), ({"kind": "sgd", "momentum": 0.0}, 0)],
)
def test_an_optimizer_keeps_as_many_numbers_as_torchs_own(optimizer: object, means: int):
    spec = RunSpec.parse({**LIFE, "optimizer": optimizer})
    layer = torch.nn.Linear(3, 1, bias=False)
    built = build_optimizer(spec.optimizer, model=layer)
    layer(torch.ones(1, 3)).backward()
    built.step()
    kept = built.state[layer.weight].values()
    found = sum(each.numel() for each in kept if isinstance(each, torch.Tensor) and each.ndim == 2)
    assert running_means(spec.optimizer) == means == found / 3
    held = 4 * CostEstimator().parameters(spec)
    memory = CostEstimator().estimate(spec).memory
    assert (memory.weights, memory.gradients, memory.optimizer) == (held, held, means * held)


def test_memory_grows_with_what_is_worked_on_at_once():
    def activations(**changes: object) -> int:
        training = {**LIFE["training"], "batch_size": 64, **changes}
        return (
            CostEstimator()
            .estimate(RunSpec.parse({**LIFE, "training": training}))
            .memory.activations
        )

    whole = activations()
    assert activations(micro_batch=16) == pytest.approx(whole / 4, rel=0.1)
    assert activations(precision="bf16") < whole
    assert activations(batch_size=128) == pytest.approx(2 * whole, rel=0.1)


MEASURE = """
import sys, torch
torch.set_num_threads(1)
from seqtune.runs.spec import RunSpec
from seqtune.runs.build import build_model
from seqtune.runs.cost import CostEstimator
from seqtune.training.device import peak_memory_bytes, reset_peak_memory
from seqtune.training.scoring import token_scores
from seqtune.tasks.build import build_task
import json
cpu = torch.device("cpu")
for data in json.loads(sys.argv[1]):
    spec = RunSpec.parse(data)
    task = build_task(spec.task)
    model = build_model(spec, task=task, device=cpu)
    def step(rows, length):
        tokens = torch.zeros(rows, length, dtype=torch.int64)
        losses, _ = token_scores(model(tokens), targets=tokens, scored=tokens == 0)
        losses.sum().backward()
    step(2, 8)
    model.zero_grad(set_to_none=True)
    reset_peak_memory(cpu)
    before = peak_memory_bytes(cpu)
    step(spec.training.batch_size, task.max_length)
    measured = peak_memory_bytes(cpu) - before
    size = CostEstimator().estimate(spec).memory
    print(size.activations + size.gradients, measured)
"""


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="the peak is only measured on Linux"
)
def test_memory_is_within_a_factor_of_two_of_what_a_step_takes():
    life = {**LIFE["task"], "rows": 8, "columns": 8}
    models = [
        {"kind": "lstm", "layers": 2, "width": 128, "embedding": 64},
        {"kind": "transformer", "layers": 2, "width": 64, "dropout": 0.1},
    ]
    training = {**LIFE["training"], "batch_size": 64}
    specs = [{"task": life, "model": model, "training": training} for model in models]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, json.dumps(specs)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for line in done.stdout.splitlines():
        estimated, measured = map(float, line.split())
        assert measured > 20e6
        assert 0.5 < estimated / measured < 2, line
    assert len(done.stdout.splitlines()) == len(models)


def test_a_cell_is_a_row_with_its_runs_and_what_they_add_up_to(tmp_path: Path):
    file = write(tmp_path / "s.yaml", SMALL)
    before = sorted(tmp_path.iterdir())
    data = json.loads(call(file, "--no-measure", "--json").stdout)
    assert [cell["cell"] for cell in data["cells"]] == ["layers=1", "layers=2"]
    for cell in data["cells"]:
        assert (cell["trials"], cell["confirm_runs"], cell["runs"]) == (4, 2, 6)
        assert cell["flops"] == 6 * cell["run"]["flops"]
        assert cell["disk_bytes"] == 6 * cell["run"]["disk_bytes"]
        assert cell["seconds"] is None
    totals = data["totals"]
    assert totals["runs"] == 12
    assert totals["flops"] == sum(cell["flops"] for cell in data["cells"])
    assert totals["seconds"] is totals["elapsed_seconds"] is None
    assert sorted(tmp_path.iterdir()) == before


def test_the_table_says_the_same_and_notes_go_to_standard_error(tmp_path: Path):
    file = write(tmp_path / "s.yaml", SMALL + "match: {parameters: 20_000}\n")
    done = call(file, "--no-measure")
    assert done.exit_code == 0, done.output
    first = next(line for line in done.stdout.splitlines() if "layers=1" in line)
    assert "19,870" in first
    assert "width=65 (-0.65 %)" in first
    assert "4 + 2" in first
    assert "12 runs: " in done.stdout
    assert done.stderr.startswith("note: 2 paired seeds cannot reach p < 0.05")
    assert "FLOPs" in done.stdout


def test_a_run_is_planned_like_a_sweep_of_one(tmp_path: Path):
    file = write(tmp_path / "one.yaml", RUN)
    done = call(file, "--no-measure", "--set", "model.layers=1", "--set", "model.residual=true")
    assert done.exit_code == 0, done.output
    assert "one" in done.stdout
    assert "1 run: " in done.stdout
    assert done.stderr == (
        "note: model.residual: applies to layers above the first, and there are none\n"
    )


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("none.yaml", None, "none.yaml: cannot be read: No such file or directory"),
        ("s.yaml", SMALL.replace("[1, 2]", "[0]"), "s.yaml:11: compare.model.layers: must be at"),
        ("r.yaml", RUN.replace("layers", "layer"), "r.yaml:3: model.layer: no such field; did you"),
        ("m.yaml", SMALL + "match: {parameters: 10}", "m.yaml:16: match: no model.width gives 10 "),
        ("e.yaml", "name: x\n", "e.yaml:1: base: is required, and is not given"),
    ],
)
def test_a_wrong_file_is_told_in_located_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str | None, line: str
):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        write(tmp_path / name, text)
    done = call(name)
    assert done.exit_code == 2
    assert done.stderr.startswith(line)
    assert done.stdout == ""
    assert "Traceback" not in done.output


def test_a_wrong_file_is_told_without_torch(tmp_path: Path):
    write(tmp_path / "wrong.yaml", "name: x\nmodel: {kind: lstm, layers: 0}\nbase: {}\n")
    code = (
        "import sys; from seqtune.cli import app\n"
        "try: app(['plan', 'wrong.yaml'], prog_name='seqtune')\n"
        "finally: print(sorted({'torch', 'ray', 'pandas', 'numba', 'optuna'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert done.stdout == "[]\n", done.stdout + done.stderr
    assert done.returncode == 2


def test_what_is_tuned_is_taken_in_its_middle_and_given_as_a_range():
    width = (LR, f"{LR}\n  model.width: {{int: [8, 64]}}\n  model.embedding: {{int_log: [4, 36]}}")
    plan = plan_of(edited(width, (LAYERS, "  model.layers: [1]")))
    [row] = forecast_sweep(plan, measure=None, gpus=0)
    typical = typical_run(plan.cells[0])
    assert isinstance(typical.model, LSTMSpec)
    assert (typical.model.width, typical.model.embedding) == (36, 12)
    assert typical.optimizer.lr == pytest.approx((3e-3 * 1e-1) ** 0.5)
    ruler = CostEstimator()
    ends = [
        ruler.parameters(plan.cells[0].run(tuned={"model.width": w, "model.embedding": e}, seed=0))
        for w, e in ((8, 4), (64, 36))
    ]
    assert [row.ranges["parameters"].low, row.ranges["parameters"].high] == ends
    assert set(row.ranges) == {"parameters", "flops", "memory_bytes"}
    assert all(not each.ranges for each in forecasts(SMALL))


def test_where_the_middle_cannot_be_built_the_first_values_are_taken():
    transformer = (
        "{kind: lstm, layers: 1, width: 8, embedding: 8}",
        "{kind: transformer, layers: 1, width: 8, heads: 4, head_width: 8}",
    )
    tune = (LR, "model.head_width: {choice: [8, 12]}\n  model.kv_heads: {choice: [1, 2, 4]}")
    plan = plan_of(edited(transformer, tune))
    assert typical_run(plan.cells[0]).model.to_data()["head_width"] == 12
    uneven = (LR, "model.heads: {choice: [2, 4]}\n  model.kv_heads: {int: [1, 2]}")
    plan = plan_of(edited(transformer, uneven))
    model = typical_run(plan.cells[0]).model.to_data()
    assert model["heads"] % model["kv_heads"] == 0


def test_a_design_that_asks_for_nothing_is_not_noted():
    seeds = ("seeds: 2", f"seeds: {seeds_needed(1)}")
    dropout = (LAYERS, "  model.dropout: [0.0, 0.1]")
    assert notes(seeds, dropout) == []


def test_unequal_budgets_are_told_within_a_task():
    seeds = ("seeds: 2", "seeds: 9")
    [line] = notes(seeds)
    assert line.startswith("budgets differ: a run of (layers=2) has ")
    assert line.endswith(" times the FLOPs of one of (layers=1)")
    both = (LAYERS, "  task.height: [1, 2]\n  model.dropout: [0.0, 0.1]")
    assert notes(seeds, both) == []
    longer = (LAYERS, "  training.epochs: [4, 8]")
    assert notes(seeds, longer) == [
        "budgets differ: a run of (epochs=8) has 2.0 times the FLOPs of one of (epochs=4)",
        "budgets differ: a run of (epochs=8) has 2.0 times the tokens of one of (epochs=4)",
    ]


def test_a_design_without_power_is_told_as_the_report_would():
    [line] = notes((LAYERS, "  model.dropout: [0.0, 0.1, 0.2]"))
    assert line == underpowered(2, pairs=3)
    assert line.startswith("2 paired seeds cannot reach p < 0.05 over 3 pairs")
    heights = (LAYERS, "  task.height: [1, 2]\n  model.dropout: [0.0, 0.1]")
    assert notes(heights) == [underpowered(2, pairs=2)]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (
            "optimizer:  {schedule: {kind: cosine, warmup_epochs: 2}}",
            ["before the warm-up (optimizer.schedule) ends (epoch 2)"],
        ),
        (
            "optimizer:  {schedule: {kind: one_cycle, rise: 0.5}}",
            ["before the warm-up (optimizer.schedule) ends (epoch 2)"],
        ),
        (
            "forcing: {kind: phased, phases: [{epochs: 3, rate: 1.0}, {epochs: 1, rate: 0.5}]}",
            ["before the first phase of forcing ends (epoch 3)"],
        ),
        (
            "forcing: {kind: reversed, schedule: {kind: phased, phases: "
            "[{epochs: 3, rate: 1.0}, {epochs: 1, rate: 0.5}]}}",
            [],
        ),
        ("optimizer:  {schedule: {kind: cosine, warmup_epochs: 1}}", []),
    ],
)
def test_a_grace_that_ends_before_the_run_has_begun_in_earnest_is_told(
    block: str, expected: list[str]
):
    found = notes(
        ("  evaluation:", f"  {block}\n  evaluation:"),
        (LAYERS, "  model.dropout: [0.0, 0.1]"),
        ("seeds: 2", "seeds: 9"),
    )
    assert [line.partition("epoch 1, ")[2] for line in found] == expected


def test_what_audits_add_is_told_or_that_there_are_none():
    enough = ("seeds: 2", "seeds: 9"), (LAYERS, "  model.dropout: [0.0, 0.1]")
    [line] = notes(*enough, ("{trials: 4,", "{trials: 10, audit: 0.5,"))
    plan = plan_of(edited(*enough, ("{trials: 4,", "{trials: 10, audit: 0.5,")))
    rows = forecast_sweep(plan, measure=None, gpus=0)
    audits = sum(row.audits for row in rows)
    assert 0 < audits < 20
    assert [row.to_data()["audits"] for row in rows] == [row.audits for row in rows]
    # A trial is stopped after epoch 1 of 4 at the earliest.
    told = f"search.audit: {audits} of 20 trials train to their last epoch if they are stopped: up to {3 * audits} epochs"
    assert line.startswith(told)
    [line] = notes(*enough, ("{trials: 4,", "{trials: 4, audit: 0.0001,"))
    assert line.startswith("search.audit: none of the 8 trials would be audited")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            LAYERS,
            "  zip: [[model.dropout, training.clip_norm], [0.0, 1.0], [0.1, 2.0]]",
            "compare.zip: model.dropout, training.clip_norm change together, so a difference "
            "between cells may be due to any of them",
        ),
        (
            "compare:\n  model.layers: [1, 2]\n",
            "arms: {a: {}, b: {model: {dropout: 0.1}, training: {clip_norm: 2.0}}}\n",
            "arms: a and b differ in model.dropout, training.clip_norm at once",
        ),
        (
            LAYERS,
            "  optimizer: [{kind: adam, beta1: 0.9}, {kind: adam, beta1: 0.8, beta2: 0.9}, {kind: sgd}]",
            "compare.optimizer: adam beta1=0.9 and adam beta1=0.8 beta2=0.9 differ in beta1, beta2 at once",
        ),
    ],
)
def test_cells_that_differ_in_two_things_at_once_are_told(old: str, new: str, expected: str):
    changes = [(old, new), ("seeds: 2", "seeds: 9")]
    if "optimizer: [" in new:
        changes.append((LR, "model.dropout: {uniform: [0.0, 0.1]}"))
    assert notes(*changes) == [expected]


def test_arms_that_differ_in_one_thing_are_not_told():
    arms = "arms: {a: {}, b: {model: {dropout: 0.1}}}\n"
    same = [("compare:\n  model.layers: [1, 2]\n", arms), ("seeds: 2", "seeds: 9")]
    assert notes(*same) == []


def test_a_probe_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    spec = RunSpec.parse(LIFE)
    size = CostEstimator().estimate(spec)
    first = measure_speed(spec, size=size, threads=1)
    assert isinstance(first, Speed)
    assert first.step_seconds > 0
    assert first.mixed_step_seconds is None
    assert first.evaluation_seconds > 0
    [kept] = (tmp_path / "seqtune" / "speeds").iterdir()
    assert measure_speed(spec, size=size, threads=1) == first
    other = RunSpec.parse({**LIFE, "seed": 7})
    assert measure_speed(other, size=size, threads=1) == first
    assert [*kept.parent.iterdir()] == [kept]
    assert torch.get_num_threads() == 1


def test_a_runs_time_is_that_of_its_steps_and_its_evaluations():
    forcing = {
        "kind": "phased",
        "phases": [{"epochs": 1, "rate": 1.0}, {"epochs": 1, "rate": 0.5}],
    }
    speed = Speed(step_seconds=2.0, mixed_step_seconds=10.0, evaluation_seconds=100.0)
    assert (
        speed.run_seconds(RunSpec.parse({**LIFE, "forcing": forcing})) == 5 * 2 + 5 * 10 + 2 * 100
    )
    plain = Speed(step_seconds=2.0, mixed_step_seconds=None, evaluation_seconds=100.0)
    assert plain.run_seconds(RunSpec.parse(LIFE)) == 10 * 2 + 2 * 100


@pytest.mark.parametrize(
    ("task", "width", "reason"),
    [
        ({"kind": "life", "rows": 32, "columns": 32}, 12_000, "too many to time here"),
        ({"kind": "cfg", "grammar": "cfg3b", "height": 1}, 60_000, "bytes of memory, and "),
    ],
)
def test_what_is_too_large_for_a_short_probe_is_not_timed(
    task: dict[str, object], width: int, reason: str
):
    spec = RunSpec.parse({**LIFE, "task": task, "model": {"kind": "lstm", "width": width}})
    row = forecast_run(spec, name="large", measure=measure_speed)
    assert isinstance(row.speed, NotMeasured)
    assert reason in row.speed.reason
    assert row.run_seconds is row.seconds is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without a GPU")
def test_what_needs_a_gpu_is_planned_and_not_timed(tmp_path: Path):
    done = call(write(tmp_path / "run.yaml", RUN), "--set", "training.device=cuda")
    assert done.exit_code == 0
    assert "not timed: training.device: is cuda, but torch finds no CUDA device" in done.stdout


@pytest.mark.slow
def test_a_run_takes_about_as_long_as_was_planned(tmp_path: Path):
    forcing = {
        "kind": "phased",
        "phases": [{"epochs": 2, "rate": 1.0}, {"epochs": 2, "rate": 0.5}],
    }
    spec = RunSpec.parse(
        {
            "task": {"kind": "cfg", "grammar": "cfg3b", "height": 3},
            "model": {"kind": "lstm", "width": 64},
            "forcing": forcing,
            "training": {"epochs": 4, "batches_per_epoch": 100},
        }
    )
    planned = forecast_run(spec, name="run", measure=measure_speed).run_seconds
    assert planned is not None
    *_, last = record(spec, directory=RunDirectory(tmp_path / "run"))
    assert 1 / 2.5 < planned / last.seconds < 2.5


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", sorted((ROOT / "sweeps").glob("*.yaml")), ids=lambda path: path.name
)
def test_every_shipped_file_can_be_planned(path: Path):
    done = call(path, "--no-measure", "--json")
    assert done.exit_code == 0, done.output
    assert all(
        cell["run"]["memory_bytes"]["total"] > 0 for cell in json.loads(done.stdout)["cells"]
    )
