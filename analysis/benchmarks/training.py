"""Throughput of this project's two original experiments, trained as by `seqtune train`.

- The LSTM on cfg3b, at probabilities 1, .5 and 0 of reading the truth, beside the plain loop that
  calls the network once a time step: same model, batches, precision and optimizer; epochs take
  turns.
- The transformer on Life, in scored tokens a second, with and without torch.compile.

On CUDA at the experiments' own shapes (batch 1,024 of whole cfg3b strings; boards of 32 x 32, 2,070
tokens) in bf16; on a CPU at smaller ones in fp32, which only shows that the script works. What the
device is and what was run is printed.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import torch
from torch.nn import functional

from seqtune import seeding
from seqtune.config.nested import assign
from seqtune.config.yaml_file import read_yaml
from seqtune.models.base import trainable_parameters
from seqtune.models.recurrent import Recurrent
from seqtune.provenance import cpu_name
from seqtune.runs.build import build_model, choose_device
from seqtune.runs.spec import RunSpec
from seqtune.tasks.build import build_task
from seqtune.training.device import Transfer
from seqtune.training.evaluation import Evaluator
from seqtune.training.forcing.inputs import draw_prediction_mask
from seqtune.training.loop import PRECISIONS, TrainConfig, TrainState, train

SWEEPS = Path(__file__).parents[2] / "sweeps"
CUDA = torch.cuda.is_available()
REPETITIONS = 3
"""Epochs of each kind, after one to warm up."""
COMMON = {
    "training.epochs": REPETITIONS + 1,
    "training.precision": "bf16" if CUDA else "fp32",
    "optimizer.schedule": "constant",
    "evaluation": {"strings": 2, "generate": 0, "free": 0},
    "data": {"kind": "fresh"},
}
LSTM = COMMON | {"training.batches_per_epoch": 20 if CUDA else 2}
LSTM |= {} if CUDA else {"task.height": 4, "training.batch_size": 32, "model.width": 128}
TRANSFORMER = COMMON | {"training.batches_per_epoch": 10 if CUDA else 1}
TRANSFORMER |= (
    {"task.rollout_steps": 0}
    if CUDA
    else {"task.rows": 8, "task.columns": 8, "training.batch_size": 20, "model.layers": 2}
)


def spec_of(file: str, changes: Mapping[str, object]) -> RunSpec:
    """A shipped run with values replaced."""
    return RunSpec.parse(assign(read_yaml(SWEEPS / file).data, changes))


def learner_of(spec: RunSpec) -> tuple[TrainState, Evaluator]:
    """Everything that `train` needs."""
    task = build_task(spec.task)
    config = TrainConfig(spec.training, spec.optimizer, spec.forcing, spec.data, spec.seed)
    model = build_model(spec, task=task, device=choose_device(spec))
    return TrainState(model, task=task, config=config), Evaluator(spec.evaluation, task=task)


def plain_epoch(learner: TrainState, *, rate: float, epoch: int) -> float:
    """Scored tokens a second of an epoch of the step-by-step loop."""
    model, settings = learner.model, learner.config.training
    assert isinstance(model, Recurrent)
    (lstm,) = model.kernels
    transfer = Transfer(model.device)
    generator = seeding.generator(0, "data", epoch)
    batches = [
        learner.task.sample(settings.batch_size, generator=generator)
        for _ in range(settings.batches_per_epoch)
    ]
    dtype = PRECISIONS.get(settings.precision)
    started = finished()
    for batch in batches:
        sent = transfer.send(batch.tokens, batch.targets)
        tokens, targets = sent.receive()
        predicted = draw_prediction_mask(
            "step", rate=rate, scored=batch.scored[:1] | True, generator=generator
        )
        fed, state, rows = tokens[:, 0], None, []
        with torch.autocast(model.device.type, dtype=dtype, enabled=dtype is not None):
            for t in range(tokens.shape[1]):
                if t > 0:
                    fed = rows[-1].argmax(dim=-1) if predicted[0, t] else tokens[:, t]
                hidden, state = lstm(model.embedding(fed)[:, None], state)
                rows.append(model.head(hidden[:, 0]))
        logits = torch.stack(rows, dim=1).float()
        learner.optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
        learner.optimizer.step()
    return sum(int(batch.scored.sum()) for batch in batches) / (finished() - started)


def finished() -> float:
    """The time when all that was asked of the device is done."""
    if CUDA:
        torch.cuda.synchronize()
    return time.perf_counter()


def lstm() -> None:
    """A row for every probability of reading the truth."""
    for rate in (1.0, 0.5, 0.0):
        forcing = {"kind": "constant", "rate": rate, "granularity": "step"}
        spec = spec_of("seed_lstm.yaml", LSTM | {"forcing": forcing})
        (learner, evaluator), (by_loop, _) = learner_of(spec), learner_of(spec)
        rates: list[tuple[float, float]] = []
        for epoch, measured in enumerate(train(learner, evaluator=evaluator)):
            plain = plain_epoch(by_loop, rate=rate, epoch=epoch)
            rates.append((measured.metrics["tokens_per_second"], plain))
        ours, plain = (median(each) for each in zip(*rates[1:], strict=True))
        shape = f"{learner.config.training.batch_size} strings of {learner.task.max_length}"
        print(
            f"LSTM, {trainable_parameters(learner.model):,} parameters, {shape}, rate {rate}: "
            f"{ours:,.0f} tokens/s, plain loop {plain:,.0f}, ratio {ours / plain:.2f}",
            flush=True,
        )


def transformer() -> None:
    """A row compiled and one not."""
    compiled: dict[bool, list[float]] = {False: [], True: []}
    runs = {
        compile: learner_of(spec_of("seed_life.yaml", TRANSFORMER | {"training.compile": compile}))
        for compile in compiled
    }
    streams = [train(learner, evaluator=evaluator) for learner, evaluator in runs.values()]
    for measured in zip(*streams, strict=True):
        for rates, each in zip(compiled.values(), measured, strict=True):
            rates.append(each.metrics["tokens_per_second"])
    for compile, rates in compiled.items():
        learner, _ = runs[compile]
        shape = f"{learner.config.training.batch_size} strings of {learner.task.max_length}"
        print(
            f"transformer, {trainable_parameters(learner.model):,} parameters, {shape}, "
            f"{'compiled' if compile else 'not compiled'}: {median(rates[1:]):,.0f} tokens/s",
            flush=True,
        )


def main() -> None:
    """Prints a row for each measurement."""
    device = torch.cuda.get_device_name() if CUDA else cpu_name()
    print(
        f"{device}, torch {torch.__version__}, {COMMON['training.precision']}, "
        f"medians of {REPETITIONS} epochs"
    )
    lstm()
    transformer()


if __name__ == "__main__":
    main()
