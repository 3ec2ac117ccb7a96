import uuid
from pathlib import Path
from typing import cast

import pytest
from upath import UPath

from seqtune.storage.mirror import LARGE, RunInUseError, open_mirror


@pytest.fixture
def place() -> Path:
    """A place in a store that lives in this process."""
    return cast("Path", UPath(f"memory://{uuid.uuid4()}/run", use_listings_cache=False))


def there(place: Path) -> dict[str, str]:
    found = sorted(path for path in place.rglob("*") if path.is_file())
    return {str(path).removeprefix(f"{place}/"): path.read_text() for path in found}


def test_a_directory_of_this_machine_is_worked_on_where_it_is(tmp_path: Path):
    with open_mirror(tmp_path) as copy:
        assert copy.local == copy.location == tmp_path
        (tmp_path / "a").write_text("1")
        copy.put_back()
    assert (tmp_path / "a").read_text() == "1"


def test_what_is_new_changed_or_gone_is_so_in_the_place(place: Path):
    with open_mirror(place) as copy:
        for name in ("a", "b", "deep/er/c", "a.lock", "b.partial"):
            (copy.local / name).parent.mkdir(parents=True, exist_ok=True)
            (copy.local / name).write_text(name)
        copy.put_back()
        assert there(place) == {"a": "a", "b": "b", "deep/er/c": "deep/er/c"}
        (copy.local / "a").write_text("changed")
        (copy.local / "b").unlink()
        copy.put_back()
        assert there(place) == {"a": "changed", "deep/er/c": "deep/er/c"}
    assert not copy.local.exists()
    with open_mirror(place) as again:
        assert (again.local / "a").read_text() == "changed"
        assert (again.local / "deep/er/c").read_text() == "deep/er/c"


def test_what_did_not_change_is_not_put_back_over_what_somebody_else_wrote(place: Path):
    with open_mirror(place) as copy:
        (copy.local / "run.json").write_text("running")
        copy.put_back()
        (place / "run.json").write_text("stopped")
        (copy.local / "other").write_text("x")
        copy.put_back()
    assert there(place) == {"run.json": "stopped", "other": "x"}


def test_the_checkpoint_is_put_back_before_its_rows_and_the_state_last(
    place: Path, monkeypatch: pytest.MonkeyPatch
):
    names: list[str] = []
    with open_mirror(place) as copy:
        for name in ("run.json", "measurements.csv", "checkpoint.pt", "model.safetensors"):
            (copy.local / name).write_text(name)
        store = type(copy._store)
        inner = store.put_file

        def noted(self: object, here: str, key: str, **more: object) -> None:
            names.append(Path(here).name)
            inner(self, here, key, **more)

        monkeypatch.setattr(store, "put_file", noted)
        copy.put_back()
    assert names == ["model.safetensors", "checkpoint.pt", "measurements.csv", "run.json"]


def test_only_what_is_wanted_comes_and_goes(place: Path):
    for name in ("a", "b", "run/checkpoint.pt", "run/events.out.tfevents.1", "run/run.json"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name)
    with open_mirror(place, only=("a", "missing")) as copy:
        assert [path.name for path in copy.local.iterdir()] == ["a"]
        (copy.local / "a").write_text("new")
        (copy.local / "foreign").write_text("x")
        copy.put_back()
    assert (place / "a").read_text() == "new"
    assert not (place / "foreign").exists()
    with open_mirror(place, without=LARGE) as copy:
        names = {str(path.relative_to(copy.local)) for path in copy.local.rglob("*")}
        assert names == {"a", "b", "run", "run/run.json"}
        copy.put_back()
    assert (place / "run/checkpoint.pt").exists()


def test_who_fetches_a_fenced_copy_takes_it_from_whoever_had_it(place: Path):
    with open_mirror(place, fenced=True) as first:
        (first.local / "a").write_text("first")
        first.put_back()
        with open_mirror(place, fenced=True) as second:
            (first.local / "a").write_text("late")
            with pytest.raises(RunInUseError):
                first.put_back()
            (second.local / "a").write_text("second")
            second.put_back()
    assert (place / "a").read_text() == "second"


def test_errors_name_the_place_and_not_the_copy(place: Path):
    with open_mirror(place) as copy:
        assert copy.restore_paths(f"{copy.local}/run.json: is torn") == f"{place}/run.json: is torn"
