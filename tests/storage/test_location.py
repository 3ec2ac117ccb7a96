from pathlib import Path

import pytest
from upath import UPath

from seqtune.config.yaml_file import FileError
from seqtune.storage.location import hide_credentials, is_remote, parse_location, report_unreachable


def test_a_directory_is_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for text in ("results/a", str(tmp_path / "results/a"), f"file://{tmp_path}/results/a"):
        assert parse_location(text) == tmp_path / "results/a"
        assert not is_remote(parse_location(text))


def test_a_url_stays_one():
    place = parse_location("s3://bucket/folder/")
    assert is_remote(place)
    assert str(place / "runs" / "lr=1_a b") == "s3://bucket/folder/runs/lr=1_a b"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("s3:///folder", "names no bucket; write s3://BUCKET/FOLDER"),
        ("nowhere://bucket/folder", "is not a location: Unsupported filesystem: 'nowhere'"),
        ("gs://bucket/folder", "pip install 'seqtune[gs]'"),
    ],
)
def test_what_is_no_place_is_told(text: str, line: str):
    with pytest.raises(FileError) as told:
        parse_location(text)
    assert line in str(told.value)
    assert str(told.value).startswith(text)


def test_a_password_in_a_url_is_refused_and_not_shown():
    with pytest.raises(FileError) as told:
        parse_location("s3://me:geheim@bucket/folder")
    assert "geheim" not in str(told.value)
    assert "AWS_SECRET_ACCESS_KEY" in str(told.value)
    assert hide_credentials("s3://me:geheim@bucket/a@b") == "s3://bucket/a@b"


def test_only_what_comes_out_of_a_store_is_told_as_unreachable(tmp_path: Path):
    nowhere = UPath("s3://bucket/x", endpoint_url="http://127.0.0.1:9", key="a", secret="b")
    with pytest.raises(FileError, match="cannot be reached"), report_unreachable(nowhere):  # pyright: ignore[reportArgumentType]
        nowhere.read_text()
    with pytest.raises(ZeroDivisionError), report_unreachable(nowhere):  # pyright: ignore[reportArgumentType]
        _ = 1 / 0
    with pytest.raises(FileNotFoundError), report_unreachable(tmp_path):
        (tmp_path / "nothing").read_text()
