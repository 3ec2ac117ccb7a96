"""What the tests of texts share: a cache of their own, and texts that lie in files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from seqtune.tasks.text.spec import TextSpec
from seqtune.tasks.text.task import TextTask


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that holds what is cached."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "seqtune"


Opener = Callable[..., TextTask]


@pytest.fixture
def opened(tmp_path: Path) -> Opener:
    """The task of a text, which is written to a file; fields of the spec by name."""

    def build(text: str | bytes, **fields: object) -> TextTask:
        path = tmp_path / "text.txt"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return TextTask(TextSpec.parse({"kind": "text", "path": str(path), **fields}))

    return build
