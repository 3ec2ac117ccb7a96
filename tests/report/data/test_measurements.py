import math
from pathlib import Path

import numpy as np
import pytest

from seqtune.config.yaml_file import FileError
from seqtune.report.data.measurements import TOGETHER, Measured, read, read_all

HEADER = "epoch,step,tokens,seconds,valid/loss,valid/accuracy\n"
TEXTS = {
    "whole": HEADER + "1,5,100,10.000,0.5,0.25\n2,10,200,20.000,0.25,0.5\n",
    "gaps": HEADER + "1,5,100,10.000,,0.25\n2,10,200,20.000,0.25,\n",
    "odd": HEADER + "1,5,100,10.000,nan,inf\n2,10,200,20.000,-inf,1e-07\n",
    "cut": HEADER + "1,5,100,10.000,0.5,0.25\n2,10,200,20.0",
    "begun": HEADER,
    "empty": "",
    "other": "epoch,step,tokens,seconds,lr\n1,5,9007199254740993,0.001,0.1\n",
    "bare": "epoch,step,tokens,seconds\n1,5,100,10.000\n",
    # Python's float reads it, pyarrow's does not.
    "grouped": HEADER + "1,5,1_000,10.000,0.5,0.25\n",
}


def write(folder: Path, texts: dict[str, str]) -> list[Path]:
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]


def same(one: Measured, other: Measured) -> bool:
    pairs = (
        (one.index, other.index),
        (one.values, other.values),
        (one.given.astype(float), other.given.astype(float)),
    )
    return one.metrics == other.metrics and all(
        np.array_equal(left, right, equal_nan=True) for left, right in pairs
    )


def test_many_files_are_read_as_each_of_them(tmp_path: Path):
    paths = [*write(tmp_path, TEXTS), tmp_path / "missing"]
    for one, path in zip(read_all(paths), paths, strict=True):
        assert same(one, read(path)), path.name


@pytest.mark.parametrize("count", [1, TOGETHER, TOGETHER + 1])
def test_files_keep_their_order_however_many_are_parsed_as_one(tmp_path: Path, count: int):
    line = "1,5,100,10.000,{},\n"
    texts = {str(number): HEADER + line.format(number) * (number % 3) for number in range(count)}
    found = read_all(write(tmp_path, texts))
    assert [each.curve("valid/loss") for each in found] == [
        [float(number)] * (number % 3) for number in range(count)
    ]
    assert all(each.curve("valid/accuracy") == [] for each in found)


def test_numbers_are_read_to_the_last_digit(tmp_path: Path):
    rng = np.random.default_rng(0)
    numbers = [
        float(each) for each in rng.normal(size=2000) * 10.0 ** rng.integers(-300, 300, 2000)
    ]
    rows = "".join(f"{n},1,1,1.0,{each!r},\n" for n, each in enumerate(numbers))
    [path] = write(tmp_path, {"a": HEADER + rows})
    assert read_all([path])[0].curve("valid/loss") == numbers
    assert read(path).curve("valid/loss") == numbers


def test_what_was_measured_and_is_no_number_is_not_missing(tmp_path: Path):
    found = read_all(write(tmp_path, TEXTS))
    gaps, odd = found[1], found[2]
    assert gaps.curve("valid/loss") == [0.25]
    assert math.isnan(odd.curve("valid/loss")[0])
    assert odd.curve("valid/accuracy") == [math.inf, 1e-7]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,5,100,10.000,0.5\n", "bad:3: must have one field per column"),
        ("1,5,100,10.000,0.5,0.25,7\n", "bad:3: must have one field per column"),
        ("\n", "bad:3: must have one field per column"),
        ('1,5,100,10.000,"0.5",0.25\n', "bad: could not convert string to float"),
        ("1,5,100,10.000,half,0.25\n", "bad: could not convert string to float: 'half'"),
    ],
)
def test_a_line_that_is_wrong_is_named_among_many_files(tmp_path: Path, line: str, message: str):
    good = HEADER + "1,5,100,10.000,0.5,0.25\n"
    paths = write(tmp_path, {"first": good, "bad": good + line, "last": good})
    with pytest.raises(FileError, match=message):
        read_all(paths)
    with pytest.raises(FileError, match=message):
        read(paths[1])


def test_a_file_of_something_else_is_named(tmp_path: Path):
    paths = write(tmp_path, {"first": TEXTS["whole"], "bad": "a,b\n1,2\n"})
    with pytest.raises(FileError, match="bad:1: must have one field per column"):
        read_all(paths)
