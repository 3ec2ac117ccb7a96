import math

import numpy as np
import pytest
import torch

from seqtune import seeding
from seqtune.models import LSTMSpec
from seqtune.models.base import SequenceModel
from seqtune.models.build import build_network
from seqtune.tasks import TaskSpec
from seqtune.tasks.base import Floor, Task
from seqtune.tasks.build import build_task
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.cfg.task import CfgTask
from seqtune.tasks.generative_evaluation import Prompt
from seqtune.tasks.life.spec import LifeSpec
from seqtune.tasks.score import Score
from seqtune.tasks.text.spec import TextSpec
from seqtune.training.evaluation import Evaluation, Evaluator
from seqtune.training.generation import generate
from seqtune.training.measurement import FREE, GENERATED, METRICS, DivergedError
from seqtune.training.scoring import divergences, token_scores
from seqtune.training.spec import EvaluationSpec
from tests.models.oracle import Oracle


def floor_of(evaluator: Evaluator) -> Floor:
    assert evaluator.floor is not None
    return evaluator.floor


@pytest.mark.parametrize(
    "spec",
    [
        CfgSpec(grammar="cfg3b", height=1),
        CfgSpec(grammar="cfg3b", height=3),
        CfgSpec(grammar="cfg3f", height=3),
    ],
)
def test_the_true_distribution_scores_excess_zero_and_is_always_valid(spec: CfgSpec):
    task = CfgTask(spec)
    # Freely it would read its own strings, after which the true ones are impossible.
    evaluator = Evaluator(EvaluationSpec(strings=100, free=0, generate=50), task=task)
    scores = evaluator.evaluate(Oracle(task.grammar), epoch=1).metrics
    assert scores["valid/excess"] == pytest.approx(0, abs=1e-6)
    assert scores["valid/kl"] == pytest.approx(0, abs=1e-12)
    assert scores["valid/excess_string"] == pytest.approx(0, abs=1e-5)
    assert scores["valid/loss"] == pytest.approx(floor_of(evaluator).loss, abs=1e-6)
    assert scores["generate/valid"] == scores["generate/valid_cut"] == 1.0


def test_a_model_that_knows_nothing_is_far_above_the_floor():
    task = CfgTask(CfgSpec(grammar="cfg3b", height=3))
    model = build_network(
        LSTMSpec(width=8),
        vocab_size=task.vocab_size,
        outputs=task.outputs,
        max_length=task.max_length,
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    evaluator = Evaluator(EvaluationSpec(strings=200, generate=100), task=task)
    scores = evaluator.evaluate(model, epoch=1).metrics
    assert scores["valid/loss"] == pytest.approx(math.log(5), abs=1e-6)
    assert scores["valid/excess"] == pytest.approx(math.log(5) - floor_of(evaluator).loss, abs=1e-6)
    assert scores["generate/valid"] == 0.0
    assert scores["valid/exact"] == 0.0


def test_the_floor_is_of_the_very_strings_that_the_model_is_measured_on():
    task = CfgTask(CfgSpec(grammar="cfg3b", height=2))
    spec = EvaluationSpec(strings=37, seed=3)
    first, again = (Evaluator(spec, task=task) for _ in range(2))
    other = Evaluator(EvaluationSpec(strings=37, seed=4), task=task)
    assert first.floor == again.floor
    assert first.floor != other.floor
    assert floor_of(first).strings == 37


def test_after_every_epoch_the_same_strings_are_gone_on_with_in_other_ways():
    task = CfgTask(CfgSpec(grammar="cfg3b", height=3, cut=4))
    evaluator = Evaluator(EvaluationSpec(strings=20, generate=16), task=task)
    model = small(task)

    def texts(epoch: int) -> list[str]:
        found = evaluator.evaluate(model, epoch=epoch).generated
        assert found is not None
        return [each.text for each in found.samples]

    first, second = texts(1), texts(2)
    assert first == texts(1)
    assert first != second
    given = [[text.split("⟫")[0] for text in found if "⟫" in text] for found in (first, second)]
    assert given[0] == given[1] != []


def test_the_padded_layout_has_nothing_to_generate():
    task = CfgTask(CfgSpec(grammar="cfg3b", height=2, format="padded"))
    model = build_network(
        LSTMSpec(width=8),
        vocab_size=task.vocab_size,
        outputs=task.outputs,
        max_length=task.max_length,
    )
    scores = Evaluator(EvaluationSpec(strings=20), task=task).evaluate(model, epoch=1).metrics
    assert not GENERATED & set(scores)
    assert scores["valid/excess"] > 0


KNOWN: list[TaskSpec] = [
    CfgSpec(grammar="cfg3b", height=3),
    CfgSpec(grammar="cfg3f", height=3),
    CfgSpec(grammar="cfg3b", height=3, format="padded"),
    CfgSpec(grammar="cfg3b", height=3, format="padded", score_padding=True),
    CfgSpec(grammar="cfg3b", height=3, format="packed", length=50),
    LifeSpec.parse({"kind": "life", "loss": "whole", "vocabulary": "compact", "density": "broad"}),
]
EVERY = [
    *KNOWN,
    LifeSpec.parse({"kind": "life", "vocabulary": "compact", "rollout_steps": 0}),
    TextSpec(length=20),
]


def small(task: Task, *, seed: int = 0) -> SequenceModel:
    torch.manual_seed(seed)
    return build_network(
        LSTMSpec(width=8),
        vocab_size=task.vocab_size,
        outputs=task.outputs,
        max_length=task.max_length,
    )


def scores_of(task: Task, model: SequenceModel, **fields: int) -> dict[str, Score]:
    spec = EvaluationSpec.model_validate({"strings": 60, "free": 20, "generate": 0, **fields})
    return Evaluator(spec, task=task).evaluate(model, epoch=1).scores


@pytest.mark.parametrize("spec", KNOWN, ids=lambda spec: f"{spec.kind}-{spec.hash()}")
@pytest.mark.parametrize("seed", [0, 1])
def test_excess_estimates_kl_from_the_tokens_that_were_drawn(spec: TaskSpec, seed: int):
    task = build_task(spec)
    evaluator = Evaluator(EvaluationSpec(strings=400, free=0, generate=0, seed=seed), task=task)
    scores = evaluator.evaluate(small(task, seed=seed), epoch=1).scores
    kl, excess = scores["valid/kl"], scores["valid/excess"]
    assert kl.value > 0
    scatter = excess.standard_error + kl.standard_error
    assert excess.value == pytest.approx(kl.value, abs=4 * scatter)
    assert scatter < 0.02 * kl.value


@pytest.mark.parametrize("spec", EVERY, ids=lambda spec: f"{spec.kind}-{spec.hash()}")
def test_a_task_has_the_scores_that_it_names_and_those_of_every_task(spec: TaskSpec):
    task = build_task(spec)
    found = scores_of(task, small(task), generate=4)
    common = {"valid/loss", "valid/accuracy", "valid/exact", *FREE}
    assert set(found) == common | spec.scores
    assert set(found) <= set(METRICS)
    for name, score in found.items():
        assert score.count > 1, name
        assert score.standard_error >= 0, name


def test_a_divergence_by_hand():
    """KL of (1/2, 1/2, 0) and (1/4, 1/2, 1/4) is ln 2 / 2; the second token is not compared."""
    logits = torch.tensor([[[1.0, 2.0, 1.0], [0.0, 0.0, 0.0]]]).log()
    truth = torch.tensor([[[0.5, 0.5, 0.0], [math.nan] * 3]], dtype=torch.float64)
    found = divergences(logits, truth=truth, compared=torch.tensor([[True, False]]))
    assert found.tolist() == [[pytest.approx(math.log(2) / 2), 0.0]]


def test_an_outcome_that_the_model_excludes_costs_infinitely_much():
    logits = torch.tensor([[[0.0, -math.inf]]])
    for truth, expected in (((1.0, 0.0), 0.0), ((0.5, 0.5), math.inf)):
        found = divergences(
            logits,
            truth=torch.tensor([[truth]], dtype=torch.float64),
            compared=torch.tensor([[True]]),
        )
        assert found.tolist() == [[expected]]


@torch.no_grad()
def test_errors_are_those_of_sums_over_strings():
    task = CfgTask(CfgSpec(grammar="cfg3b", height=2))
    model = small(task)
    evaluator = Evaluator(EvaluationSpec(strings=30, free=0, generate=0), task=task)
    scores = evaluator.evaluate(model, epoch=1).scores
    nats, lengths = [], []
    for string in evaluator.strings:
        tokens = torch.tensor([[task.bos, *string]])
        losses = torch.log_softmax(model(tokens)[0].double(), dim=-1)
        targets = torch.tensor([*string, task.eos])
        nats.append(-float(losses.gather(1, targets[:, None]).sum()))
        lengths.append(len(targets))
    expected = Score.ratio(np.array(nats), denominators=np.array(lengths))
    assert scores["valid/loss"].value == pytest.approx(expected.value, rel=1e-6)
    assert scores["valid/loss"].standard_error == pytest.approx(expected.standard_error, rel=1e-5)
    assert scores["valid/loss"].count == 30


@torch.no_grad()
@pytest.mark.parametrize("spec", EVERY, ids=lambda spec: f"{spec.kind}-{spec.hash()}")
def test_freely_a_model_reads_what_it_predicts_token_by_token(spec: TaskSpec):
    """The same loss as a plain loop that replaces every scored target in the next input."""
    task = build_task(spec)
    model = small(task).eval()
    scores = scores_of(task, model, strings=12, free=5)
    strings = task.draw(12, generator=seeding.generator(0, "valid"), split="valid")
    # Laid out together, since padding that is scored reaches to the longest of them.
    batch = task.batch(strings).rows(slice(5))
    tokens = torch.tensor(batch.tokens)
    for step in range(1, tokens.shape[1]):
        own = model(tokens[:, :step])[:, -1].argmax(dim=-1)
        tokens[:, step] = torch.where(
            torch.from_numpy(batch.scored[:, step - 1]), own, tokens[:, step]
        )
    free, forced = (
        token_scores(
            model(read),
            targets=torch.from_numpy(batch.targets),
            scored=torch.from_numpy(batch.scored),
        )
        for read in (tokens, torch.from_numpy(batch.tokens))
    )
    count = int(batch.scored.sum())
    assert scores["free/loss"].value == pytest.approx(float(free[0].sum()) / count, rel=1e-5)
    assert scores["free/accuracy"].value == pytest.approx(int(free[1].sum()) / count)
    gap = float(free[0].sum() - forced[0].sum()) / count
    assert scores["free/gap"].value == pytest.approx(gap, abs=1e-5)
    assert scores["free/loss"].count == 5


def test_free_scores_are_of_as_many_strings_as_there_are_or_of_none():
    task = CfgTask(CfgSpec(grammar="cfg3b", height=1))
    model = small(task)
    assert scores_of(task, model, strings=7, free=100)["free/loss"].count == 7
    assert not FREE & set(scores_of(task, model, free=0))


# Padding that is scored reaches to the longest string of the batch, so there batches change the
# score.
@pytest.mark.parametrize(
    "spec",
    [spec for spec in EVERY if not (isinstance(spec, CfgSpec) and spec.score_padding)],
    ids=lambda spec: f"{spec.kind}-{spec.hash()}",
)
def test_bounds_on_the_memory_change_no_score(spec: TaskSpec, monkeypatch: pytest.MonkeyPatch):
    task = build_task(spec)
    model = small(task)
    whole = scores_of(task, model)
    monkeypatch.setattr("seqtune.training.evaluation.CACHED_NUMBERS", 3000)
    monkeypatch.setattr("seqtune.training.evaluation.TOKENS_PER_BATCH", 300)
    monkeypatch.setattr("seqtune.training.forcing.inputs.FREE_RUNNING_TOKENS", 500)
    parts = scores_of(task, model)
    assert set(parts) == set(whole)
    for name, score in parts.items():
        assert score.value == pytest.approx(whole[name].value, rel=1e-5, abs=1e-6), name
        assert score.count == whole[name].count


def test_what_is_missing_is_no_metric():
    found = Evaluation({"a": Score.mean(np.array([])), "b": Score(1.0, 2, 0.5)}, generated=None)
    assert found.metrics == {"b": 1.0}


def test_tokens_that_are_not_scored_count_nothing_whatever_their_logits():
    logits = torch.tensor(
        [[[0.0, 1.0], [math.nan, math.nan], [-math.inf, 0.0]]], requires_grad=True
    )
    targets = torch.tensor([[1, 0, 1]])
    scored = torch.tensor([[True, False, True]])
    losses, hits = token_scores(logits, targets=targets, scored=scored)
    assert losses.tolist() == [[pytest.approx(math.log(1 + math.exp(-1))), 0.0, 0.0]]
    assert hits.tolist() == [[True, False, True]]


def test_a_scored_model_stays_in_the_mode_it_was_in():
    task = CfgTask(CfgSpec(grammar="cfg3b", height=1))
    model = build_network(
        LSTMSpec(width=8, dropout=0.5),
        vocab_size=task.vocab_size,
        outputs=task.outputs,
        max_length=task.max_length,
    )
    evaluator = Evaluator(EvaluationSpec(strings=10, generate=5), task=task)
    model.train()
    first, again = (evaluator.evaluate(model, epoch=1).metrics for _ in range(2))
    assert first == again
    assert model.training


def test_a_broken_model_is_noticed_before_anything_is_sampled_from_it():
    task = CfgTask(CfgSpec(grammar="cfg3b", height=1))
    model = build_network(
        LSTMSpec(width=8),
        vocab_size=task.vocab_size,
        outputs=task.outputs,
        max_length=task.max_length,
    )
    torch.nn.init.constant_(next(model.parameters()), math.nan)
    evaluator = Evaluator(EvaluationSpec(strings=10, generate=5), task=task)
    with pytest.raises(DivergedError, match="valid/loss is nan after epoch 3"):
        evaluator.evaluate(model, epoch=3)


def test_completions_end_with_the_stop_or_are_cut():
    task = CfgTask(CfgSpec(grammar="cfg3b", height=2))
    model = build_network(
        LSTMSpec(width=8),
        vocab_size=task.vocab_size,
        outputs=task.outputs,
        max_length=task.max_length,
    )
    short = Prompt(tokens=np.zeros((200, 1), dtype=np.int64), stop=task.eos, longest=3)
    rows = generate(model, short, generator=torch.Generator().manual_seed(0)).tolist()
    assert {len(row) for row in rows} == {3}
    for row in rows:
        if task.eos in row:
            end = row.index(task.eos)
            assert set(row[end:]) == {task.eos}
