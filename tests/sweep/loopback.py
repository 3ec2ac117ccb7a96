"""Ray clusters of several nodes on this machine, each on a loopback address of its own."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

# First, since it sets the environment that Ray reads when it is imported.
from seqtune.sweep.execution.cluster import QUIET  # isort: skip

from ray.cluster_utils import Cluster

from seqtune.runs.directory import run_directories
from tests.waiting import HANG_SECONDS

ROOT = Path(__file__).parents[2]


class Loopback:
    """A cluster whose nodes come and go."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._cluster = Cluster()
        self._last = 1

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def add(self, *, num_cpus: int, num_gpus: int = 0, host: str | None = None) -> str:
        """Starts a node that declares so much, the head first; returns its address, of its own if none is given."""
        self._last += 1
        where = host or f"127.0.0.{self._last}"
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self._environment.items():
                patch.setenv(name, value)
            self._cluster.add_node(
                node_ip_address=where,
                include_dashboard=False,
                # Two processes less a node: nobody reads its logs, and it does not grow.
                include_log_monitor=False,
                no_monitor=True,
                num_cpus=num_cpus,
                num_gpus=num_gpus,
            )
        return where

    def kill(self, where: str) -> None:
        """Ends every process of one node at once, as when its power goes."""
        node = self._node(where)
        started = [each.process.pid for several in node.all_processes.values() for each in several]
        processes = [psutil.Process(pid) for pid in started if psutil.pid_exists(pid)]
        children = [child for each in processes for child in each.children(recursive=True)]
        for each in (*processes, *children):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()

    def end(self) -> None:
        """Ends what is left."""
        for node in self._cluster.list_all_nodes():
            node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)

    def _node(self, where: str) -> Any:
        return next(
            node for node in self._cluster.list_all_nodes() if node.node_ip_address == where
        )


@contextmanager
def loopback(environment: Mapping[str, str] | None = None) -> Iterator[Loopback]:
    """A cluster without nodes, all of whose processes are gone afterwards.

    Args:
        environment: of its processes, beside this one's.
    """
    cluster = Loopback({**QUIET, "RAY_AUTH_MODE": "disabled", **(environment or {})})
    try:
        yield cluster
    finally:
        cluster.end()


def driver(
    file: Path,
    root: Path,
    *,
    address: str | None,
    package: Path = ROOT,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    """`seqtune sweep` in a process of its own, with the package found in `package`."""
    theirs = {**os.environ, "RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(package)}
    return subprocess.Popen(
        [sys.executable, "-m", "seqtune", "sweep", str(file), "--out", str(root)]
        + (["--address", address] if address else []),
        env={**theirs, **(environment or {})},
        cwd=file.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ran_on(root: Path) -> dict[str, str]:
    """Where each run that has begun trains or trained last, by its name."""
    infos = [run.info() for run in run_directories(root / "runs")]
    return {info["run"]: info["node"] for info in infos if "node" in info}


def ended(process: subprocess.Popen[str], *, code: int) -> str:
    """Waits for a driver to end with a status, and without a traceback; returns what it said."""
    try:
        _, err = process.communicate(timeout=HANG_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"still running: {process.communicate()[1]}") from None
    assert process.returncode == code, err
    assert "Traceback" not in err, err
    return err
