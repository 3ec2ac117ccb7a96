"""A training step in two stages against the plain step-by-step loop, interleaved in one process.

The plain loop is how scheduled sampling is usually written, and how the experiment that this project
descends from was trained: one call of the LSTM a time step, through autograd. Both get the same model,
batch and coins, and end with the gradient of the same loss. Prints medians, and their ratio.
Takes about ten minutes on two cores.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from seqtune.models import LSTMSpec
from seqtune.models.lstm import LSTM
from seqtune.provenance import cpu_name
from seqtune.training.forcing import draw_coins, mixed_inputs

LENGTH = 128
VOCABULARY = 5
MODELS = {
    "3 layers of 512": LSTMSpec(layers=3, width=512, embedding=128, head_layers=2),
    "1 layer of 64": LSTMSpec(layers=1, width=64, embedding=32),
}
REPETITIONS = {32: 7, 256: 3}
"""Interleaved repetitions by batch size, after one of each to warm up."""
TRUTHS = (1.0, 0.5, 0.0)


def plain(model: LSTM, tokens: Tensor, *, coins: np.ndarray) -> Tensor:
    """Logits of the loop that calls the network once a time step."""
    fed, state, rows = tokens[:, 0], None, []
    for t in range(tokens.shape[1]):
        if t > 0:
            fed = tokens[:, t] if coins[t] else rows[-1].argmax(dim=-1)
        hidden, state = model.lstm(model.embedding(fed)[:, None], state)
        rows.append(model.head(hidden[:, 0]))
    return torch.stack(rows, dim=1)


def staged(model: LSTM, tokens: Tensor, *, coins: np.ndarray) -> Tensor:
    """Logits of one parallel pass over inputs that were chosen first."""
    return model(mixed_inputs(model, tokens, coins=coins))


def step_seconds(
    logits_of: Callable[..., Tensor], model: LSTM, tokens: Tensor, *, coins: np.ndarray
) -> float:
    """Time of one forward and backward pass."""
    model.zero_grad()
    started = time.perf_counter()
    logits = logits_of(model, tokens, coins=coins)
    functional.cross_entropy(logits.flatten(0, 1), tokens.flatten()).backward()
    return time.perf_counter() - started


def medians(spec: LSTMSpec, *, batch: int, repetitions: int) -> dict[tuple[float, str], float]:
    """Median step time by probability of reading the truth and by kind of step.

    All of them take turns, so that what slows the machine for a while slows all alike.
    """
    torch.manual_seed(0)
    model = spec.build(vocab_size=VOCABULARY, outputs=VOCABULARY, max_length=LENGTH)
    assert isinstance(model, LSTM)
    tokens = torch.randint(0, VOCABULARY, (batch, LENGTH))
    kinds = {"plain": plain, "staged": staged}
    times: dict[tuple[float, str], list[float]] = {(t, kind): [] for t in TRUTHS for kind in kinds}
    for repetition in range(repetitions + 1):
        for (truth, kind), measured in times.items():
            coins = draw_coins(LENGTH, truth=truth, generator=np.random.default_rng(0))
            seconds = step_seconds(kinds[kind], model, tokens, coins=coins)
            if repetition > 0:  # the first warms up
                measured.append(seconds)
    return {each: statistics.median(values) for each, values in times.items()}


def main() -> None:
    """Prints a line for every model, batch and probability of reading the truth."""
    print(f"{cpu_name()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"length {LENGTH}, medians of interleaved steps {REPETITIONS} by batch")
    print(f"{'model':<16} {'batch':>5} {'truth':>5} {'plain ms':>9} {'staged ms':>9} {'ratio':>6}")
    for name, spec in MODELS.items():
        for batch, repetitions in REPETITIONS.items():
            seconds = medians(spec, batch=batch, repetitions=repetitions)
            for truth in TRUTHS:
                slow, fast = seconds[truth, "plain"], seconds[truth, "staged"]
                print(
                    f"{name:<16} {batch:>5} {truth:>5} {slow * 1e3:>9.1f} {fast * 1e3:>9.1f} "
                    f"{slow / fast:>6.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
