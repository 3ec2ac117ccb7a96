"""What every test shares: shapes checked at run time, one thread, a cache, one Ray cluster a session."""

import logging
from collections import Counter
from collections.abc import Iterator

from jaxtyping import install_import_hook

install_import_hook(["seqtune.models", "seqtune.training"], "beartype.beartype")

import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder of the session's own, for this process and all that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """Address of the session's local Ray cluster, which this process is connected to.

    It has two cores, and declares one GPU that nothing here uses: enough for placing runs by fractions. As a
    sweep's own it listens on loopback alone.
    """
    # First, since it sets the environment that Ray reads when it is imported.
    from seqtune.sweep.execution.cluster import on_loopback  # isort: skip

    import ray

    with on_loopback():
        ray.init(
            address="local",
            num_cpus=2,
            num_gpus=1,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several processes (`make test`) a file's tests stay together, and all of the session's cluster.

    Those that start clusters and servers of their own go where there is room. No process shall wait for another in
    the end, so that what takes long comes first: the tests of the session's cluster, which one process does by
    itself, those with clusters or a time limit of their own, and then the files with the most tests.
    """
    groups: dict[pytest.Item, str] = {}
    for item in items:
        if "ray_address" in getattr(item, "fixturenames", ()):
            groups[item] = "ray"
        elif item.get_closest_marker("cluster") is None:
            groups[item] = str(item.path)
    sizes = Counter(groups.values())
    items.sort(
        key=lambda item: (
            groups.get(item) != "ray",
            not any(map(item.get_closest_marker, ("cluster", "timeout"))),
            -sizes[groups.get(item, "")],
        )
    )
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Where groups are lost, as with pytest 9.2 and xdist 3.8, every process makes all fixtures, and nothing says so."""
    if session.config.getoption("loadgroup", False):
        for item in session.items:
            if item.get_closest_marker("xdist_group") and "@" not in item.nodeid:
                raise pytest.UsageError("this pytest and this pytest-xdist lose groups of tests")
