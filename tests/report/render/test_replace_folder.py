from pathlib import Path

import pytest

from seqtune.report.render.replace_folder import replaced


def write(folder: Path, **texts: str) -> None:
    with replaced(folder) as new:
        for name, text in texts.items():
            (new / name).write_text(text)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_new_report_replaces_the_old_one_whole(tmp_path: Path):
    write(tmp_path / "report", a="1", b="1")
    write(tmp_path / "report", a="2")
    assert names(tmp_path / "report") == ["a"]
    assert (tmp_path / "report" / "a").read_text() == "2"
    assert names(tmp_path) == ["report"]


def test_a_crash_leaves_the_old_report(tmp_path: Path):
    write(tmp_path / "report", a="1")
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "report", **{"a": "half", "no/such/folder": "b"})
    assert (tmp_path / "report" / "a").read_text() == "1"
    assert names(tmp_path) == ["report"]


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path):
    write(tmp_path / "report", a="1")
    (tmp_path / "report" / "notes").write_text("mine")
    (tmp_path / "report").rename(tmp_path / ".report.old")
    write(tmp_path / "report", a="2")
    assert names(tmp_path / "report") == ["a", "notes"]


def test_a_file_of_somebody_else_stays(tmp_path: Path):
    write(tmp_path / "report", a="1")
    (tmp_path / "report" / "deep").mkdir()
    (tmp_path / "report" / "deep" / "notes.txt").write_text("mine")
    for text in ("2", "3"):
        write(tmp_path / "report", a=text)
    assert (tmp_path / "report" / "deep" / "notes.txt").read_text() == "mine"


def test_a_file_of_ours_that_was_changed_is_kept_beside_the_new_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    write(tmp_path / "report", a="1")
    (tmp_path / "report" / "a").write_text("changed")
    for text in ("2", "3"):
        write(tmp_path / "report", a=text)
    assert names(tmp_path / "report") == ["a", "a.kept"]
    assert (tmp_path / "report" / "a").read_text() == "3"
    assert (tmp_path / "report" / "a.kept").read_text() == "changed"
    assert "changed by hand: kept as a.kept" in caplog.text


def test_a_report_folder_made_by_hand_stays(tmp_path: Path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "a").write_text("mine")
    write(tmp_path / "report", a="1")
    assert (tmp_path / "report" / "a.kept").read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "report").write_text("mine")
    with pytest.raises(ValueError, match="must be a folder"):
        write(tmp_path / "report", a="1")
    assert (tmp_path / "report").read_text() == "mine"
