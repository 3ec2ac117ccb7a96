"""Which device a run trains on, and which precisions a device is asked for."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from seqtune.runs.build import DeviceError, choose_device, cpu_trains_lstm_in_bf16
from tests.training.runs import tiny
from tests.waiting import HANG_SECONDS

ROOT = Path(__file__).parents[2]
TRANSFORMER = {"kind": "transformer", "layers": 1, "width": 16, "heads": 2, "head_width": 8}
WITHOUT_AVX512 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
"""Makes every x86 CPU stand in for one without AVX-512."""


def auto(**changes: Any) -> Any:
    return tiny(training__device="auto", **changes)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_cuda_device_trains_in_every_precision_that_it_has(
    precision: str, monkeypatch: pytest.MonkeyPatch
):
    spec = auto(training__precision=precision)
    for has_bf16 in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has_bf16)  # noqa: B023
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "An old card")
        if precision == "bf16" and not has_bf16:
            with pytest.raises(DeviceError) as caught:
                choose_device(spec, cuda=True)
            assert caught.value.problem.path == ("training", "precision")
            assert caught.value.problem.message == "An old card has no bf16; write fp16 or fp32"
        else:
            assert choose_device(spec, cuda=True).type == "cuda"


@pytest.mark.parametrize("model", [{"cell": "gru"}, {"cell": "rnn"}, TRANSFORMER])
def test_every_cpu_trains_all_but_an_lstm_in_bf16(model: dict[str, Any]):
    changes = {"model": model} if "kind" in model else {"model__cell": model["cell"]}
    assert choose_device(auto(**changes, training__precision="bf16"), cuda=False).type == "cpu"
    with pytest.raises(DeviceError, match=r"training\.precision: fp16 needs a GPU; write fp32"):
        choose_device(auto(**changes, training__precision="fp16"), cuda=False)


def test_an_lstm_in_bf16_is_refused_by_a_cpu_that_cannot_run_it():
    spec = auto(training__precision="bf16")
    if cpu_trains_lstm_in_bf16():
        assert choose_device(spec, cuda=False).type == "cpu"
    else:
        with pytest.raises(DeviceError, match="this CPU cannot train an LSTM in bf16"):
            choose_device(spec, cuda=False)
    assert choose_device(spec.model_copy(update={"training": tiny().training})).type == "cpu"


RUN = """
task:       {kind: cfg, grammar: cfg3b, height: 1}
model:      {kind: lstm, width: 8, embedding: 8}
training:   {epochs: 1, batches_per_epoch: 2, batch_size: 8, device: cpu}
evaluation: {strings: 16, generate: 8}
"""

SWEEP = """
name: precisions
metric: valid/excess
base:
  task:       {kind: cfg, grammar: cfg3b, height: 1}
  model:      {kind: lstm, width: 8, embedding: 8}
  training:   {epochs: 1, batches_per_epoch: 2, batch_size: 8, device: cpu}
  evaluation: {strings: 16, generate: 8}
compare:
  model.cell: [lstm, gru]
  training.precision: [fp32, bf16]
"""


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        (RUN, ["train", "q.yaml", "--set", "training.precision=bf16"], "--set: training.precision"),
        (SWEEP, ["sweep", "q.yaml"], "q.yaml:10: compare.training.precision"),
    ],
    ids=["train", "sweep"],
)
def test_without_avx_512_the_command_says_what_to_write(
    tmp_path: Path, text: str, words: list[str], line: str
):
    (tmp_path / "q.yaml").write_text(text.lstrip())
    done = subprocess.run(
        [sys.executable, "-m", "seqtune", *words, "--out", "out"],
        cwd=tmp_path,
        env={**os.environ, **WITHOUT_AVX512, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 2, done.stderr
    expected = (
        f"{line}: this CPU cannot train an LSTM in bf16: oneDNN needs AVX-512 for it; write fp32"
    )
    assert done.stderr.splitlines()[-1] == expected
    assert not (tmp_path / "out").exists()
