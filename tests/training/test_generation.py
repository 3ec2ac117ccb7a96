import math

import numpy as np
import pytest
import torch

from seqtune.models import LSTMSpec
from seqtune.models.build import build_network
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.cfg.task import CfgTask
from seqtune.tasks.generative_evaluation import Prompt
from seqtune.training.generation import TOKENS_AT_ONCE, generate, generate_in_parts, rows_at_once
from tests.models.oracle import Oracle


def drawn(temperature: float, *, seed: int = 0) -> list[list[int]]:
    """Strings of an oracle whose every choice is between equals, or certain."""
    task = CfgTask(CfgSpec(grammar="cfg3b", height=1))
    prompt = Prompt(
        np.zeros((400, 1), dtype=np.int64), longest=4, stop=task.eos, temperature=temperature
    )
    generator = torch.Generator().manual_seed(seed)
    return generate(Oracle(task.grammar), prompt, generator=generator).tolist()


def test_temperature_0_takes_the_most_probable_token_every_time():
    assert drawn(0.0) == [drawn(0.0)[0]] * 400


@pytest.mark.parametrize("temperature", [1e-200, 1e-31, 1e-20, 0.5, 1.0, 100.0])
def test_at_no_temperature_what_is_impossible_is_generated(temperature: float):
    strings = {tuple(row) for row in drawn(temperature)}
    assert strings <= {(3, 1, 4, 4), (1, 2, 3, 4)}


def test_both_of_two_equals_are_taken_as_often():
    first = [row[0] for row in drawn(1.0)]
    assert set(first) == {1, 3}
    # Within four standard errors of one half.
    assert first.count(1) / 400 == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / 400))


@pytest.mark.parametrize(("length", "longest"), [(1, 10), (100, 1_000), (10, TOKENS_AT_ONCE)])
def test_as_many_prompts_are_taken_as_fit(length: int, longest: int):
    rows = rows_at_once(Prompt(np.zeros((1, length), dtype=np.int64), longest=longest))
    assert rows == 1 or rows * (length + longest) <= TOKENS_AT_ONCE
    assert (rows + 1) * (length + longest) > TOKENS_AT_ONCE


def test_prompts_in_parts_are_completed_as_together(monkeypatch: pytest.MonkeyPatch):
    model = build_network(LSTMSpec(width=8), vocab_size=5, outputs=5, max_length=32).eval()
    prompt = Prompt(np.tile([[0], [1], [2]], (5, 1)), longest=9, stop=4, temperature=0.0)
    together = generate_in_parts(model, prompt, generator=torch.Generator())
    monkeypatch.setattr("seqtune.training.generation.TOKENS_AT_ONCE", 25)
    assert (
        generate_in_parts(model, prompt, generator=torch.Generator()).tolist() == together.tolist()
    )
