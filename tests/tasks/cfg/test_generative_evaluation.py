"""Exams of models that are known: one that goes on with the true string, one that repeats itself."""

import numpy as np
import pytest

from seqtune import seeding
from seqtune.config.errors import SpecError
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.cfg.task import CfgTask
from seqtune.tasks.generative_evaluation import SEAM, GenerationResult, Prompt, run


def task_of(**fields: object) -> CfgTask:
    return CfgTask(CfgSpec.parse({"kind": "cfg", "grammar": "cfg3b", "height": 2, **fields}))


def examined(task: CfgTask, *, count: int = 30) -> tuple[GenerationResult, list[Prompt]]:
    """By a model that completes every prompt with the first string of the language that fits."""
    known = [row.tolist() for row in task.grammar.sample(2000, seed=0)]
    asked: list[Prompt] = []

    def complete(prompt: Prompt) -> np.ndarray:
        asked.append(prompt)
        rows = []
        for row in prompt.tokens[:, 1:].tolist():
            rest = next(each[len(row) :] for each in known if each[: len(row)] == row)
            rows.append([*rest, *[task.eos] * (prompt.longest - len(rest))])
        return np.array(rows)

    exam = task.generative_evaluation(count, generator=seeding.generator(0, "generate"))
    assert exam is not None
    return run(exam, complete=complete), asked


@pytest.mark.parametrize("format", ["sentence", "packed"])
def test_a_model_that_knows_the_language_completes_everything(format: str):
    task = task_of(format=format, cut=4)
    found, (whole, cut) = examined(task)
    assert {name: (score.value, score.count) for name, score in found.scores.items()} == {
        "generate/valid": (1.0, 30),
        "generate/valid_cut": (1.0, 30),
    }
    assert whole.tokens.tolist() == [[task.bos]] * 30
    assert (whole.longest, cut.longest) == (10, 6)
    assert cut.tokens.shape == (30, 5)
    assert (cut.tokens[:, 0] == task.bos).all()
    assert (whole.stop, whole.temperature) == (cut.stop, cut.temperature) == (task.eos, 1.0)
    titles = [sample.title for sample in found.samples]
    assert titles == [*map(str, range(1, 9)), *(f"cut 4, {number}" for number in range(1, 5))]
    assert all(sample.right for sample in found.samples)
    given = [sample.text.split(SEAM)[0].split() for sample in found.samples[8:]]
    assert given == [[str(token) for token in row[1:]] for row in cut.tokens[:4]]


def test_what_is_given_begins_strings_drawn_from_the_language():
    task = task_of(cut=4)
    _, (_, cut) = examined(task)
    drawn = task.grammar.sample(30, seed=seeding.generator(0, "generate"))
    assert cut.tokens[:, 1:].tolist() == [row[:4].tolist() for row in drawn]


def test_a_completion_is_right_only_if_the_whole_string_is():
    """Height 1 has the strings 3 1 and 1 2 3; after one token each, `1` and `2 3` are right once."""
    task = CfgTask(CfgSpec(grammar="cfg3b", height=1))
    exam = task.generative_evaluation(40, generator=seeding.generator(0, "generate"))
    assert exam is not None
    first: list[int] = []

    def complete(prompt: Prompt) -> np.ndarray:
        if prompt.tokens.shape[1] == 1:
            return np.tile([3, 2, 3, 4], (40, 1))
        first.extend(prompt.tokens[:, 1].tolist())
        return np.tile([1, 4, 4], (40, 1))

    found = run(exam, complete=complete)
    assert found.scores["generate/valid"].value == 0
    assert 0 < first.count(3) < 40
    assert found.scores["generate/valid_cut"].value == first.count(3) / 40
    wrong = next(sample for sample in found.samples[8:] if not sample.right)
    assert wrong.text.startswith(f"1 {SEAM} 1")
    assert wrong.reason == "only 2 can follow"


def test_only_strings_longer_than_the_cut_are_asked_for():
    task = task_of(cut=8)  # lengths are 6 to 9
    found, (_, cut) = examined(task, count=60)
    longer = sum(
        len(row) > 8 for row in task.grammar.sample(60, seed=seeding.generator(0, "generate"))
    )
    assert 0 < longer < 60
    assert len(cut.tokens) == found.scores["generate/valid_cut"].count == longer
    assert cut.longest == 2


def test_strings_are_drawn_until_one_is_longer_than_the_cut():
    task = task_of(height=3, cut=25)  # one string in 51 is longer
    exam = task.generative_evaluation(3, generator=seeding.generator(0, "generate"))
    assert exam is not None
    whole = next(exam)
    cut = exam.send(np.full((3, whole.longest), task.eos))
    assert len(cut.tokens) >= 1
    assert cut.tokens.shape[1] == 1 + 25


def test_a_cut_that_leaves_nearly_nothing_is_refused():
    with pytest.raises(SpecError, match=r"cut: must leave something of more than 1%"):
        CfgSpec.parse({"kind": "cfg", "grammar": "cfg3b", "height": 3, "cut": 26})


@pytest.mark.parametrize(
    ("fields", "given"),
    [
        ({"height": 1}, 1),
        ({"height": 2}, 3),
        ({"height": 4}, 24),
        ({"height": 6}, 50),
        ({"height": 6, "cut": 0}, 0),
        ({"height": 6, "cut": 137}, 137),
        ({"height": 4, "format": "packed"}, 24),
        ({"height": 4, "format": "padded"}, 0),
        ({"grammar": "dyck", "height": None}, 1),
        ({"grammar": {"root": "S", "rules": {"S": ["a", "b c"]}}, "height": None}, 0),
    ],
)
def test_the_cut_is_50_or_half_the_shortest_string(fields: dict[str, object], given: int):
    spec = CfgSpec.parse({"kind": "cfg", "grammar": "cfg3b", **fields})
    assert spec.given == CfgTask(spec).cut == given
    assert ("generate/valid_cut" in spec.scores) == (given > 0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"cut": 9},
            "cut: must leave something of the longest string, which has 9 tokens, but got 9; "
            "write at most 8",
        ),
        ({"cut": -1}, "cut: must be at least 0, but got -1"),
        (
            {"cut": 2, "format": "padded"},
            "cut: is for generative evaluation, which the padded format does not have; leave it out",
        ),
    ],
)
def test_a_cut_that_leaves_nothing_is_told(fields: dict[str, object], message: str):
    with pytest.raises(SpecError) as caught:
        CfgSpec.parse({"kind": "cfg", "grammar": "cfg3b", "height": 2, **fields})
    assert str(caught.value) == message
