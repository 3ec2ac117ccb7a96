import numpy as np
import pytest

from seqtune import seeding
from seqtune.tasks.base import WithTrees
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.cfg.task import CfgTask
from seqtune.training.probes import Examples, make_examples


def labelled(count: int = 80, **fields: object) -> WithTrees:
    task = CfgTask(CfgSpec.parse({"kind": "cfg", "grammar": "cfg3b", "height": 3, **fields}))
    return task.with_trees(count, generator=seeding.generator(0, "probe"))


def found(own: WithTrees, *, most: int = 100_000, seed: int = 0) -> Examples:
    return make_examples(own, most=most, generator=np.random.default_rng(seed))


def test_what_cannot_be_told_wrong_is_not_asked():
    """The root is always the same symbol; where it ends is another question."""
    questions = [(each.target, each.level) for each in found(labelled()).questions]
    levels = ["height 1", "height 2", "height 3"]
    assert questions == [
        *(("ancestor", level) for level in levels[:2]),
        *(("ancestor_at_end", level) for level in levels[:2]),
        *(("boundary", level) for level in levels),
    ]


def test_where_the_last_token_is_not_read_the_end_of_the_string_is_not_asked():
    questions = found(labelled(format="padded")).questions
    assert [each.level for each in questions if each.target == "boundary"] == [
        "height 1",
        "height 2",
    ]


def test_labels_are_those_of_the_strings_halves():
    own = labelled()
    every = found(own)
    for half, rows in ((every.fitted, slice(0, 40)), (every.held_out, slice(40, 80))):
        readable = own.ancestors[0, rows] >= 0
        assert (half.tokens == own.batch.tokens[rows]).all()
        assert (half.chosen == readable).all()
        assert (half.positions.weights == 1).all()
        assert (half.positions.strings == readable.nonzero()[0]).all()
        assert (half.positions.labels[0] == own.ancestors[0, rows][readable]).all()
        # Height 2 has its symbols behind the three of height 1.
        assert (half.positions.labels[1] == own.ancestors[1, rows][readable] - 3).all()
        ends = own.boundaries[1, rows][readable]
        assert (half.positions.labels[5] == ends).all()
        at_end = np.where(ends == 1, half.positions.labels[1], -1)
        assert (half.positions.labels[3] == at_end).all()


def test_of_a_window_only_what_follows_a_beginning_is_read():
    own = labelled(format="packed", length=60)
    chosen = found(own).fitted.chosen
    begun = np.logical_or.accumulate(own.batch.tokens[:40] == 0, axis=1)
    assert (chosen == (begun & (own.ancestors[0, :40] >= 0))).all()


def test_a_sample_stands_for_all_positions():
    own = labelled(2_000)
    whole, some = found(own).fitted, found(own, most=3_000).fitted
    read = some.positions
    assert 2_990 <= len(read.weights) <= 3_000
    assert (some.chosen <= whole.chosen).all()
    assert read.weights.sum() == pytest.approx(len(whole.positions.weights))
    # Ends of every level are counted exactly: they are what positions are grouped by.
    for ends, every in zip(read.labels[4:], whole.positions.labels[4:], strict=True):
        assert read.weights[ends == 1].sum() == pytest.approx((every == 1).sum())
        # And the higher the level, the more of them are read.
    kept = [
        (ends == 1).sum() / (every == 1).sum()
        for ends, every in zip(read.labels[4:], whole.positions.labels[4:], strict=True)
    ]
    assert kept == sorted(kept)
    assert kept[-1] > 2 * 3_000 / len(whole.positions.weights)


def test_the_sample_of_a_seed_is_always_the_same_and_that_of_another_is_not():
    own = labelled(2_000)
    first, again, other = (found(own, most=500, seed=seed).fitted.chosen for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_a_class_that_was_never_fitted_is_one_that_no_probe_says():
    """With one string to fit, symbols that only the other has get the number after all classes."""
    own = labelled(2, height=2)
    own.ancestors[0, 0][own.ancestors[0, 0] == 2] = 0
    every = found(own)
    assert every.questions[0].classes == 2
    expected = {-1: -1, 0: 0, 1: 1, 2: 2}
    held_out = every.held_out.positions.labels[0]
    readable = own.ancestors[0, 1][own.ancestors[0, 1] >= 0]
    assert held_out.tolist() == [expected[label] for label in readable.tolist()]
    assert 2 in held_out
