"""The contract of the task family: every member of the union, at its smallest instance and at others."""

import json
import sys

import numpy as np
import numpy.typing as npt
import pytest

from seqtune import seeding
from seqtune.spec import members
from seqtune.tasks import TaskSpec
from seqtune.tasks.cfg.grammar_spec import DyckSpec, GeneratedSpec
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.description import Figures
from seqtune.tasks.exam import Prompt, sit
from seqtune.tasks.life.spec import LifeSpec
from seqtune.tasks.task import Floor, Strings, Task
from seqtune.tasks.text.spec import TextSpec
from seqtune.training.measurement import GENERATED, METRICS, OBJECTIVES

SPECS = [
    *(member() for member in members(TaskSpec)),
    CfgSpec(grammar="cfg3b", height=2),
    CfgSpec(grammar="cfg3b", height=2, format="padded"),
    CfgSpec(grammar="cfg3b", height=2, format="padded", score_padding=True),
    CfgSpec(grammar="cfg3b", height=3, format="packed", length=60),
    CfgSpec(grammar="cfg3f", height=3),
    CfgSpec(grammar=GeneratedSpec(height=2)),
    CfgSpec(grammar=DyckSpec(max_length=16)),
    LifeSpec.parse({"kind": "life", "loss": "whole", "vocabulary": "compact", "density": "broad"}),
    LifeSpec.parse(
        {"kind": "life", "rows": 5, "columns": 6, "layout": "heterogeneous", "loss": "whole"}
    ),
    TextSpec(unit="word", length=20),
    TextSpec(unit="byte", length=30),
]


@pytest.fixture(params=SPECS, ids=lambda spec: f"{spec.kind}-{spec.hash()}")
def spec(request: pytest.FixtureRequest) -> TaskSpec:
    return request.param


@pytest.fixture
def task(spec: TaskSpec) -> Task:
    return spec.build()


def test_every_task_is_here_at_its_default():
    assert {type(spec) for spec in SPECS} == set(members(TaskSpec))


def test_a_batch_has_the_promised_shapes_types_and_ranges(task: Task):
    batch = task.sample(16, generator=seeding.generator(0, "data"))
    assert batch.tokens.shape == batch.targets.shape == batch.scored.shape == batch.compared.shape
    assert len(batch) == len(batch.strings) == 16
    assert 1 <= batch.tokens.shape[1] <= task.max_length
    assert batch.tokens.dtype == batch.targets.dtype == np.int64
    assert batch.scored.dtype == batch.compared.dtype == np.bool_
    assert 0 <= batch.tokens.min() <= batch.tokens.max() < task.vocab_size
    scored = batch.targets[batch.scored]
    assert 0 <= scored.min() <= scored.max() < task.outputs
    assert batch.scored.any(axis=1).all()
    assert not (batch.compared & ~batch.scored).any()


def test_the_same_seed_gives_the_same_batch_and_another_stream_another(task: Task):
    first, again, other = (
        task.sample(64, generator=seeding.generator(seed, "data")).tokens for seed in (0, 0, 1)
    )
    assert (first == again).all()
    assert first.shape != other.shape or (first != other).any()


def test_training_and_validation_draw_from_streams_of_their_own(task: Task):
    trained = task.draw(64, generator=seeding.generator(0, "data"))
    valid = task.draw(64, generator=seeding.generator(0, "valid"), split="valid")
    assert [row.tolist() for row in trained] != [row.tolist() for row in valid]


def test_a_string_is_laid_out_alike_in_any_company(task: Task):
    strings = task.draw(12, generator=seeding.generator(0, "data"))
    whole = task.batch(strings)
    for row in (0, 7, 11):
        alone = task.batch(strings.take(np.array([row])))
        width = alone.tokens.shape[1]
        counts = alone.scored[0]
        assert (whole.targets[row, :width][counts] == alone.targets[0][counts]).all()
        assert (whole.tokens[row, :width][counts] == alone.tokens[0][counts]).all()


def test_the_floor_of_batches_adds_up(task: Task):
    strings = task.draw(40, generator=seeding.generator(0, "data"))
    whole = task.floor(task.batch(strings))
    if whole is None:
        references = task.references(strings)
        assert references
        assert all(value > 0 for value in references.values())
        return
    assert not task.references(strings)
    parts = [strings.take(np.arange(0, 25)), strings.take(np.arange(25, 40))]
    halves = [task.floor(task.batch(part)) for part in parts]
    total = sum((each for each in halves if each is not None), start=Floor(0.0, 0.0, 0, 0))
    assert total.nats == pytest.approx(whole.nats, rel=1e-12)
    assert total.strings == whole.strings == 40
    assert 0 < whole.accuracy <= 1
    assert whole.loss >= 0


def test_the_floor_covers_the_compared_tokens(task: Task):
    batch = task.sample(30, generator=seeding.generator(0, "data"))
    floor = task.floor(batch)
    if floor is not None:
        assert floor.scored == batch.compared.sum()


def test_an_exam_gives_the_scores_that_the_spec_names(spec: TaskSpec, task: Task):
    exam = task.exam(6, generator=seeding.generator(0, "generate"))
    named = spec.scores & GENERATED
    if exam is None:
        assert not named
        return
    generator = np.random.default_rng(0)

    def complete(prompt: Prompt) -> npt.NDArray[np.int64]:
        assert prompt.tokens.dtype == np.int64
        assert prompt.tokens.ndim == 2
        assert 0 <= prompt.tokens.min() <= prompt.tokens.max() < task.vocab_size
        assert prompt.longest >= 1
        assert prompt.tokens.shape[1] + prompt.longest - 1 <= task.max_length
        return generator.integers(task.outputs, size=(len(prompt.tokens), prompt.longest))

    found = sit(exam, complete=complete)
    assert set(found.scores) == named
    assert all(np.isfinite(value) for value in found.scores.values())
    assert found.samples
    assert len({sample.title for sample in found.samples}) == len(found.samples)
    for rows in found.tables.values():
        assert len({tuple(row) for row in rows}) == 1
    json.dumps(found.to_data(), allow_nan=False)


def test_the_scores_of_a_spec_are_metrics_that_a_sweep_may_be_judged_by(spec: TaskSpec):
    assert spec.scores <= set(OBJECTIVES) <= set(METRICS)


def test_a_language_describes_itself(task: Task):
    description = task.describe()
    assert description.title
    assert any(isinstance(part, Figures) for part in description.parts.values())
    data = json.loads(json.dumps(description.to_data(), allow_nan=False))
    assert list(data) == ["title", "summary", *description.parts]


def test_the_definition_of_the_language_is_in_the_docstring(task: Task):
    """With a worked example and the source, in the module of the task."""
    module = sys.modules[type(task).__module__]
    assert module.__doc__
    assert "Example" in module.__doc__
    assert "Source:" in module.__doc__


def test_strings_are_taken_and_padded_by_row():
    strings = Strings(tokens=np.array([1, 2, 3, 4, 5, 6]), offsets=np.array([0, 2, 5, 6]))
    assert [row.tolist() for row in strings] == [[1, 2], [3, 4, 5], [6]]
    taken = strings.take(np.array([2, 0, 2]))
    assert [row.tolist() for row in taken] == [[6], [1, 2], [6]]
    assert strings.padded(fill=0).tolist() == [[1, 2, 0], [3, 4, 5], [6, 0, 0]]
    assert len(Strings(tokens=np.array([], dtype=int), offsets=np.array([0])).padded(fill=0)) == 0
