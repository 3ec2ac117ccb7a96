import itertools
import lzma
import math
from pathlib import Path

import numpy as np
import pytest

from seqtune import seeding
from seqtune.tasks.base import Strings
from seqtune.tasks.text import references as module
from seqtune.tasks.text.references import NAMES, kneser_ney, references
from seqtune.tasks.text.spec import TextSpec
from seqtune.tasks.text.task import TextTask

WORDS = "the cat and the dog and a hen that saw the cat é "


def text_of(words: int, *, seed: int = 0) -> str:
    generator = np.random.default_rng(seed)
    return " ".join(generator.choice(WORDS.split(), size=words))


def drawn(task: TextTask, *, count: int = 30, seed: int = 0) -> Strings:
    return task.draw(count, generator=seeding.generator(seed, "valid"), split="valid")


def test_on_the_documentation_more_context_predicts_better():
    task = TextTask(TextSpec())
    found = task.references(drawn(task, count=256))
    assert tuple(found) == NAMES == (*(f"order-{k} Kneser-Ney" for k in range(6)), "lzma")
    losses = list(found.values())
    assert all(later < earlier for earlier, later in itertools.pairwise(losses[:6]))
    # Loose, since every version of Python has another text.
    assert losses[0] == pytest.approx(3.25, abs=0.2)
    assert losses[5] == pytest.approx(1.2, abs=0.3)
    assert losses[6] == pytest.approx(1.0, abs=0.4)


@pytest.mark.parametrize("unit", ["byte", "char", "word"])
def test_ngrams_are_scored_on_all_units_of_the_windows_but_the_first(unit: str, opened):
    task = opened(text_of(600), unit=unit, length=11)
    strings = drawn(task)
    found = task.references(strings)
    rows = strings.padded(fill=0)
    assert rows.shape == (30, 12)
    given = kneser_ney(task.corpus.train, rows, vocabulary=task.vocab_size, orders=6)
    for order, each in enumerate(given):
        expected = -np.log(each[:, 1:]).mean()
        assert found[f"order-{order} Kneser-Ney"] == pytest.approx(expected, rel=1e-12)


def test_order_0_is_the_frequency_of_the_units(opened):
    task = opened(text_of(4000), length=20)
    strings = drawn(task, count=200)
    frequencies = task.corpus.counts(task.corpus.train) / task.corpus.parts.train
    targets = task.batch(strings).targets
    found = task.references(strings)["order-0 Kneser-Ney"]
    assert found == pytest.approx(-np.log(frequencies[targets]).mean(), abs=0.002)


def test_the_ends_of_short_strings_are_not_scored(opened):
    task = opened(text_of(600), length=11)
    whole = drawn(task, count=2)
    short = Strings(
        np.concatenate([whole[0], whole[1][:5]]), offsets=np.array([0, len(whole[0]), 17])
    )
    (zero, *_) = module.ngram_losses(task.corpus, short)
    (each,) = kneser_ney(
        task.corpus.train, whole.padded(fill=0), vocabulary=task.vocab_size, orders=1
    )
    scored = np.concatenate([each[0, 1:], each[1, 1:5]])
    assert zero == pytest.approx(-np.log(scored).mean(), rel=1e-12)


@pytest.mark.parametrize("unit", ["byte", "char", "word"])
def test_lzma_is_what_the_validation_part_adds(unit: str, opened):
    text = text_of(5000)
    task = opened(text, unit=unit, length=8, split=0.25)
    data = text.encode()
    units = {"byte": len(data), "char": len(text), "word": 2 * 5000 - 1}[unit]
    held = round(units * 0.25)
    division = {
        "byte": len(data) - held,
        "char": len(text[: len(text) - held].encode()),
        # Words and blanks take turns, so the last 2,500 words or so with their blanks.
        "word": len("".join(task.corpus.vocabulary.decode(task.corpus.train)).encode()),
    }[unit]
    preset = 9 | lzma.PRESET_EXTREME
    added = len(lzma.compress(data, preset=preset)) - len(
        lzma.compress(data[:division], preset=preset)
    )
    expected = added * 8 * math.log(2) / held
    assert task.references(drawn(task))["lzma"] == pytest.approx(expected, rel=1e-12)


def test_a_large_text_is_compressed_around_its_division(opened, monkeypatch: pytest.MonkeyPatch):
    text = text_of(20_000)
    task = opened(text, unit="byte", length=8, split=0.5)
    whole = module.lzma_loss(task.corpus)
    monkeypatch.setattr(module, "LZMA_BYTES", 20_000)
    division = task.corpus.parts.train_bytes
    data = text.encode()
    train, valid = data[division - 20_000 : division], data[division : division + 20_000]
    sizes = [len(lzma.compress(each, preset=module.LZMA_PRESET)) for each in (train + valid, train)]
    limited = module.lzma_loss(task.corpus)
    assert limited == pytest.approx((sizes[0] - sizes[1]) * 8 * math.log(2) / 20_000, rel=1e-12)
    assert limited == pytest.approx(whole, rel=0.1)


def test_ngrams_of_a_large_text_are_counted_at_its_end(opened, monkeypatch: pytest.MonkeyPatch):
    task = opened(text_of(2000), length=8)
    monkeypatch.setattr(module, "NGRAM_UNITS", 500)
    strings = drawn(task)
    found = list(module.ngram_losses(task.corpus, strings))
    given = kneser_ney(
        task.corpus.train[-500:], strings.padded(fill=0), vocabulary=task.vocab_size, orders=6
    )
    expected = [-np.log(each[:, 1:]).mean() for each in given]
    assert found == pytest.approx(expected, rel=1e-12)


def test_references_are_kept_for_the_same_strings(opened, monkeypatch: pytest.MonkeyPatch):
    task = opened(text_of(600), length=8)
    first = task.references(drawn(task))
    monkeypatch.setattr(module, "lzma_loss", None)
    again = opened(text_of(600), length=8)
    assert references(again.corpus, drawn(again)) == first
    with pytest.raises(TypeError):
        task.references(drawn(task, seed=1))
    other = opened(text_of(600), length=8, vocabulary=3)
    with pytest.raises(TypeError):
        other.references(drawn(task))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"lzma": 1}', "null", "{"])
def test_damaged_references_are_computed_anew(content: str, opened, cache: Path):
    task = opened(text_of(600), length=8)
    first = task.references(drawn(task))
    (kept,) = cache.glob("*references*.json")
    kept.write_text(content)
    assert task.references(drawn(task)) == first
    assert kept.read_text() != content


def test_references_need_no_cache(opened, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog):
    task = opened(text_of(600), length=8)
    first = task.references(drawn(task))
    monkeypatch.setenv("XDG_CACHE_HOME", str(next(cache.iterdir())))
    assert task.references(drawn(task)) == first
    assert "cannot be written (" in caplog.text
