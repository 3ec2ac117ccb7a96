"""Small sweeps that tests share."""

from pathlib import Path

from seqtune.config.yaml_file import parse_yaml
from seqtune.sweep.execution.driver import read_plan
from seqtune.sweep.planning.plan import Plan

SMALL = """
name: small
question: Is it small?
metric: valid/excess
base:
  task:       {kind: cfg, grammar: cfg3b, height: 1}
  model:      {kind: lstm, layers: 1, width: 8, embedding: 8}
  training:   {epochs: 4, batches_per_epoch: 5, batch_size: 16}
  evaluation: {strings: 64, generate: 16}
compare:
  model.layers: [1, 2]
tune:
  optimizer.lr: {log: [3.0e-3, 1.0e-1]}
search:  {trials: 4, pruner: {kind: asha, grace_period: 1, reduction_factor: 2}}
confirm: {seeds: 2}
"""

UNDISTURBED = (
    SMALL.replace("trials: 4, ", "trials: 6, sampler: random, ")
    .replace("pruner: {kind: asha, grace_period: 1, reduction_factor: 2}", "pruner: none")
    .replace("batches_per_epoch: 5", "batches_per_epoch: 60")
)
"""Nothing in it depends on what is faster: without a pruner, and with proposals that look at no results."""


def plan_of(text: str) -> Plan:
    """The plan of a sweep's text.

    Raises:
        FileError: with every problem.
    """
    return read_plan(parse_yaml(text, name="s.yaml"))


def write(path: Path, text: str) -> Path:
    """Writes a sweep file."""
    path.write_text(text, encoding="utf-8")
    return path
