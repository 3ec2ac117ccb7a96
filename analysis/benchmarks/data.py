"""What share of a training step goes into its data, for the smallest model of each task.

The worst case is the fastest step: an LSTM of one layer of 64. For every task it prints, as medians
of interleaved repetitions in one process:

- `made`: milliseconds to draw a batch and lay it out, by itself;
- `step`: milliseconds of a training step whose batch is at hand (forward, backward, clip,
  optimizer);
- `share`: the first over the second, what a step would spend on data if nothing were made ahead;
- `waited`: what training itself measures, `data_wait`, with batches made ahead by their thread.

Run it without arguments; it uses CUDA where there is one, else one thread.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as a trial of `resources: {cpu: 1}` has it

import time
from statistics import median

import torch

from seqtune import seeding
from seqtune.provenance import cpu_name
from seqtune.runs.build import build_model, choose_device
from seqtune.runs.spec import RunSpec
from seqtune.tasks.build import build_task
from seqtune.training.device import Transfer
from seqtune.training.evaluation import Evaluator
from seqtune.training.loop import TrainConfig, TrainState, train
from seqtune.training.scoring import token_scores

REPETITIONS = 7
STEPS = 20
TASKS = {
    **{
        f"cfg3b, height {height}": {"kind": "cfg", "grammar": "cfg3b", "height": height}
        for height in range(2, 7)
    },
    "cfg3b, packed 128": {"kind": "cfg", "grammar": "cfg3b", "format": "packed", "length": 128},
    "cfg3f": {"kind": "cfg", "grammar": "cfg3f"},
    "dyck": {"kind": "cfg", "grammar": "dyck"},
    "life, 8x8": {"kind": "life", "rows": 8, "columns": 8},
    "text, 128": {"kind": "text"},
}


def run_of(task: dict[str, object]) -> RunSpec:
    """A run with the smallest model and batches of 64."""
    return RunSpec.parse(
        {
            "task": task,
            "model": {"kind": "lstm", "layers": 1, "width": 64, "embedding": 32},
            "training": {"epochs": 3, "batches_per_epoch": 100, "batch_size": 64},
            "evaluation": {"strings": 64, "generate": 0},
        }
    )


def learner_of(spec: RunSpec) -> TrainState:
    """A fresh learner on the device at hand."""
    task = build_task(spec.task)
    config = TrainConfig(spec.training, spec.optimizer, spec.forcing, spec.data, spec.seed)
    model = build_model(spec, task=task, device=choose_device(spec))
    return TrainState(model, task=task, config=config)


def synchronised() -> float:
    """The time when all that was asked of the device is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds(spec: RunSpec) -> tuple[float, float]:
    """Median seconds to make a batch, and of a step, interleaved."""
    learner = learner_of(spec)
    transfer = Transfer(learner.model.device)
    generator = seeding.generator(0, "data")
    made: list[float] = []
    stepped: list[float] = []
    for repetition in range(REPETITIONS + 1):
        begun = time.perf_counter()
        batches = [learner.task.sample(64, generator=generator) for _ in range(STEPS)]
        between = synchronised()
        for batch in batches:
            sent = transfer.send(batch.tokens, batch.targets, batch.scored)
            tokens, targets, scored = sent.receive()
            losses, _ = token_scores(learner.model(tokens), targets=targets, scored=scored)
            learner.optimizer.zero_grad(set_to_none=True)
            (losses.sum() / int(batch.scored.sum())).backward()
            torch.nn.utils.clip_grad_norm_(learner.model.parameters(), 1.0)
            learner.optimizer.step()
        ended = synchronised()
        if repetition > 0:  # the first one warms up
            made.append((between - begun) / STEPS)
            stepped.append((ended - between) / STEPS)
    return median(made), median(stepped)


def waited(spec: RunSpec) -> float:
    """The share that training measures, of its last epoch."""
    learner = learner_of(spec)
    evaluator = Evaluator(spec.evaluation, task=learner.task)
    *_, last = train(learner, evaluator=evaluator)
    return last.metrics["data_wait"]


def main() -> None:
    """Prints a row a task."""
    torch.set_num_threads(1)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else cpu_name()
    print(f"LSTM, 1 layer of 64, batches of 64 strings, {device}")
    print(f"{'task':18} {'made ms':>9} {'step ms':>9} {'share':>7} {'waited':>7}")
    for name, task in TASKS.items():
        spec = run_of(task)
        making, stepping = seconds(spec)
        share = making / stepping
        print(
            f"{name:18} {1e3 * making:9.3f} {1e3 * stepping:9.3f} {share:7.2%} {waited(spec):7.2%}"
        )


if __name__ == "__main__":
    main()
