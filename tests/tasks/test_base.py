"""The contract of the task family: every member of the union, at its smallest instance and at others."""

import json
import sys

import numpy as np
import numpy.typing as npt
import pytest

from seqtune import seeding
from seqtune.config.unions import members
from seqtune.tasks import TaskSpec
from seqtune.tasks.base import Floor, Strings, Task
from seqtune.tasks.build import build_task
from seqtune.tasks.cfg.grammar_spec import DyckSpec, GeneratedSpec
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.description import Figures
from seqtune.tasks.generative_evaluation import Prompt, run
from seqtune.tasks.life.spec import LifeSpec
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
    return build_task(spec)


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


def test_the_truth_has_the_floor_of_the_same_tokens(task: Task):
    batch = task.sample(30, generator=seeding.generator(0, "data"))
    truth, floor = task.true_distributions(batch), task.floor(batch)
    if truth is None:
        assert floor is None or (floor.nats == 0 and floor.accuracy == 1)
        return
    assert floor is not None
    assert truth.shape == (*batch.targets.shape, task.outputs)
    assert truth.dtype == np.float64
    assert np.isnan(truth[~batch.compared]).all()
    known = truth[batch.compared]
    assert (known >= 0).all()
    assert known.sum(axis=1) == pytest.approx(1, abs=1e-12)
    own = known[np.arange(len(known)), batch.targets[batch.compared]]
    assert -np.log(own).sum() == pytest.approx(floor.nats, rel=1e-10)
    assert known.max(axis=1).sum() == pytest.approx(floor.correct, rel=1e-10)


def test_kl_is_a_score_where_the_truth_is_known_and_not_certain(spec: TaskSpec, task: Task):
    batch = task.sample(4, generator=seeding.generator(0, "data"))
    assert ("valid/kl" in spec.scores) == (task.true_distributions(batch) is not None)


def test_labels_are_of_what_is_read(spec: TaskSpec, task: Task):
    """Every token that a grammar's string is made of has a node above it, and its last token ends one."""
    found = task.with_trees(12, generator=seeding.generator(0, "probe"))
    assert (found is not None) == isinstance(spec, CfgSpec)
    if found is None:
        return
    batch = found.batch
    assert len(batch) == len(batch.strings) == 12
    assert (batch.tokens == task.batch(batch.strings).tokens).all()
    shape = (len(found.levels), *batch.tokens.shape)
    assert found.ancestors.shape == found.boundaries.shape == shape
    assert found.ancestors.dtype == found.boundaries.dtype == np.int64
    assert -1 <= found.ancestors.min() <= found.ancestors.max() < len(found.symbols)
    assert set(np.unique(found.boundaries)) <= {-1, 0, 1}
    assert ((found.ancestors == -1) == (found.boundaries == -1)).all()
    terminals = (batch.tokens > 0) & (batch.tokens < task.vocab_size - 1)
    assert ((found.ancestors >= 0).any(axis=0) == terminals).all()
    assert len(set(found.levels)) == len(found.levels)
    assert len(set(found.symbols)) == len(found.symbols)
    # Within a node, its symbol stays the same.
    inside = (found.boundaries[..., :-1] == 0) & (found.ancestors[..., 1:] >= 0)
    assert (found.ancestors[..., 1:] == found.ancestors[..., :-1])[inside].all()
    again = task.with_trees(12, generator=seeding.generator(0, "probe"))
    assert again is not None
    assert (again.batch.tokens == batch.tokens).all()


def test_rows_of_a_batch_are_its_strings_as_they_are_laid_out(task: Task):
    batch = task.sample(9, generator=seeding.generator(0, "data"))
    part = batch.rows(slice(3, 7))
    assert len(part) == len(part.strings) == 4
    for name in ("tokens", "targets", "scored", "compared"):
        assert (getattr(part, name) == getattr(batch, name)[3:7]).all()
    assert [row.tolist() for row in part.strings] == [row.tolist() for row in batch.strings][3:7]


def test_an_exam_gives_the_scores_that_the_spec_names(spec: TaskSpec, task: Task):
    exam = task.generative_evaluation(6, generator=seeding.generator(0, "generate"))
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

    found = run(exam, complete=complete)
    assert set(found.scores) == named
    for score in found.scores.values():
        assert np.isfinite(score.value)
        assert score.count >= 6
        assert score.standard_error >= 0
    assert found.samples
    assert len({sample.title for sample in found.samples}) == len(found.samples)
    for rows in found.tables.values():
        assert len({tuple(row) for row in rows}) == 1
    json.dumps(found.to_data(), allow_nan=False)


@pytest.mark.parametrize("text", [None, "own"])
def test_every_task_prompts_and_judges_what_a_person_asks(
    spec: TaskSpec, task: Task, text: str | None
):
    own = None if text is None else _prompt(spec)
    asked = task.prompt(own, count=5, generator=seeding.generator(0, "generate"))
    again = task.prompt(own, count=5, generator=seeding.generator(0, "generate"))
    assert (asked.tokens == again.tokens).all()
    assert asked.tokens.dtype == np.int64
    assert 0 <= asked.tokens.min() <= asked.tokens.max() < task.vocab_size
    assert len(asked.tokens) == 5
    assert asked.tokens.shape[1] >= max(1, task.prompt_length)
    if asked.stop is not None:
        assert asked.tokens.shape[1] + asked.longest - 1 <= task.max_length
    generator = np.random.default_rng(0)
    completions = generator.integers(task.outputs, size=(5, asked.longest))
    samples = task.check_completions(asked, completions=completions)
    assert [sample.title for sample in samples] == ["1", "2", "3", "4", "5"]
    for sample in samples:
        assert (sample.right is False) == (sample.wrong_at is not None) == (sample.reason != "")
        assert sample.wrong_at is None or 0 <= sample.wrong_at <= len(sample.text)
    assert task.check_completions(asked, completions=completions[:2])[1].text == samples[1].text
    json.dumps([sample.to_data() for sample in samples], allow_nan=False)


def _prompt(spec: TaskSpec) -> str:
    """A text that a person may ask a task to go on with."""
    match spec:
        case CfgSpec():
            terminals = spec.language().terminals
            return f"{terminals[0]} {terminals[-1]}"
        case LifeSpec():
            return "/".join(["0" * spec.columns] * spec.rows)
        case TextSpec():
            return "the"


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
