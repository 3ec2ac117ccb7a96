"""Sweeps on clusters of several nodes, and what may happen to these: real Ray, on loopback addresses."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from seqtune.runs.directory import run_directories
from seqtune.training.measurement import Measurement
from tests.sweep.loopback import ROOT, driver, ended, loopback, ran_on
from tests.sweep.servers import free_port
from tests.sweep.sweeps import SMALL, write
from tests.waiting import HANG_SECONDS, listens, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

LONG = SMALL.replace("epochs: 4, batches_per_epoch: 5", "epochs: 6, batches_per_epoch: 600")
"""Its runs take longer than a worker takes to start: Tune gives a run that waits for a new worker to the first
one that is free."""
TOKEN = "0123456789abcdef0123456789abcdef"


def measured(root: Path) -> dict[str, list[Measurement]]:
    return {run.name: run.measurements() for run in run_directories(root / "runs")}


def check_all_ended(root: Path, *, runs: int) -> None:
    directories = run_directories(root / "runs")
    assert len(directories) == runs
    for run in directories:
        epochs = [each.epoch for each in run.measurements()]
        assert epochs == list(range(1, len(epochs) + 1))
        assert run.info()["state"] in ("finished", "stopped")


def test_a_sweep_spreads_over_nodes_that_come_and_go(tmp_path: Path):
    file, root = write(tmp_path / "s.yaml", LONG), tmp_path / "results"
    with loopback() as cluster:
        first, second = cluster.add(num_cpus=1), cluster.add(num_cpus=1, num_gpus=1)
        process = driver(file, root, address=cluster.address)
        wait_until(lambda: set(ran_on(root).values()) == {first, second}, process=process)
        third = cluster.add(num_cpus=1)
        wait_until(lambda: set(ran_on(root).values()) == {first, second, third}, process=process)

        def under_way() -> list[str]:
            return [
                run.name
                for run in run_directories(root / "runs")
                if run.checkpoint.exists() and run.info().get("node") == second
            ]

        wait_until(lambda: bool(under_way()), process=process)
        cluster.kill(second)
        before, lost = measured(root), under_way()
        err = ended(process, code=0)
        for name in lost:
            assert f"{name}: its worker failed or died; another resumes the run" in err
        check_all_ended(root, runs=12)
        after = measured(root)
        # Rows hold wall times, so a row that is the same was not measured again.
        assert {name: after[name][: len(rows)] for name, rows in before.items()} == before
        assert lost
        assert all(ran_on(root)[name] != second for name in lost)


def test_after_the_head_node_was_lost_the_same_command_goes_on(tmp_path: Path):
    text = LONG.replace("trials: 4", "trials: 2").replace("seeds: 2", "seeds: 1")
    file, root = write(tmp_path / "s.yaml", text), tmp_path / "results"
    with loopback() as cluster:
        head = cluster.add(num_cpus=1)
        cluster.add(num_cpus=1)
        process = driver(file, root, address=cluster.address)
        wait_until(lambda: len(list((root / "runs").glob("*/checkpoint.pt"))) > 1, process=process)
        cluster.kill(head)
        # Before Ray would end it, after a minute and without a word.
        err = ended(process, code=2)
        assert "is gone" in err
        assert err.rstrip().endswith("once there is one again, the same command resumes the sweep")
        before = measured(root)
    with loopback() as cluster:
        cluster.add(num_cpus=2)
        ended(driver(file, root, address=cluster.address), code=0)
    check_all_ended(root, runs=6)
    after = measured(root)
    assert {name: after[name][: len(rows)] for name, rows in before.items()} == before


STUCK = """
import sys
import time
from seqtune.sweep.execution.cluster import cluster, head
import ray

with cluster(sys.argv[1]), head().watch(lambda line: print(line, flush=True)):
    print("there", flush=True)
    sys.stdin.readline()
    ray.cluster_resources()
    time.sleep(600)
"""
"""Calls Ray once a line has come, and does not look after the head itself."""


def test_a_driver_that_waits_in_ray_for_a_head_that_is_gone_ends_too():
    with loopback() as cluster:
        head = cluster.add(num_cpus=1)
        with subprocess.Popen(
            [sys.executable, "-c", STUCK, cluster.address],
            env={**os.environ, "RAY_AUTH_MODE": "disabled"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "there\n"
            cluster.kill(head)
            # Ray itself would end it after a minute.
            said, _ = process.communicate("\n", timeout=HANG_SECONDS)
    assert process.returncode == 2
    assert f"the head of the Ray cluster at {cluster.address} is gone" in said


def test_a_run_whose_worker_the_memory_monitor_ends_goes_on_in_halves_and_fails_alone(
    tmp_path: Path,
):
    text = SMALL.replace("model.layers: [1, 2]", "model.width: [8, 12000]")
    text = text.replace("trials: 4", "trials: 1").replace("seeds: 2", "seeds: 1")
    file, root = (
        write(tmp_path / "s.yaml", f"{text}limits: {{restarts: 1}}\n"),
        tmp_path / "results",
    )
    # The monitor counts what other tests hold, and ends workers of neighbours: so one run at a time, and one
    # that takes far more than these.
    most = psutil.virtual_memory().percent / 100 + 0.25
    assert (1 - most) * psutil.virtual_memory().total > 4 * 2**30, "too little memory for this test"
    monitor = {
        "RAY_memory_monitor_refresh_ms": "250",
        "RAY_memory_usage_threshold": f"{most:.3f}",
    }
    with loopback(monitor) as cluster:
        cluster.add(num_cpus=1)
        ended(driver(file, root, address=cluster.address), code=1)
    infos = [run.info() for run in run_directories(root / "runs")]
    ways = {
        width: [
            (info["state"], info["reason"])
            for info in infos
            if info["spec"]["model"]["width"] == width
        ]
        for width in (8, 12000)
    }
    assert [state for state, _ in ways[8]] == ["finished"] * 2
    reason = "oom: its worker was lost 2 times; its node was low on memory"
    assert ways[12000] == [("failed", reason)]
    assert [info["micro_batch"] for info in infos if info["state"] == "failed"] == [8]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder with a copy of the package, no checkout, in which clearing up after a run takes long."""
    folder = tmp_path / "copy"
    shutil.copytree(ROOT / "seqtune", folder / "seqtune")
    worker = folder / "seqtune" / "sweep" / "execution" / "worker.py"
    text = worker.read_text()
    quick = "        measurements.close()\n"
    assert text.count(quick) == 1
    worker.write_text(text.replace(quick, f"{quick}        __import__('time').sleep(4)\n"))
    return folder


def test_workers_run_the_drivers_own_source_and_may_clear_up_slowly(tmp_path: Path, copied: Path):
    text = SMALL.replace("[1, 2]", "[1]")
    file, root = write(tmp_path / "s.yaml", text), tmp_path / "results"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with loopback({"PYTHONPATH": "", "TUNE_FUNCTION_THREAD_TIMEOUT_S": "2"}) as cluster:
        cluster.add(num_cpus=2)
        ended(driver(file, root, address=cluster.address, package=copied), code=0)
    check_all_ended(root, runs=6)
    decisions = [json.loads(line) for line in (root / "decisions.jsonl").read_text().splitlines()]
    assert "stopped" in [each["event"] for each in decisions]
    # The copy is no checkout, and neither is what the workers were sent of it.
    assert {run.info()["git_commit"] for run in run_directories(root / "runs")} == {None}


@contextmanager
def started(
    address: str,
    *,
    environment: Mapping[str, str],
    client: str | None = None,
    dashboard: int | None = None,
) -> Iterator[None]:
    """A head node as `ray start` makes it.

    Args:
        address: of the node.
        environment: of its processes, beside this one's.
        client: where it lets drivers in that are outside of the cluster: `ray://127.0.0.1:PORT`.
        dashboard: port of loopback where it takes jobs.
    """
    host, _, port = address.partition(":")
    words = [f"--node-ip-address={host}", f"--port={port}", "--num-cpus=2", "--block"]
    words += ["--min-worker-port=0", "--max-worker-port=0"]
    words.append(f"--include-dashboard={'false' if dashboard is None else 'true'}")
    if dashboard is not None:
        words += ["--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
        # Every node has an agent that listens, and jobs go through it: at one port, unless it is told another.
        words.append(f"--dashboard-agent-listen-port={free_port()}")
    if client is not None:
        words.append(f"--ray-client-server-port={client.rpartition(':')[2]}")
    ray = Path(sys.executable).with_name("ray")
    with subprocess.Popen(
        [ray, "start", "--head", *words],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as node:
        ports = [int(client.rpartition(":")[2])] if client is not None else []
        ports += [dashboard] if dashboard is not None else []
        there = [(host, int(port)), *(("127.0.0.1", each) for each in ports)]
        wait_until(lambda: all(map(listens, there)))
        try:
            yield
        finally:
            node.terminate()  # it ends the node's processes first


def test_a_cluster_with_a_token_is_told_and_lets_in_who_has_it(tmp_path: Path):
    file, root = write(tmp_path / "s.yaml", SMALL.replace("[1, 2]", "[1]")), tmp_path / "results"
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    with socket.create_server(("127.0.0.9", 0)) as free:
        address = f"127.0.0.9:{free.getsockname()[1]}"
    with started(address, environment=token):
        err = ended(driver(file, root, address=address), code=2)
        assert f"no Ray cluster at {address}" in err
        assert "if it asks for a token, put that into RAY_AUTH_TOKEN" in err
        ended(driver(file, root, address=address, environment=token), code=0)
    check_all_ended(root, runs=6)


def test_a_cluster_on_127_0_0_1_is_found_there(tmp_path: Path):
    """Ray itself looks for it at this machine's address in the network, for minutes."""
    text = SMALL.replace("[1, 2]", "[1]").replace("trials: 4", "trials: 1")
    file = write(tmp_path / "s.yaml", text.replace("seeds: 2", "seeds: 0"))
    with loopback() as cluster:
        assert cluster.add(num_cpus=1, host="127.0.0.1") == "127.0.0.1"
        port = cluster.address.rpartition(":")[2]
        for place in (f"127.0.0.1:{port}", f"localhost:{port}"):
            root = tmp_path / place.partition(":")[0]
            ended(driver(file, root, address=place), code=0)
            check_all_ended(root, runs=1)
            assert set(ran_on(root).values()) == {"127.0.0.1"}
    ended(driver(file, tmp_path / "none", address=f"127.0.0.1:{port}"), code=2)


LISTENING = """
import json, os, psutil
from seqtune.sweep.execution.cluster import cluster
with cluster(None):
    import ray
    @ray.remote
    def work(): return 1
    assert ray.get(work.remote()) == 1
    ports = [
        (connection.laddr.ip, connection.laddr.port)
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]
        for connection in process.net_connections(kind="inet")
        if connection.status == "LISTEN"
    ]
    address = ray.get_runtime_context().gcs_address
    mode = os.environ["RAY_AUTH_MODE"]
    print(json.dumps({"ports": ports, "address": address, "mode": mode}), flush=True)
    input()
print(json.dumps([name for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN") if name in os.environ]))
"""
"""Prints where a local cluster listens, and waits for a line."""


def test_a_local_cluster_listens_on_loopback_and_to_those_with_its_token(tmp_path: Path):
    file = write(tmp_path / "s.yaml", SMALL)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment = {**ours, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENING],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    found = json.loads(process.stdout.readline())
    assert len(found["ports"]) > 4
    assert {ip.removeprefix("::ffff:") for ip, _ in found["ports"]} == {"127.0.0.1"}
    assert found["mode"] == "token"
    stranger = driver(file, tmp_path / "results", address=found["address"])
    err = ended(stranger, code=2)
    assert f"no Ray cluster at {found['address']}" in err
    out, _ = process.communicate("\n", timeout=HANG_SECONDS)
    assert json.loads(out) == []
    # No token is left in the home directory, for later clusters to ask for.
    assert not (tmp_path / ".ray").exists()


def test_runs_of_different_needs_share_a_cluster(tmp_path: Path):
    needs = """resources:
  cpu: 0.5
  when:
    - {model.layers: 2, cpu: 1, gpu: 1}
"""
    file, root = write(tmp_path / "s.yaml", SMALL + needs), tmp_path / "results"
    with loopback({"PYTHONPATH": ""}) as cluster:
        cluster.add(num_cpus=1)
        with_gpu = cluster.add(num_cpus=1, num_gpus=1)
        ended(driver(file, root, address=cluster.address), code=0)
    check_all_ended(root, runs=12)
    words = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    commit = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    for run in run_directories(root / "runs"):
        info = run.info()
        if info["spec"]["model"]["layers"] == 2:
            assert info["node"] == with_gpu
        # Workers are sent the driver's source, and say of which commit it is.
        assert info["git_commit"].removesuffix("+changes") == commit


def test_a_share_of_a_gpu_that_nobody_can_measure_stays_a_whole_one(tmp_path: Path):
    text = SMALL.replace("[1, 2]", "[1]") + "resources: {cpu: 0.1, gpu: auto}\n"
    file, root = write(tmp_path / "s.yaml", text), tmp_path / "results"
    with loopback() as cluster:
        cluster.add(num_cpus=2, num_gpus=1)
        ended(driver(file, root, address=cluster.address), code=0)
    check_all_ended(root, runs=6)
    open_runs = most = 0
    for line in (root / "decisions.jsonl").read_text().splitlines():
        open_runs += {"proposed": 1, "ended": -1}.get(json.loads(line)["event"], 0)
        most = max(most, open_runs)
    assert most == 1


def servers(head: str) -> set[int]:
    """The processes that a cluster's proxy has for its clients."""
    words = {"--mode=specific-server", f"--address={head}"}
    found = set()
    for each in psutil.process_iter():
        with suppress(psutil.NoSuchProcess):
            if words <= set(each.cmdline()):
                found.add(each.pid)
    return found


def test_a_driver_outside_of_a_cluster_drives_it_from_within(tmp_path: Path):
    """By ray://: interrupted once, gone on with by the same command, and let in at the second time of asking."""
    text = LONG.replace("trials: 4", "trials: 3").replace("seeds: 2", "seeds: 1")
    file, root = write(tmp_path / "s.yaml", text), tmp_path / "results"
    outside, head = f"ray://127.0.0.1:{free_port()}", f"127.0.0.9:{free_port()}"
    # As docs/cluster says: without it, Ray's proxy loses the processes of some clients.
    proxy = {"RAY_AUTH_MODE": "disabled", "GRPC_ENABLE_FORK_SUPPORT": "0"}
    with started(head, environment=proxy, client=outside):
        process = driver(file, root, address=outside)
        wait_until(lambda: len(list((root / "runs").glob("*/checkpoint.pt"))) > 1, process=process)
        process.send_signal(signal.SIGINT)
        err = ended(process, code=130)
        assert f"--address {outside}" in err.splitlines()[-1]
        before = measured(root)
        assert "8/8" in ended(driver(file, root, address=outside), code=0)
        other = write(tmp_path / "other.yaml", LONG.replace("name: small", "name: other"))
        theirs = servers(head)
        impatient = {"RAY_CLIENT_RECONNECT_GRACE_PERIOD": "1"}
        process = driver(other, root, address=outside, environment=impatient)
        wait_until(lambda: bool(servers(head) - theirs), process=process)
        for pid in servers(head) - theirs:
            os.kill(pid, signal.SIGKILL)
        told = ended(process, code=2).splitlines()
        assert (
            len([line for line in told if f"note: {outside} refused the connection (" in line]) == 1
        )
        assert told[-1].startswith(f"{root}: belongs to the sweep small")
    check_all_ended(root, runs=8)
    after = measured(root)
    assert {name: after[name][: len(rows)] for name, rows in before.items()} == before
    assert (root / "report" / "report.md").exists()
