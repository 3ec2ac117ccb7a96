import math

import numpy as np
import pytest

from seqtune import seeding
from seqtune.config.errors import SpecError
from seqtune.tasks.base import Strings
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.cfg.task import CfgTask


def strings_of(*rows: list[int]) -> Strings:
    lengths = [len(row) for row in rows]
    return Strings(np.concatenate(rows), np.concatenate([[0], np.cumsum(lengths)]))


def test_sentence_reads_from_bos_and_predicts_to_eos():
    task = CfgTask(CfgSpec(grammar="cfg3b", root="7"))
    batch = task.batch(strings_of([3, 1], [1, 2, 3]))
    assert batch.tokens.tolist() == [[0, 3, 1, 4], [0, 1, 2, 3]]
    assert batch.targets.tolist() == [[3, 1, 4, 4], [1, 2, 3, 4]]
    assert batch.scored.tolist() == [[True, True, True, False], [True] * 4]
    assert (task.vocab_size, task.outputs, task.max_length) == (5, 5, 4)


def test_padded_scores_its_padding_and_never_tells_the_end():
    task = CfgTask(CfgSpec(grammar="cfg3b", root="7", format="padded", score_padding=True))
    batch = task.batch(strings_of([3, 1], [1, 2, 3]))
    assert batch.tokens.tolist() == [[3, 0], [1, 2]]
    assert batch.targets.tolist() == [[1, 0], [2, 3]]
    assert batch.scored.all()
    assert (task.vocab_size, task.outputs, task.max_length) == (5, 4, 2)
    assert task.generative_evaluation(3, generator=seeding.generator(0, "generate")) is None


def test_the_floor_of_a_batch_is_minus_its_own_log_probability():
    spec = CfgSpec(grammar="cfg3b", height=4)
    task = CfgTask(spec)
    strings = task.draw(50, generator=seeding.generator(0, "valid"))
    floor = task.floor(task.batch(strings))
    assert floor.nats == pytest.approx(-task.grammar.log_probability(strings).sum(), rel=1e-10)
    assert floor.scored == len(strings.tokens) + 50


def test_the_floor_of_the_whole_grammar_is_its_entropy():
    task = CfgTask(CfgSpec(grammar="cfg3b"))
    batch = task.sample(2000, generator=seeding.generator(0, "valid"))
    floor = task.floor(batch)
    # Entropies of sampled strings scatter: within four standard errors of their mean.
    error = task.grammar.log_probability(batch.strings).std() / math.sqrt(2000)
    assert floor.nats / floor.strings == pytest.approx(117.315, abs=4 * error)
    assert error < 0.5
    assert floor.loss == pytest.approx(0.4241, abs=0.001)
    assert floor.accuracy == pytest.approx(0.754, abs=0.002)


def test_the_padded_floor_is_that_of_the_published_log():
    """At 371 steps, the longest of a batch of 1,024: .314 nats a token and .817 of them right, at best."""
    task = CfgTask(CfgSpec(grammar="cfg3b", format="padded", score_padding=True))
    batch = task.sample(4096, generator=seeding.generator(0, "valid"))
    floor = task.floor(batch)
    # What the layout leaves out of a string's information: its first token and that it ends. The rest
    # is counted from the exact entropy, since entropies of sampled strings scatter ten times as much.
    left_out = (-task.grammar.log_probability(batch.strings).sum() - floor.nats) / len(batch)
    assert (117.315 - left_out) / 371 == pytest.approx(0.3142, abs=0.0005)
    wrong = (floor.scored - floor.correct) / len(batch)
    assert 1 - wrong / 371 == pytest.approx(0.8173, abs=0.002)


def test_a_completion_is_judged_up_to_its_end_and_needs_one():
    task = CfgTask(CfgSpec(grammar="cfg3b", root="7"))
    completions = np.array(
        [[3, 1, 4, 4], [1, 2, 3, 4], [3, 1, 1, 4], [3, 1, 3, 1], [4, 3, 1, 4], [0, 4, 4, 4]]
    )
    assert task.accepts(completions).tolist() == [True, True, False, False, False, False]


def test_a_grammar_of_the_users_own_works_like_a_named_one():
    grammar = {
        "root": "S",
        "rules": {"S": ["A B", "B A"], "A": ["x y", "y x x"], "B": ["x", ["y", "y"]]},
    }
    task = CfgTask(CfgSpec.parse({"kind": "cfg", "grammar": grammar}))
    assert isinstance(task, CfgTask)
    assert task.grammar.terminals == ("x", "y")
    assert task.vocab_size == 4
    batch = task.sample(100, generator=seeding.generator(0, "data"))
    assert task.accepts(batch.targets).all()
    assert math.isfinite(task.floor(batch).loss)


@pytest.mark.parametrize(
    ("fields", "start"),
    [
        ({"grammar": "cfg3x"}, "grammar: "),
        ({"height": 9}, "height: "),
        ({"height": 0}, "height: must be at least 1, but got 0"),
        ({"root": 99}, "root: "),
        ({"height": 2, "root": 7}, "height: "),
        ({"format": "packd"}, "format: must be 'sentence', 'padded' or 'packed', but got 'packd'"),
        ({"grammar": {"root": "S", "rules": {"S": ["A"], "A": ["S"]}}}, "grammar: "),
        ({"grammar": {"root": "S", "rules": {"S": []}}}, "grammar: "),
        ({"grammar": {"root": "S", "rulez": {"S": ["x"]}}}, "grammar.rules: is required"),
        (
            {"grammar": {"root": "S", "rules": {"S": {"x": 0.5, "y": 0.4}}}},
            "grammar: S: probabilities must sum to 1, but got 0.5 + 0.4 = 0.9",
        ),
        (
            {"grammar": {"root": "S", "rules": {"S": ["a S b", "a b"]}}},
            "grammar: the grammar is recursive (S -> S), so it has no longest string and no exact "
            "count; give it a max_length, such as max_length: 64",
        ),
        (
            {"grammar": {"root": "S", "rules": {"S": ["a b"]}, "max_length": 5}},
            "grammar.max_length: is for recursive grammars, and this one is not; leave it out",
        ),
        (
            {"grammar": {"root": "S", "rules": {"S": ["a A"], "A": ["A b"]}}},
            "grammar: A: must derive a string, but every one of its rules leads back",
        ),
        (
            {
                "grammar": {
                    "root": "S",
                    "rules": {"S": ["Nuon x"], "Noun": ["y"]},
                    "terminals": ["x", "y"],
                }
            },
            "grammar: S: right-hand side 1 holds Nuon, which is neither a nonterminal nor one of the "
            "terminals; did you mean Noun?",
        ),
        (
            {"grammar": {"root": "S", "rules": {"S": ["x"]}, "terminals": ["x", "y"]}},
            "grammar: y: is a terminal that no rule uses; leave it out",
        ),
        (
            {"grammar": {"root": "S", "rules": {"S": ["x"]}, "terminals": ["x", "S"]}},
            "grammar: S: is a terminal, but has rules; leave it out of the terminals",
        ),
        ({"grammar": "dyck", "height": 2}, "height: a recursive grammar has no height"),
        ({"grammar": {"kind": "dyck", "pairs": 0}}, "grammar.pairs: must be at least 1"),
    ],
)
def test_a_wrong_grammar_is_told_in_one_line(fields: dict[str, object], start: str):
    with pytest.raises(SpecError) as caught:
        CfgSpec.parse({"kind": "cfg", "grammar": "cfg3b", **fields})
    first = str(caught.value.problems[0])
    assert first.startswith(start)
    assert "\n" not in first
