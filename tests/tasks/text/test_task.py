import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from seqtune import seeding
from seqtune.config.errors import SpecError
from seqtune.tasks.base import Split, Strings
from seqtune.tasks.generative_evaluation import SEAM, Prompt, run
from seqtune.tasks.text import spec as module
from seqtune.tasks.text.files import documentation
from seqtune.tasks.text.spec import TextSpec
from seqtune.tasks.text.task import TextTask

SPLITS: tuple[Split, Split] = ("train", "valid")


def drawn(task: TextTask, split: Split, *, count: int = 50, seed: int = 0) -> Strings:
    return task.draw(count, generator=seeding.generator(seed, "data"), split=split)


def test_a_window_reads_all_but_its_last_unit_and_predicts_all_but_its_first(opened):
    """The example of the module."""
    task = opened("abcabd" + "a" * 4, length=3, split=0.4)
    assert task.corpus.parts.units == ("a", "b", "c", "d")
    tokens = task.encode("bcab")
    batch = task.batch(Strings(tokens, np.array([0, 4])))
    assert batch.tokens.tolist() == [[2, 3, 1]]
    assert batch.targets.tolist() == [[3, 1, 2]]
    assert batch.scored.all()
    assert (task.vocab_size, task.outputs, task.max_length) == (5, 5, 3)
    assert task.floor(batch) is None


def test_short_strings_are_scored_up_to_their_end(opened):
    task = opened("abcabd" * 10, length=3)
    batch = task.batch(Strings(np.array([1, 2, 3, 1, 2]), np.array([0, 3, 5])))
    assert batch.scored.tolist() == [[True, True], [True, False]]


@pytest.mark.parametrize("unit", ["byte", "char", "word"])
def test_windows_keep_to_their_part(unit: str, opened):
    task = opened("a b " * 150 + "y z " * 50, unit=unit, length=7, split=0.25)
    train, valid = (task.decode(drawn(task, split, count=500).tokens) for split in SPLITS)
    assert set(train) == set("ab ")
    unknown = "yz " if unit == "byte" else "\N{REPLACEMENT CHARACTER} "
    assert set(valid) == set(unknown)


def test_every_window_is_drawn_and_no_other(opened):
    text = "".join(chr(0x4E00 + number) for number in range(40))
    task = opened(text, unit="byte", length=8, split=0.25)
    data = np.frombuffer(text.encode(), dtype=np.uint8)
    for split, part in zip(SPLITS, (data[:90], data[90:]), strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(part, 9)
        found = drawn(task, split, count=3000)
        assert {bytes(each) for each in found} == {bytes(each) for each in windows}
        assert (found.lengths == 9).all()


def test_the_same_seed_gives_the_same_windows(opened):
    task = opened("".join(map(str, range(3000))))
    first, again, other = (drawn(task, "train", seed=seed).tokens for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_windows_hold_the_text(opened):
    text = "".join(f"{number} é, " for number in range(900))
    task = opened(text, length=30)
    assert all(task.decode(window) in text for window in drawn(task, "valid"))
    assert task.decode(task.encode("12 é, 3")) == "12 é, 3"


def test_the_documentation_is_the_default_and_its_hash_is_known():
    task = TextTask(TextSpec())
    assert task.data_hash == hashlib.sha256(documentation()).hexdigest()
    assert task.data_hash == TextTask(TextSpec(unit="word")).data_hash
    strings = drawn(task, "valid", count=20)
    assert all(task.decode(window) in documentation().decode() for window in strings)
    assert task.vocab_size == task.outputs == len(set(documentation().decode())) + 1


def test_words_are_ten_thousand_unless_it_is_said(opened, monkeypatch: pytest.MonkeyPatch):
    text = "one two two three three three " * 20
    monkeypatch.setattr(module, "FREQUENT_WORDS", 2)
    assert opened(text, unit="word", length=4).vocab_size == 3
    assert opened(text, unit="word", length=4, vocabulary=3).vocab_size == 4
    assert opened(text, unit="char", length=4).vocab_size == 9


def test_a_spec_is_found_again_in_its_own_data(tmp_path: Path):
    (tmp_path / "a.txt").write_text("text " * 200)
    spec = TextSpec(path=str(tmp_path / "*.txt"), unit="word", length=5, vocabulary=7)
    assert TextSpec.parse(spec.to_data()) == spec
    assert spec.scores == frozenset()


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"path": "none.txt"}, "path: none.txt: no such file; paths start from {here}"),
        ({"path": "none/*.txt"}, "path: none/*.txt: matches no file; paths start from {here}"),
        (
            {"path": "folder"},
            "path: folder: is a directory; write folder/*.txt for the files in it",
        ),
        ({"path": ""}, "path: names no file; write a path, a glob such as data/*.txt, or null"),
        ({"path": "empty.txt"}, "path: empty.txt: is empty"),
        ({"path": "empty*.txt"}, "path: empty.txt: and all others are empty"),
        (
            {"path": "binary.txt"},
            "path: binary.txt: line 2, byte offset 4: 0x00 makes it a binary file",
        ),
        (
            {"path": "binary.txt", "unit": "byte"},
            "path: binary.txt: line 2, byte offset 4: 0x00 makes it a binary file",
        ),
        ({"path": "latin.txt"}, "path: latin.txt: line 1, byte offset 3: 0xe9 is not UTF-8 text"),
        (
            {"path": "short.txt", "length": 50},
            "length: a window is length + 1 = 51 characters, and one must fit into the training and one "
            "into the validation part, but the text has 100; write at most 49",
        ),
        (
            {"path": "short.txt", "unit": "word", "length": 128},
            "length: a window is length + 1 = 129 words, and one must fit into the training and one "
            "into the validation part, but the text has 39; write at most 18",
        ),
        (
            {"path": "short.txt", "length": 20, "split": 0.1},
            "split: a window is length + 1 = 21 characters, but the validation part has 10 of the text's "
            "100; write at least 0.21",
        ),
        (
            {"path": "short.txt", "length": 20, "split": 0.9, "unit": "byte"},
            "split: a window is length + 1 = 21 bytes, but the training part has 10 of the text's "
            "101; write at most 0.792",
        ),
        ({"split": 1}, "split: must be below 1, but got 1"),
        ({"split": 0}, "split: must be above 0, but got 0"),
        ({"length": 0}, "length: must be at least 1, but got 0"),
        ({"unit": "line"}, "unit: must be 'byte', 'char' or 'word', but got 'line'"),
        (
            {"unit": "byte", "vocabulary": 9},
            "vocabulary: all 256 bytes are known; leave it out, but got 9",
        ),
    ],
)
def test_a_wrong_text_is_told_in_one_line(
    fields: dict[str, object], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name, content in {
        "empty": b"",
        "empty2": b"",
        "binary": b"abc\n\0\1",
        "latin": b"caf\xe9",
        "short": ("word " * 19 + "wordé").encode(),
    }.items():
        (tmp_path / f"{name}.txt").write_bytes(content)
    with pytest.raises(SpecError) as caught:
        TextSpec.parse({"kind": "text", **fields})
    assert str(caught.value) == line.format(here=tmp_path)


def test_what_an_error_proposes_is_accepted(tmp_path: Path):
    (tmp_path / "short.txt").write_text("word " * 20)
    path = str(tmp_path / "short.txt")
    TextSpec(path=path, length=20, split=0.21)
    TextSpec(path=path, length=20, split=0.79)
    TextSpec(path=path, length=49, split=0.5)


def test_a_text_is_checked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.txt").write_text("some text " * 200)
    spec = TextSpec(path=str(tmp_path / "a.txt"), unit="word", length=5)
    monkeypatch.setattr("seqtune.tasks.text.files._decode", None)
    assert TextSpec.parse(spec.to_data()) == spec


def answer(prompt: Prompt) -> np.ndarray:
    return np.ones((len(prompt.tokens), prompt.longest), dtype=np.int64)


@pytest.mark.parametrize(
    ("length", "prompt", "longest"),
    [(1, 1, 1), (2, 1, 2), (9, 4, 6), (128, 64, 65), (500, 250, 200)],
)
def test_an_exam_goes_on_with_windows_of_the_validation_part(
    length: int, prompt: int, longest: int, opened
):
    text = "ab" * 3000 + "abcde" * 600
    task = opened(text, length=length, split=0.3)
    asked: list[Prompt] = []

    def complete(given: Prompt) -> np.ndarray:
        asked.append(given)
        return answer(given)

    exam = task.generative_evaluation(100, generator=seeding.generator(0, "generate"))
    found = run(exam, complete=complete)
    (given,) = asked
    assert given.tokens.shape == (4, prompt)
    assert given.tokens.dtype == np.int64
    assert (given.longest, given.stop, given.temperature) == (longest, None, 1.0)
    assert (found.scores, found.tables) == ({}, {})
    assert [sample.title for sample in found.samples] == ["1", "2", "3", "4"]
    for sample, tokens in zip(found.samples, given.tokens, strict=True):
        assert sample.text == task.decode(tokens) + SEAM + "a" * longest
        assert sample.right is None


def test_an_exam_is_the_same_for_the_same_seed_and_no_longer_than_asked_for():
    task = TextTask(TextSpec())
    first, again, other = (
        run(
            task.generative_evaluation(2, generator=seeding.generator(seed, "generate")),
            complete=answer,
        )
        for seed in (0, 0, 1)
    )
    assert len(first.samples) == 2
    assert first.to_data() == again.to_data() != other.to_data()


@pytest.mark.parametrize("unit", ["byte", "char", "word"])
def test_a_description_counts_units_characters_and_windows(unit: str, opened):
    text = "a bé, " * 250 + "new and new " * 20
    task = opened(text, unit=unit, length=9)
    plain = json.loads(json.dumps(task.describe().to_data()))
    figures = plain["text"]
    plural = {"byte": "bytes", "char": "characters", "word": "words"}[unit]
    total = {"byte": len(text.encode()), "char": len(text), "word": 250 * 5 + 20 * 6}[unit]
    valid = round(total * 0.1)
    assert figures["files"] == 1
    assert (figures["bytes"], figures["characters"]) == (len(text.encode()), len(text))
    assert figures[f"training {plural}"] == total - valid
    assert figures[f"validation {plural}"] == valid
    assert figures["training windows"] == total - valid - 9
    assert figures["validation windows"] == valid - 9
    assert figures["vocabulary"] == task.vocab_size
    assert figures["SHA-256"] == task.data_hash
    unknown = figures["unknown share of the validation part"]
    assert unknown == (0 if unit == "byte" else np.mean(task.corpus.valid == 0))
    rows = plain["references on 256 windows of the validation part"]
    characters = len(task.corpus.text.read(start=task.corpus.parts.train_bytes, stop=9999).decode())
    for row in rows:
        nats = row["nats a character" if unit == "char" else f"nats a {unit}"]
        assert row["nats a character"] == pytest.approx(nats * valid / characters)
        assert row["bits a character"] == pytest.approx(row["nats a character"] / np.log(2))
    frequent = plain[f"most frequent {plural} of the training part"]
    assert frequent[0][unit] == "' '"
    assert [row["count"] for row in frequent] == sorted(
        (row["count"] for row in frequent), reverse=True
    )
    assert sum(row["share"] for row in frequent) == pytest.approx(1)
    assert plain["beginning"][0].startswith("a bé, a bé")
    assert "\n".join(plain["a window"])
