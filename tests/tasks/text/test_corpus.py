import io
import json
import logging
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from seqtune.tasks.text import corpus as corpora
from seqtune.tasks.text import files
from seqtune.tasks.text.corpus import Corpus, Encoding, open_corpus
from seqtune.tasks.text.files import Text, documentation, find

TEXT = "the cat, the dog - thé 😀 hen\n\n" * 8 + "a zoo of new words and the hen"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def opened(path: Path, unit: str, *, share: float = 0.1, limit: int | None = None) -> Corpus:
    return open_corpus(
        find(str(path)),
        encoding=Encoding(unit=unit, share=share, limit=limit),  # pyright: ignore
    )


def cached(cache: Path, ending: str) -> Path:
    (found,) = cache.glob(f"*{ending}")
    return found


def test_numbers_go_by_frequency_then_by_code_point(path: Path):
    corpus = opened(path, "char")
    train = TEXT[: corpus.parts.train]
    expected = sorted(Counter(train).items(), key=lambda item: (-item[1], item[0]))
    assert corpus.parts.units == tuple(unit for unit, _ in expected)
    counts = corpus.counts(corpus.train)
    assert counts[1:].tolist() == [count for _, count in expected]
    assert counts[0] == 0


def test_the_vocabulary_is_the_training_parts_alone(path: Path):
    corpus = opened(path, "word")
    text = corpus.vocabulary.decode(corpus.valid)
    assert "zoo" not in corpus.parts.units
    assert "\N{REPLACEMENT CHARACTER} of" not in text
    assert text.endswith("\N{REPLACEMENT CHARACTER} the hen")
    assert (corpus.valid == 0).sum() > 3
    assert (corpus.train > 0).all()


def test_a_limit_leaves_the_most_frequent_units(path: Path):
    whole, limited = opened(path, "word"), opened(path, "word", limit=3)
    assert limited.parts.units == whole.parts.units[:3]
    assert limited.vocabulary.size == 4
    assert (limited.tokens == np.where(whole.tokens > 3, 0, whole.tokens)).all()


@pytest.mark.parametrize("unit", ["byte", "char", "word"])
@pytest.mark.parametrize("share", [0.1, 0.37, 0.9])
def test_the_last_units_are_for_validation(path: Path, unit: str, share: float):
    corpus = opened(path, unit, share=share)
    total = len(corpus.tokens)
    assert len(corpus.valid) == corpus.parts.valid == round(total * share)
    assert len(corpus.train) == corpus.parts.train == total - corpus.parts.valid
    data = TEXT.encode()
    train, valid = data[: corpus.parts.train_bytes], data[corpus.parts.train_bytes :]
    known = [token for token in corpus.train.tolist() if token or unit == "byte"]
    assert corpus.vocabulary.decode(np.array(known)) == train.decode(errors="replace")
    assert corpus.parts.valid_characters == len(valid.decode(errors="ignore"))


@pytest.mark.parametrize("size", [1, 3, 50])
@pytest.mark.parametrize("unit", ["byte", "char", "word"])
def test_the_size_of_the_pieces_makes_no_difference(
    path: Path, unit: str, size: int, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = opened(path, unit)
    tokens = np.array(whole.tokens)
    for file in cache.glob("*"):
        file.unlink()
    monkeypatch.setattr(files, "CHUNK_BYTES", size)
    monkeypatch.setattr(corpora, "CHUNK_TOKENS", size)
    cut = opened(path, unit)
    assert cut.parts == whole.parts
    assert (cut.tokens == tokens).all()


def test_a_single_file_of_bytes_is_mapped_as_it_is(path: Path, cache: Path):
    corpus = opened(path, "byte")
    assert isinstance(corpus.tokens, np.memmap)
    assert corpus.tokens.filename == path
    assert bytes(corpus.tokens) == TEXT.encode()
    assert not cache.exists()


def test_several_files_of_bytes_are_joined_in_the_cache(path: Path, cache: Path):
    path.with_name("text2.txt").write_text("more é")
    corpus = opened(path.with_name("*.txt"), "byte")
    assert bytes(corpus.tokens) == (TEXT + "more é").encode()
    assert isinstance(corpus.tokens, np.memmap)
    assert corpus.tokens.filename == cached(cache, ".npy")


@pytest.mark.parametrize(
    ("count", "type"), [(200, np.uint8), (300, np.uint16), (70_000, np.uint32)]
)
def test_tokens_are_mapped_in_the_smallest_type(
    count: int, type: type, tmp_path: Path, cache: Path
):
    path = tmp_path / "many.txt"
    text = "".join(chr(0x10000 + number) for number in range(count))
    path.write_text(text + text[: count // 4])
    corpus = opened(path, "char")
    assert corpus.tokens.dtype == type
    assert isinstance(corpus.tokens, np.memmap)
    assert corpus.tokens.filename == cached(cache, ".npy")
    assert corpus.vocabulary.size == count + 1
    assert corpus.vocabulary.decode(corpus.tokens) == path.read_text()


def test_a_text_is_encoded_once(path: Path, monkeypatch: pytest.MonkeyPatch):
    first = opened(path, "char")
    monkeypatch.setattr(corpora, "encode", None)
    assert (opened(path, "char").tokens == first.tokens).all()
    with pytest.raises(TypeError):
        opened(path, "char", share=0.2)


def saved(tokens: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, tokens)
    return file.getvalue()


@pytest.mark.parametrize("ending", [".npy", ".json"])
@pytest.mark.parametrize("damage", ["cut", "emptied", "zeroed", "shorter", "another type", "gone"])
def test_a_damaged_cache_is_written_anew(path: Path, cache: Path, ending: str, damage: str):
    whole = opened(path, "char")
    tokens = np.array(whole.tokens)
    file = cached(cache, ending)
    content = file.read_bytes()
    file.unlink()
    index = ending == ".json"
    contents = {
        "cut": content[:-7],
        "emptied": b"",
        "zeroed": bytes(len(content)),
        "shorter": b"{}" if index else saved(tokens[:-1]),
        "another type": b"[1]" if index else saved(tokens.astype(np.uint16)),
    }
    if damage in contents:
        file.write_bytes(contents[damage])
    again = opened(path, "char")
    assert again.tokens.dtype == tokens.dtype
    assert (again.tokens == tokens).all()
    assert again.parts == whole.parts
    assert file.read_bytes() == content
    assert len(list(cache.iterdir())) == 2


def test_a_cache_that_cannot_be_written_is_told_and_done_without(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    usual = opened(path, "word")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        corpus = opened(path, "word")
    assert f"{tmp_path / 'file' / 'seqtune'} cannot be written (" in caplog.text
    assert (corpus.tokens == usual.tokens).all()
    assert not isinstance(corpus.tokens, np.memmap)
    assert not list(tmp_path.glob("**/*.partial"))


def test_a_relative_cache_home_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from seqtune.storage.files import cache_folder

    monkeypatch.setenv("HOME", str(tmp_path))
    for home in ("somewhere", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", home)
        assert cache_folder() == tmp_path / ".cache" / "seqtune"


def test_processes_that_encode_at_once_all_get_the_tokens(path: Path, cache: Path):
    path.write_text("".join(f"{number} words, é! " for number in range(30_000)))
    program = (
        "import sys, zlib\n"
        "from seqtune.tasks.text.corpus import Encoding, open_corpus\n"
        "from seqtune.tasks.text.files import find\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "corpus = open_corpus(find(sys.argv[1]), encoding=Encoding('word', share=0.1))\n"
        "print(zlib.crc32(corpus.tokens.tobytes()), corpus.vocabulary.size)\n"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    found = {worker.communicate()[0] for worker in workers}
    assert all(worker.returncode == 0 for worker in workers)
    assert len(found) == 1
    assert len(list(cache.iterdir())) == 2
    parts = json.loads(cached(cache, ".json").read_text())
    assert parts["train"] + parts["valid"] == 30_000 * 8


def test_a_large_text_is_never_held_whole(path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path):
    monkeypatch.setattr(files, "CHUNK_BYTES", 1 << 14)
    monkeypatch.setattr(corpora, "CHUNK_TOKENS", 1 << 14)
    path.write_text("some words, é! " * 150_000)
    tracemalloc.start()
    opened(path, "char")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 2_000_000
    assert peak < 1_000_000


def test_the_documentation_is_a_corpus():
    corpus = open_corpus(Text(), encoding=Encoding(unit="char", share=0.1))
    assert corpus.vocabulary.decode(corpus.train) == documentation().decode()[: corpus.parts.train]
    assert 80 < corpus.vocabulary.size < 256
