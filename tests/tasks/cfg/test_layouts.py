"""The packed layout, and that the floors of all layouts are those of a plain computation."""

import math

import numpy as np
import pytest

from seqtune import seeding
from seqtune.config.errors import SpecError
from seqtune.tasks.base import Strings
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.cfg.task import CfgTask

DYCK = {"kind": "dyck", "pairs": 2, "max_length": 12}


def task_of(**fields: object) -> CfgTask:
    return CfgTask(CfgSpec.parse({"kind": "cfg", "grammar": "cfg3b", **fields}))


def windows(*rows: list[int]) -> Strings:
    return Strings(np.concatenate(rows), np.arange(len(rows) + 1) * len(rows[0]))


def test_a_window_is_read_and_predicted_one_token_apart():
    task = task_of(root=7, format="packed", length=6)
    batch = task.batch(windows([1, 4, 0, 3, 1, 4, 0], [2, 3, 4, 0, 1, 2, 3]))
    assert batch.tokens.tolist() == [[1, 4, 0, 3, 1, 4], [2, 3, 4, 0, 1, 2]]
    assert batch.targets.tolist() == [[4, 0, 3, 1, 4, 0], [3, 4, 0, 1, 2, 3]]
    assert batch.scored.all()
    # Before the first BOS only that BOS itself is known: it is certain after EOS.
    assert batch.compared.tolist() == [
        [False, True, True, True, True, True],
        [False, False, True, True, True, True],
    ]
    assert (task.vocab_size, task.outputs, task.max_length) == (5, 5, 6)


def test_the_floor_of_a_window_by_hand():
    """Root 7 derives 3 1 and 1 2 3, each half the time: its first token tells all the rest."""
    task = task_of(root=7, format="packed", length=6)
    floor = task.floor(task.batch(windows([1, 4, 0, 3, 1, 4, 0], [2, 3, 4, 0, 1, 2, 3])))
    assert floor.nats == pytest.approx(2 * math.log(2))
    assert floor.correct == pytest.approx(9 - 2 * 0.5)
    assert (floor.scored, floor.strings) == (9, 2)


def test_a_window_without_a_beginning_has_no_floor():
    task = task_of(height=4, format="packed", length=5)
    batch = task.batch(windows([1, 2, 3, 3, 1, 2]))
    assert not batch.compared.any()
    assert task.floor(batch).scored == 0


def test_windows_are_cut_from_whole_sentences():
    task = task_of(height=3, format="packed", length=40)
    strings = task.draw(200, generator=seeding.generator(0, "data"))
    assert set(strings.lengths.tolist()) == {41}
    stream = "".join(str(token) for token in strings.tokens)
    inner = stream[stream.index("0") : stream.rindex("4") + 1]
    sentences = [part.strip("4") for part in inner.split("0")[1:]]
    assert inner.count("40") == len(sentences) - 1
    assert task.grammar.accepts([[int(token) for token in part] for part in sentences]).all()


def test_windows_start_anywhere():
    task = task_of(height=3, format="packed", length=10)
    starts = [
        task.draw(1, generator=seeding.generator(seed, "data")).tokens[0] for seed in range(200)
    ]
    assert np.mean(np.array(starts) == 0) == pytest.approx(1 / 24.5, abs=0.06)
    assert set(starts) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("grammar", ["cfg3b", "cfg3f"])
def test_the_packed_floor_is_that_of_the_sentences_inside(grammar: str):
    task = task_of(grammar=grammar, height=3, format="packed", length=60)
    batch = task.sample(40, generator=seeding.generator(1, "valid"))
    nats, correct, compared = 0.0, 0.0, 0
    for row in batch.strings:
        text = row.tolist()
        for begin in (place for place, token in enumerate(text[:-1]) if token == 0):
            rest = text[begin + 1 :]
            length = rest.index(4) if 4 in rest else len(rest)
            rows = task.grammar.next_token(rest[:length])
            predicted = rest[: length + 1] if 4 in rest else rest
            nats -= sum(math.log(rows[k, token - 1]) for k, token in enumerate(predicted))
            correct += rows[: len(predicted)].max(axis=1).sum()
            compared += len(predicted)
        after_an_end = sum(token == 0 for token in text[1:])
        correct += after_an_end
        compared += after_an_end
    floor = task.floor(batch)
    assert floor.nats == pytest.approx(nats, rel=1e-10)
    assert floor.correct == pytest.approx(correct, rel=1e-10)
    assert floor.scored == compared == batch.compared.sum()
    assert 0.5 < floor.scored / batch.scored.sum() < 1


def test_long_windows_come_near_the_floor_of_sentences():
    """The stream's entropy is the sentences', with two tokens more: EOS, counted there too, and BOS."""
    task = task_of(height=4, format="packed", length=2000)
    floor = task.floor(task.sample(20, generator=seeding.generator(0, "valid")))
    whole = task.grammar
    assert floor.loss == pytest.approx(whole.entropy() / (whole.lengths.mean + 2), rel=0.01)


@pytest.mark.parametrize("fields", [{"grammar": "cfg3b"}, {"grammar": "cfg3f"}, {"grammar": DYCK}])
@pytest.mark.parametrize("format", ["sentence", "padded", "packed"])
def test_the_truth_is_the_plain_distribution_after_what_was_read(
    format: str, fields: dict[str, object]
):
    """For every target by itself, from the grammar's distributions after the prefixes of one sentence."""
    settings: dict[str, object] = {"format": format, **fields}
    if format == "packed":
        settings["length"] = 40
    if fields["grammar"] != DYCK:
        settings["height"] = 3
    task = task_of(**settings)
    batch = task.sample(12, generator=seeding.generator(3, "valid"))
    truth = task.true_distributions(batch)
    checked = 0
    for row, known in enumerate(batch.compared):
        for step in np.flatnonzero(known):
            read = batch.tokens[row, : step + 1].tolist()
            expected = np.zeros(task.outputs)
            if format == "padded":
                plain = task.grammar.next_token(read)[-1]
                expected[1:] = plain[:-1] / plain[:-1].sum()
            elif read[-1] == task.eos:
                expected[task.bos] = 1
            else:
                begin = len(read) - read[::-1].index(task.bos)
                expected[1:] = task.grammar.next_token(read[begin:])[-1]
            assert truth[row, step] == pytest.approx(expected, abs=1e-12)
            checked += 1
    assert checked == batch.compared.sum() > 30


def test_padding_that_is_scored_is_certain():
    task = task_of(root=7, format="padded", score_padding=True)
    batch = task.batch(Strings(np.array([3, 1, 1, 2, 3]), np.array([0, 2, 5])))
    assert task.true_distributions(batch).tolist() == [
        [[0, 1, 0, 0], [1, 0, 0, 0]],
        [[0, 0, 1, 0], [0, 0, 0, 1]],
    ]


def test_generation_from_packed_text_starts_at_bos():
    task = task_of(height=2, format="packed", length=30)
    exam = task.generative_evaluation(3, generator=seeding.generator(0, "generate"))
    assert exam is not None
    prompt = next(exam)
    assert prompt.tokens.tolist() == [[0], [0], [0]]
    assert (prompt.stop, prompt.longest) == (4, task.grammar.lengths.max + 1)


def test_padding_is_scored_only_when_asked_for():
    strings = Strings(np.array([3, 1, 1, 2, 3]), np.array([0, 2, 5]))
    plain = task_of(root=7, format="padded")
    seed = task_of(root=7, format="padded", score_padding=True)
    assert plain.batch(strings).scored.tolist() == [[True, False], [True, True]]
    assert seed.batch(strings).scored.all()
    floors = [task.floor(task.batch(strings)) for task in (plain, seed)]
    assert [floor.scored for floor in floors] == [3, 4]
    assert [floor.nats for floor in floors] == [0, 0]
    assert [floor.correct for floor in floors] == [3, 4]


def test_the_floor_is_the_same_in_slices(monkeypatch: pytest.MonkeyPatch):
    for fields in ({}, {"format": "padded"}, {"format": "packed", "length": 70}):
        task = task_of(height=4, **fields)
        batch = task.sample(60, generator=seeding.generator(0, "valid"))
        whole = task.floor(batch)
        monkeypatch.setattr("seqtune.tasks.cfg.layouts.FLOOR_TOKENS", 100)
        parts = task.floor(batch)
        assert parts.nats == pytest.approx(whole.nats, rel=1e-12)
        assert parts.correct == pytest.approx(whole.correct, rel=1e-12)
        assert parts.scored == whole.scored
        monkeypatch.undo()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"length": 100},
            "length: is the window of the packed format, but the format is sentence; leave it out",
        ),
        (
            {"format": "packed", "score_padding": True},
            "score_padding: is for the padded format, but the format is packed; leave it out",
        ),
        ({"format": "packed", "length": 0}, "length: must be at least 1, but got 0"),
    ],
)
def test_a_setting_of_another_layout_is_refused(fields: dict[str, object], message: str):
    with pytest.raises(SpecError) as caught:
        CfgSpec.parse({"kind": "cfg", "grammar": "cfg3b", **fields})
    assert str(caught.value) == message
