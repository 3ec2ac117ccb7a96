"""What a person may ask a text's model to go on with."""

import numpy as np
import pytest

from seqtune import seeding
from seqtune.tasks.generative_evaluation import SEAM, Prompt
from seqtune.tasks.text.spec import TextSpec
from seqtune.tasks.text.task import TextTask
from seqtune.tasks.text.units import Unit


def asked(task: TextTask, text: str | None, count: int = 1) -> Prompt:
    return task.prompt(text, count=count, generator=seeding.generator(0, "generate"))


@pytest.mark.parametrize(
    ("unit", "text", "shown", "unknown"),
    [
        ("char", "A ☃ and an é", "A \ufffd and an \ufffd", "'☃', 'é'"),
        ("char", "print", "print", ""),
        ("word", "the quxly class", "the \ufffd class", "'quxly'"),
        ("byte", "☃\0", "☃\0", ""),
    ],
)
def test_unknown_units_are_shown_and_told(unit: Unit, text: str, shown: str, unknown: str):
    task = TextTask(TextSpec(unit=unit, length=16))
    prompt = asked(task, text, count=2)
    (first, second) = task.check_completions(prompt, completions=np.full((2, 1), 32))
    assert first.text == second.text == f"{shown}{SEAM}{task.decode(np.array([32]))}"
    assert (first.right, first.wrong_at) == (None, None)
    assert prompt.note == (
        f"not in the vocabulary, so read as unknown and shown as \ufffd: {unknown}"
        if unknown
        else ""
    )


def test_without_a_text_beginnings_of_validation_windows_are_gone_on_with():
    task = TextTask(TextSpec(length=16))
    prompt = asked(task, None, count=30)
    assert prompt.tokens.shape == (30, 8)
    assert (prompt.stop, prompt.temperature, prompt.note) == (None, 1.0, "")
    valid = task.decode(task.corpus.valid)
    assert all(task.decode(row) in valid for row in prompt.tokens)
    assert len({tuple(row) for row in prompt.tokens.tolist()}) > 20


def test_an_empty_text_is_no_prompt():
    with pytest.raises(ValueError, match="must have something to go on from, but is empty"):
        asked(TextTask(TextSpec(length=16)), "")
