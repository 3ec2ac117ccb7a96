"""What runs hold: how it is written, for which runs it differs, and how many fit on a cluster's nodes."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtune.config.yaml_file import FileError
from seqtune.sweep.execution.capacity import NODES_SECONDS, Capacity, CapacityError, Node
from seqtune.sweep.execution.driver import no_effect_lines
from seqtune.sweep.execution.open_runs import Events, OpenRuns
from seqtune.sweep.planning.plan import request_kinds
from seqtune.sweep.planning.resources import ResourceRequest, gpu_share
from seqtune.sweep.search.studies import Studies
from seqtune.training.measurement import Measurement
from tests.sweep.sweeps import SMALL, plan_of

GIB = 2.0**30
ARMS = """
name: arms
base:
  task:     {kind: cfg, grammar: cfg3b, height: 1}
  training: {epochs: 2, batches_per_epoch: 5, batch_size: 16}
arms:
  lstm:        {model: {kind: lstm, width: 8}, compare: {model.layers: [1, 2]}}
  transformer: {model: {kind: transformer, width: 16, layers: 1, heads: 2}}
tune: {model.dropout: {uniform: [0.0, 0.4]}}
search: {trials: 2, pruner: none}
"""


def asked(text: str) -> set[ResourceRequest]:
    plan = plan_of(text)
    return set(request_kinds(plan.sweep.resources, cells=plan.cells))


def refused(text: str) -> str:
    with pytest.raises(FileError) as caught:
        plan_of(text)
    return str(caught.value)


def test_without_a_word_a_run_holds_one_core():
    assert asked(SMALL) == {ResourceRequest(cpu=1)}


def test_all_that_can_be_held_is_asked_of_ray_by_its_names():
    text = "resources: {cpu: 2, gpu: 0.25, memory: 4 GiB, accelerator: H200}\n"
    [request] = asked(SMALL + text)
    assert request.bundle() == {
        "CPU": 2,
        "GPU": 0.25,
        "memory": 4 * GIB,
        "accelerator_type:H200": 0.001,
    }
    assert str(request) == "(cpu=2, gpu=0.25, memory=4 GiB, accelerator=H200)"


@pytest.mark.parametrize(
    ("written", "count"),
    [("500 MB", 5e8), ("1.5GiB", 1.5 * GIB), ("4096", None), ("12 B", 12), ("2 TiB", 2048 * GIB)],
)
def test_memory_is_bytes_or_text_with_a_unit(written: str, count: float | None):
    [request] = asked(SMALL + f"resources: {{memory: {written}}}\n")
    assert request.memory == (4096 if count is None else count)


def test_entries_are_laid_over_one_another_where_they_hold():
    text = """resources:
  cpu: 1
  when:
    - {arm: lstm, cpu: 2}
    - {model.layers: {at_least: 2}, gpu: 1}
    - {model.kind: transformer, memory: 1 GiB}
"""
    assert asked(ARMS + text) == {
        ResourceRequest(cpu=2),
        ResourceRequest(cpu=2, gpu=1),
        ResourceRequest(cpu=1, memory=GIB),
    }


def test_a_tuned_value_is_asked_at_its_bounds():
    text = "resources: {when: [{model.dropout: {at_least: 0.3, at_most: 0.5}, cpu: 4}]}\n"
    assert asked(ARMS + text) == {ResourceRequest(cpu=1), ResourceRequest(cpu=4)}


def test_resources_are_no_part_of_a_run():
    text = SMALL + "resources: {cpu: 2, when: [{model.layers: 2, gpu: 1}]}\n"
    plain, more = plan_of(SMALL), plan_of(text)
    assert [cell.fixed() for cell in plain.cells] == [cell.fixed() for cell in more.cells]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "{when: [{model.layer: 2, cpu: 2}]}",
            "resources.when[0].model.layer: no such path in any run; did you mean model.layers?",
        ),
        (
            "{when: [{model.layers: 2, gpus: 1}]}",
            "resources.when[0].gpus: is neither a dotted path, such as model.width, nor one of cpu, gpu, "
            "memory, accelerator, arm; did you mean gpu?",
        ),
        (
            "{when: [{arm: big, cpu: 2}]}",
            "resources.when[0].arm: no such arm: big; this sweep has none",
        ),
        (
            "{when: [{model.width: {atleast: 2}, cpu: 2}]}",
            "resources.when[0].model.width: no such bound: atleast; did you mean at_least?",
        ),
        (
            "{when: [{model.width: {at_least: wide}, cpu: 2}]}",
            "at_least must be a number, but got 'wide'",
        ),
        (
            "{when: [{model.width: [8], cpu: 2}]}",
            "must be a value, or {at_least: n} or {at_most: n}",
        ),
        ("{when: [{cpu: 2}]}", "resources.when[0]: has no condition"),
        ("{when: [{model.width: 8}]}", "resources.when[0]: has no amount"),
        ("{memory: 4 GIGS}", "resources.memory: must be bytes, or text such as 4 GiB (of B, kB"),
        ("{gpu: some}", "resources.gpu: must be a number, at least 0, or auto, but got 'some'"),
        ("{gpu: 1.5}", "resources.gpu: must be a whole number above 1, but got 1.5"),
        ("{cpu: 1.5}", "resources.cpu: must be a whole number above 1, but got 1.5"),
        ("{cpu: 0}", "resources.cpu: must be above 0, but got 0"),
    ],
)
def test_what_is_written_wrong_is_told_at_its_place(written: str, message: str):
    assert message in refused(SMALL + f"resources: {written}\n")


def test_a_misspelt_arm_is_told_with_the_right_one():
    text = ARMS + "resources: {when: [{arm: transfomer, gpu: 1}]}\n"
    assert "no such arm: transfomer; did you mean transformer?" in refused(text)


def test_an_entry_that_holds_of_no_run_is_named():
    text = SMALL + "resources: {when: [{model.layers: 3, gpu: 1}, {model.layers: 2, cpu: 2}]}\n"
    assert no_effect_lines(plan_of(text)) == [
        "resources.when[0]: applies to no run, so it has no effect"
    ]


@pytest.mark.parametrize(
    ("peak", "share"), [(100.0, 1.0), (50.0, 1.0), (40.0, 0.5), (20.0, 0.25), (27.0, 0.5)]
)
def test_as_many_runs_share_a_gpu_as_fit_with_a_fifth_to_spare(peak: float, share: float):
    assert gpu_share(peak, 100.0) == share


@given(st.floats(1e6, 1e12), st.floats(1e9, 1e12))
def test_so_many_runs_never_hold_more_than_four_fifths_of_a_gpu(peak: float, total: float):
    share = gpu_share(peak, total)
    runs = math.floor(1 / share)
    assert 0 < share <= 1
    assert runs == 1 or runs * peak <= 0.8 * total * (1 + 1e-9)
    assert runs == max(1, min(100, math.floor(0.8 * total / peak)))


def test_until_it_is_measured_an_automatic_share_is_a_whole_gpu():
    assert asked(SMALL + "resources: {gpu: auto}\n") == {ResourceRequest(cpu=1, gpu=1)}
    resources = plan_of(SMALL + "resources: {gpu: auto}\n").sweep.resources
    assert resources.request({}, share=0.25) == ResourceRequest(cpu=1, gpu=0.25)
    assert plan_of(SMALL).sweep.resources.request({}, share=0.25) == ResourceRequest(cpu=1)


@pytest.mark.parametrize("measured_before", [False, True])
def test_a_cells_later_runs_share_a_gpu_as_its_first_ones_were_measured(
    tmp_path: Path, measured_before: bool
):
    plan = plan_of(SMALL + "resources: {gpu: auto}\n")

    def sitting() -> OpenRuns:
        events = Events(on_end=lambda proposal, state: None, on_tick=lambda: None)
        nodes = [{"CPU": 8.0, "GPU": 8.0}]
        asked = request_kinds(plan.sweep.resources, cells=plan.cells)
        cluster = Capacity(lambda: nodes, kinds=asked, wait_seconds=None)
        return OpenRuns(
            Studies(plan, root=tmp_path), events=events, capacity=cluster, fail_fast=False
        )

    first = sitting()
    work = first.start("1")
    assert work is not None
    assert work.request.gpu == 1
    proposal = work.proposal
    place = first.studies.position(proposal)
    directory = first.studies.directory(proposal)
    directory.create(
        {"hash": proposal.spec.hash(), "spec": proposal.spec.to_data(), "sweep": place}
    )
    memory = {"held_bytes": 20e9, "total_bytes": 100e9}
    directory.update({"gpu_memory": memory})
    measurement = Measurement(epoch=1, step=5, tokens=80, seconds=1.0, metrics={})
    if measured_before:
        first = sitting()
    else:
        first.on_measurement("1", measurement)
    shares = {
        work.proposal.cell.name: work.request.gpu
        for work in (first.start(str(number)) for number in range(2, 6))
        if work is not None
    }
    assert shares[proposal.cell.name] == 0.25
    assert set(shares.values()) == {0.25, 1.0}


def room(
    *nodes: Node, kinds: tuple[ResourceRequest, ...], wait_seconds: float | None = None
) -> Capacity:
    origins = {name: ("resources", name) for name in ("cpu", "gpu", "memory", "accelerator")}
    return Capacity(lambda: nodes, kinds=dict.fromkeys(kinds, origins), wait_seconds=wait_seconds)


def most_at_once(room: Capacity, request: ResourceRequest) -> int:
    held: list[ResourceRequest] = []
    while room.has_room(held):
        held.append(request)
    return len(held)


@pytest.mark.parametrize(
    ("request_", "runs"),
    [
        (ResourceRequest(cpu=1), 6),
        (ResourceRequest(cpu=0.5), 12),
        (ResourceRequest(cpu=3), 1),
        (ResourceRequest(cpu=1, gpu=0.5), 4),
        (ResourceRequest(cpu=1, gpu=0.3333), 5),
        (ResourceRequest(cpu=1, memory=3 * GIB), 2),
        (ResourceRequest(cpu=1, accelerator="H200"), 2),
    ],
)
def test_room_is_counted_node_by_node(request_: ResourceRequest, runs: int):
    small = {"CPU": 2.0, "GPU": 1.0, "memory": 4 * GIB, "accelerator_type:H200": 1.0}
    large = {"CPU": 4.0, "GPU": 1.0, "memory": 4 * GIB}
    assert most_at_once(room(small, large, kinds=(request_,)), request_) == runs


def test_a_run_that_waits_for_its_place_is_overtaken_by_none():
    small, large = ResourceRequest(cpu=1), ResourceRequest(cpu=2)
    cluster = room({"CPU": 2.0}, kinds=(small, large))
    assert cluster.has_room([small])
    assert not cluster.has_room([small, large])
    assert not cluster.has_room([large])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            ResourceRequest(cpu=1, gpu=3),
            "resources.gpu: no node can hold a run of (cpu=1, gpu=3); the most",
        ),
        (ResourceRequest(cpu=1, accelerator="H100"), "resources.accelerator: no node can hold"),
        (ResourceRequest(cpu=4, gpu=1), "resources: no node can hold a run of (cpu=4, gpu=1)"),
    ],
)
def test_what_no_node_has_is_told_before_anything_runs(kind: ResourceRequest, message: str):
    nodes = ({"CPU": 4.0}, {"CPU": 2.0, "GPU": 2.0, "accelerator_type:H200": 1.0})
    with pytest.raises(CapacityError) as caught:
        room(*nodes, kinds=(ResourceRequest(cpu=1), kind))
    assert str(caught.value).startswith(message)


def test_a_cluster_that_grows_is_asked_for_as_much_again_as_it_holds(
    monkeypatch: pytest.MonkeyPatch,
):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    kind = ResourceRequest(cpu=1)
    nodes: list[Node] = []
    cluster = Capacity(lambda: nodes, kinds={kind: {}}, wait_seconds=100)
    assert most_at_once(cluster, kind) == 1
    nodes.append({"CPU": 3.0})
    now += NODES_SECONDS
    assert most_at_once(cluster, kind) == 6


def test_a_run_whose_node_is_gone_is_waited_for_but_not_for_ever(monkeypatch: pytest.MonkeyPatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    kind = ResourceRequest(cpu=1, gpu=1)
    nodes: list[Node] = [{"CPU": 3.0, "GPU": 1.0}]
    cluster = Capacity(
        lambda: nodes, kinds={kind: {"gpu": ("resources", "gpu")}}, wait_seconds=None
    )
    for gone, there in ((299, 1), (299, 1)):
        nodes[:] = [{"CPU": 3.0}]
        cluster.check([kind])
        now += gone
        cluster.check([kind])
        nodes[:] = [{"CPU": 3.0, "GPU": 1.0}]
        now += there + NODES_SECONDS
        cluster.check([kind])
    nodes[:] = [{"CPU": 3.0}]
    now += NODES_SECONDS
    cluster.check([kind])
    now += 300
    with pytest.raises(CapacityError, match=r"gpu: no node can hold .* and none has come in 300 s"):
        cluster.check([kind])
