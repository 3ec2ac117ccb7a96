"""What the tests of disturbed sweeps are held against."""

from pathlib import Path

import pytest

from tests.sweep.commands import command
from tests.sweep.sweeps import UNDISTURBED, write
from tests.waiting import HANG_SECONDS


@pytest.fixture(scope="session")
def alone(ray_address: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the sweep `UNDISTURBED`, left alone."""
    folder = tmp_path_factory.mktemp("alone")
    file, root = write(folder / "s.yaml", UNDISTURBED), folder / "results"
    process = command("sweep", file, "--out", root, address=ray_address)
    _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0, err
    return root
