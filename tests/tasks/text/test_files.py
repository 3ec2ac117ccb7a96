import hashlib
import os
from pathlib import Path

import pytest

from seqtune.config.yaml_file import FileError
from seqtune.tasks.text import files
from seqtune.tasks.text.files import Text, documentation, find, measure

MIXED = "aä€😀\n" * 20
"""Characters of one, two, three and four bytes."""


def written(folder: Path, **contents: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.txt").write_bytes(content)


def test_files_of_a_glob_are_joined_in_the_order_of_their_paths(tmp_path: Path):
    written(tmp_path, b=b"second", a=b"first", c=b"")
    written(tmp_path / "below", d=b"third")
    assert find(str(tmp_path / "*.txt")).read(start=0, stop=99) == b"firstsecond"
    text = find(str(tmp_path / "**" / "*.txt"))
    names = [file.name for file in text.files]
    assert names == sorted(names)
    assert len(names) == 4


def test_the_hash_is_that_of_the_files_bytes(tmp_path: Path):
    written(tmp_path, a=b"x\n", b="é".encode())
    measures = measure(find(str(tmp_path / "*.txt")))
    assert measures.sha256 == hashlib.sha256("x\né".encode()).hexdigest()
    assert (measures.size, measures.characters) == (4, 3)


def test_a_file_that_has_changed_is_read_anew(tmp_path: Path):
    written(tmp_path, a=b"one")
    path = tmp_path / "a.txt"
    before = measure(find(str(path)))
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert measure(find(str(path))).sha256 != before.sha256


def test_paths_start_from_home_or_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    written(tmp_path, a=b"text")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert measure(find("~/a.txt")) == measure(find("~/*.txt"))
    monkeypatch.chdir(tmp_path)
    assert measure(find("a.txt")) == measure(find("*.txt")) == measure(find("~/a.txt"))


def test_a_file_whose_name_looks_like_a_glob_is_found(tmp_path: Path):
    written(tmp_path, **{"a[1]": b"this", "a1": b"other"})
    assert find(str(tmp_path / "a[1].txt")).read(start=0, stop=9) == b"this"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_characters_across_pieces_are_whole(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(files, "CHUNK_BYTES", size)
    written(tmp_path, a=MIXED.encode(), b=MIXED.encode())
    pieces = list(find(str(tmp_path / "*.txt")).pieces())
    assert b"".join(chunk for chunk, _ in pieces) == (MIXED * 2).encode()
    assert "".join(decoded for _, decoded in pieces) == MIXED * 2
    assert max(len(chunk) for chunk, _ in pieces) <= size


def test_parts_are_read_across_files(tmp_path: Path):
    written(tmp_path, a=b"0123", b=b"4567", c=b"89")
    text = find(str(tmp_path / "*.txt"))
    for start in range(11):
        for stop in range(start, 12):
            assert text.read(start=start, stop=stop) == b"0123456789"[start:stop]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"one\ntwo\0three\0", "line 2, byte offset 7: 0x00 makes it a binary file"),
        (b"\0", "line 1, byte offset 0: 0x00 makes it a binary file"),
        (b"good\nbad \xff here", "line 2, byte offset 9: 0xff is not UTF-8 text"),
        ("ä\nö\n".encode() + b"\xe2\x82", "line 3, byte offset 6: 0xe2 is not UTF-8 text"),
        (b"\xe2\x82\0", "line 1, byte offset 0: 0xe2 is not UTF-8 text"),
        (b"a\xc3\xc3", "line 1, byte offset 1: 0xc3 is not UTF-8 text"),
        (b"\n\n\xed\xa0\x80", "line 3, byte offset 2: 0xed is not UTF-8 text"),
    ],
)
def test_the_first_byte_that_is_no_text_is_located(
    content: bytes, found: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(files, "CHUNK_BYTES", size)
    written(tmp_path, a=b"fine\n", b=content)
    with pytest.raises(FileError) as caught:
        measure(find(str(tmp_path / "*.txt")))
    assert str(caught.value) == f"{tmp_path / 'b.txt'}: {found}"


def test_a_character_must_not_go_on_in_the_next_file(tmp_path: Path):
    first, second = "ä".encode()[:1], "ä".encode()[1:]
    written(tmp_path, a=first, b=second)
    with pytest.raises(FileError, match=r"a.txt: line 1, byte offset 0: 0xc3"):
        measure(find(str(tmp_path / "*.txt")))


def test_the_documentation_is_this_pythons_own():
    from pydoc_data.topics import topics

    assert len(documentation()) > 300_000
    assert measure(Text()).sha256 == hashlib.sha256(documentation()).hexdigest()
    first, last = topics[min(topics)], topics[max(topics)]
    assert documentation().decode().startswith(first + "\n")
    assert documentation().decode().endswith("\n\n" + last)
    assert find(None) == Text()
