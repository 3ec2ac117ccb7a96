import math

import numpy as np
import pytest
import torch

from seqtune.models import LSTMSpec
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.exam import Prompt
from seqtune.tasks.task import Floor
from seqtune.training.evaluation import Evaluator, token_scores
from seqtune.training.generation import generate
from seqtune.training.measurement import DivergedError
from seqtune.training.spec import EvaluationSpec
from tests.oracle import Oracle


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
    task = spec.build()
    evaluator = Evaluator(EvaluationSpec(strings=100, generate=50), task=task)
    scores = evaluator.evaluate(Oracle(task.grammar), epoch=1).metrics
    assert scores["valid/excess"] == pytest.approx(0, abs=1e-6)
    assert scores["valid/excess_string"] == pytest.approx(0, abs=1e-5)
    assert scores["valid/loss"] == pytest.approx(floor_of(evaluator).loss, abs=1e-6)
    assert scores["generate/valid"] == 1.0


def test_a_model_that_knows_nothing_is_far_above_the_floor():
    task = CfgSpec(grammar="cfg3b", height=3).build()
    model = LSTMSpec(width=8).build(
        vocab_size=task.vocab_size, outputs=task.outputs, max_length=task.max_length
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
    task = CfgSpec(grammar="cfg3b", height=2).build()
    spec = EvaluationSpec(strings=37, seed=3)
    first, again = (Evaluator(spec, task=task) for _ in range(2))
    other = Evaluator(EvaluationSpec(strings=37, seed=4), task=task)
    assert first.floor == again.floor
    assert first.floor != other.floor
    assert floor_of(first).strings == 37


def test_the_padded_layout_has_nothing_to_generate():
    task = CfgSpec(grammar="cfg3b", height=2, format="padded").build()
    model = LSTMSpec(width=8).build(
        vocab_size=task.vocab_size, outputs=task.outputs, max_length=task.max_length
    )
    scores = Evaluator(EvaluationSpec(strings=20), task=task).evaluate(model, epoch=1).metrics
    assert "generate/valid" not in scores
    assert scores["valid/excess"] > 0


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
    task = CfgSpec(grammar="cfg3b", height=1).build()
    model = LSTMSpec(width=8, dropout=0.5).build(
        vocab_size=task.vocab_size, outputs=task.outputs, max_length=task.max_length
    )
    evaluator = Evaluator(EvaluationSpec(strings=10, generate=5), task=task)
    model.train()
    first, again = (evaluator.evaluate(model, epoch=1).metrics for _ in range(2))
    assert first == again
    assert model.training


def test_a_broken_model_is_noticed_before_anything_is_sampled_from_it():
    task = CfgSpec(grammar="cfg3b", height=1).build()
    model = LSTMSpec(width=8).build(
        vocab_size=task.vocab_size, outputs=task.outputs, max_length=task.max_length
    )
    torch.nn.init.constant_(next(model.parameters()), math.nan)
    evaluator = Evaluator(EvaluationSpec(strings=10, generate=5), task=task)
    with pytest.raises(DivergedError, match="valid/loss is nan after epoch 3"):
        evaluator.evaluate(model, epoch=3)


def test_completions_end_with_the_stop_or_are_cut():
    task = CfgSpec(grammar="cfg3b", height=2).build()
    model = LSTMSpec(width=8).build(
        vocab_size=task.vocab_size, outputs=task.outputs, max_length=task.max_length
    )
    short = Prompt(tokens=np.zeros((200, 1), dtype=np.int64), stop=task.eos, longest=3)
    rows = generate(model, short, generator=torch.Generator().manual_seed(0)).tolist()
    assert {len(row) for row in rows} == {3}
    for row in rows:
        if task.eos in row:
            end = row.index(task.eos)
            assert set(row[end:]) == {task.eos}
