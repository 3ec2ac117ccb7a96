"""A worker of the cluster: trains one run and records it in its directory."""

import json
from typing import Any

from ray import tune
from ray.util import get_node_ip_address

from seqtune.runs.directory import RunDirectory
from seqtune.runs.spec import Limits, RunSpec
from seqtune.storage.location import parse_location
from seqtune.storage.mirror import Mirror, open_mirror


def placement(config: dict[str, Any]) -> tune.PlacementGroupFactory:
    """Return the resources of a run; in this module since Tune pickles it with `train`."""
    return tune.PlacementGroupFactory([config["bundle"]])


def train(config: dict[str, Any]) -> None:
    """Do one run in a worker. How it ends is written to its directory."""
    import torch

    torch.set_num_threads(max(1, int(config["bundle"]["CPU"])))
    with open_mirror(parse_location(config["directory"]), fenced=True) as copy:
        _record(config, copy=copy)


def _record(config: dict[str, Any], *, copy: Mirror) -> None:
    """Train, and report every measurement once the run's directory has it."""
    import torch

    from seqtune.runs.record import record

    directory, metric = RunDirectory(copy.local), config["metric"]
    measurements = record(
        RunSpec.parse(json.loads(config["spec"])),
        directory=directory,
        metric=metric,
        sweep=config["sweep"],
        note=config["sweep"]["question"],
        limits=Limits.parse(config["limits"]),
        keep=config["keep"],
        node=get_node_ip_address(),
    )
    try:
        for measurement in measurements:
            if torch.cuda.is_available() and config["bundle"].get("GPU") == 1:
                free, total = torch.cuda.mem_get_info()
                memory = {"held_bytes": total - free, "total_bytes": total}
                directory.update({"gpu_memory": memory})
            copy.put_back()
            # If the trial is stopped, `report` raises SystemExit.
            tune.report(
                {
                    "epoch": measurement.epoch,
                    "step": measurement.step,
                    "tokens": measurement.tokens,
                    "seconds": measurement.seconds,
                    # Only the sweep's metric: Tune keeps statistics of every value of every trial.
                    **{
                        name: value for name, value in measurement.metrics.items() if name == metric
                    },
                }
            )
        copy.put_back()
    finally:
        measurements.close()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
