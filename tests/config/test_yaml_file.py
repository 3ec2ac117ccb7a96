import math
from pathlib import Path

import pytest

from seqtune.config.errors import Problem, SpecError
from seqtune.config.yaml_file import FileError, parse_value, parse_yaml, read_yaml
from seqtune.runs.spec import RunSpec


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.0e-3", 0.001),
        ("5", 5),
        ("400_000", 400_000),
        ("0x1f", 31),
        ("007", 7),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("no", "no"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("2026-11-21", "2026-11-21"),
        ("1:30", "1:30"),
        ("'1'", "1"),
        ("[1, a]", [1, "a"]),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object):
    read = parse_value(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "f.yaml:3: a: is given twice, in line 1 and in line 3"),
        ("a:\n  - [1", "f.yaml:2: is not valid YAML"),
        ("", "f.yaml:1: must be a mapping of fields, but got None"),
        ("[1, 2]", "f.yaml:1: must be a mapping of fields, but got [1, 2]"),
        ("a: &x {b: *x}", "f.yaml:1: is not valid YAML: a.b contains itself"),
        ("a: !!python/object:os.system x", "f.yaml:1: is not valid YAML: 'x' cannot be read as"),
    ],
)
def test_a_file_that_cannot_be_used_is_located(text: str, message: str):
    with pytest.raises(FileError) as caught:
        parse_yaml(text, name="f.yaml")
    assert str(caught.value).startswith(message)


def test_anchors_and_merges_work():
    text = "base: &b {x: 1, y: 2}\nother: {<<: *b, y: 3}"
    assert parse_yaml(text, name="f").data["other"] == {"x": 1, "y": 3}


def test_problems_are_told_in_the_files_order_with_their_lines():
    source = parse_yaml("a:\n  b: 1\n\nc: 2\n", name="f.yaml")
    error = SpecError([Problem(("c",), "second"), Problem(("a", "b", "x"), "first")])
    assert str(source.error(error)) == "f.yaml:2: a.b.x: first\nf.yaml:4: c: second"


def test_a_value_from_the_command_line_is_not_blamed_on_the_file():
    source = parse_yaml("a: {b: 1}", name="f.yaml").override({"a.b": 7})
    assert source.data == {"a": {"b": 7}}
    assert (
        str(source.error(SpecError([Problem(("a", "b"), "too large")]))) == "--set: a.b: too large"
    )


def test_a_kind_from_the_command_line_is_not_blamed_on_the_file():
    source = parse_yaml("task: cfg\nmodel: {kind: lstm}\n", name="run.yaml")
    with pytest.raises(SpecError) as caught:
        RunSpec.parse(source.override({"model.kind": "transfomer"}).data)
    message = str(source.override({"model.kind": "transfomer"}).error(caught.value))
    assert message == "--set: model.kind: no such kind: 'transfomer'; did you mean transformer?"


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path):
    with pytest.raises(FileError, match="cannot be read: No such file"):
        read_yaml(tmp_path / "missing.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(FileError, match="is not UTF-8 text: byte 3"):
        read_yaml(tmp_path / "binary.yaml")
