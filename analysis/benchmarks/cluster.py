"""A sweep on a Ray cluster of several nodes, of which one joins late and one is lost.

All nodes are on this machine, each on a loopback address of its own with one declared core and GPU, so this
says how long a sweep takes to notice what happens to a cluster, and nothing of speed. It prints

- the seconds until the first measurement of the sweep, and until the first of a node that joined;
- the seconds from the loss of a node until a run that it was training is measured again elsewhere;
- the epochs that were trained twice in the rows of measurements (there must be none);
- the runs by the node on which each ended.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

# First, since it sets the environment that Ray reads when it is imported.
from seqtune.sweep.execution.cluster import QUIET  # isort: skip

from ray.cluster_utils import Cluster

from seqtune.runs.directory import RunDirectory, run_directories

SWEEP = """
name: nodes
base:
  task:       {kind: cfg, grammar: cfg3b, height: 1}
  model:      {kind: lstm, width: 16, embedding: 8}
  training:   {epochs: 8, batches_per_epoch: 600, batch_size: 16}
  evaluation: {strings: 64, generate: 16}
compare:
  model.layers: [1, 2]
tune:
  optimizer.lr: {log: [3.0e-3, 1.0e-1]}
search:    {trials: 4, pruner: none}
confirm:   {seeds: 2}
resources: {cpu: 1, gpu: 1}
"""


def main() -> None:
    """Runs the sweep and prints what was noticed when."""
    os.environ |= {**QUIET, "RAY_AUTH_MODE": "disabled"}
    cluster = Cluster()
    nodes = {address: add(cluster, address) for address in ("127.0.0.2", "127.0.0.3")}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "results"
        file = Path(folder) / "nodes.yaml"
        file.write_text(SWEEP)
        words = ["sweep", str(file), "--out", str(root), "--address", cluster.address]
        started = time.monotonic()
        driver = subprocess.Popen([sys.executable, "-m", "seqtune", *words])
        try:
            watch(cluster, nodes, root=root, started=started)
            driver.wait()
        finally:
            driver.kill()
            for node in cluster.list_all_nodes():
                node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)
        print("runs by node:", dict(Counter(run.info()["node"] for run in runs(root))))


def watch(cluster: Cluster, nodes: dict[str, Any], *, root: Path, started: float) -> None:
    """Adds a node, then ends another one, and prints how long it took until that showed."""
    until(lambda: any(run.measurements() for run in runs(root)))
    print(f"first measurement after {time.monotonic() - started:.1f} s")
    until(lambda: on(root, "127.0.0.3") != [])

    nodes["127.0.0.4"] = add(cluster, "127.0.0.4")
    joined = time.monotonic()
    until(lambda: any(run.measurements() for run in on(root, "127.0.0.4")))
    print(f"first measurement on a node that joined after {time.monotonic() - joined:.1f} s")

    until(lambda: any(run.checkpoint.exists() for run in on(root, "127.0.0.3")))
    end(nodes["127.0.0.3"])
    lost = time.monotonic()
    before = {
        run.name: run.measurements() for run in on(root, "127.0.0.3") if run.checkpoint.exists()
    }
    again = [RunDirectory(root / "runs" / name) for name in before]
    until(lambda: any(len(run.measurements()) > len(before[run.name]) for run in again))
    print(f"a lost run was measured again after {time.monotonic() - lost:.1f} s")
    until(lambda: all(run.info()["state"] != "running" for run in again))
    # Rows hold wall times: one that is the same was not trained again.
    twice = sum(
        there != here
        for run in again
        for there, here in zip(before[run.name], run.measurements(), strict=False)
    )
    print(f"epochs trained twice: {twice} of {sum(map(len, before.values()))}")


def add(cluster: Cluster, address: str) -> Any:
    """Starts a node on a loopback address."""
    return cluster.add_node(
        num_cpus=1, num_gpus=1, node_ip_address=address, include_dashboard=False
    )


def end(node: Any) -> None:
    """Ends every process of one node at once, as when its power goes."""
    started = [each.process.pid for several in node.all_processes.values() for each in several]
    found = [psutil.Process(pid) for pid in started if psutil.pid_exists(pid)]
    for process in [*found, *(child for each in found for child in each.children(recursive=True))]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def runs(root: Path) -> list[RunDirectory]:
    """The runs that have begun to train."""
    return [run for run in run_directories(root / "runs") if "node" in run.info()]


def on(root: Path, address: str) -> list[RunDirectory]:
    """The runs that train or trained last on a node."""
    return [run for run in runs(root) if run.info()["node"] == address]


def until(condition: Callable[[], bool]) -> None:
    """Waits until something holds, for five minutes at most."""
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, "that took longer than five minutes"
        time.sleep(0.05)


if __name__ == "__main__":
    main()
