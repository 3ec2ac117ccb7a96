"""A training step in two stages against the plain step-by-step loop, interleaved in one process.

The plain loop is how scheduled sampling is usually written, and how the experiment that this
project descends from was trained: one call of the LSTM a time step, through autograd. Both get the
same model, batch and coins, and end with the gradient of the same loss. For every probability of
reading the truth it prints, as medians:

- `plain` and `staged`: milliseconds of a forward and backward pass, the choice of inputs included;
- `ratio`: the first over the second;
- `products`: milliseconds of the staged step's matrix products alone, of the shapes that they have
  there, each by the faster of torch's two libraries, on operands that are at hand: those of the
  choice, and those of the pass forward, backward to what was read, and backward to the weights;
- `of products`: the staged step over these; what it is above 1 is left to win.

`state` is the time of laying the weights out for the choice, once a step. Takes about five minutes
on two idle cores; with other programs beside it only the ratios mean anything.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from seqtune.models import LSTMSpec
from seqtune.models.build import build_network
from seqtune.models.cells import can_pack
from seqtune.models.recurrent import Recurrent
from seqtune.provenance import cpu_name
from seqtune.training.forcing.inputs import draw_prediction_mask, mix_inputs

VOCABULARY = 5
RATES = (1.0, 0.5, 0.0)


@dataclass(frozen=True)
class Configuration:
    """A model, its batch, and how often it is measured after one repetition to warm up."""

    name: str
    model: LSTMSpec
    batch: int
    length: int
    threads: int
    repetitions: int


CONFIGURATIONS = (
    Configuration(
        "3 layers of 512",
        LSTMSpec(layers=3, width=512, embedding=128, head_layers=2),
        batch=32,
        length=128,
        threads=2,
        repetitions=9,
    ),
    Configuration(
        "1 layer of 64",
        LSTMSpec(layers=1, width=64, embedding=32),
        batch=64,
        length=64,
        threads=1,
        repetitions=101,
    ),
)


def plain(model: Recurrent, tokens: Tensor, *, predicted: np.ndarray) -> Tensor:
    """Logits of the loop that calls the network once a time step."""
    (lstm,) = model.kernels
    fed, state, rows = tokens[:, 0], None, []
    for t in range(tokens.shape[1]):
        if t > 0:
            fed = rows[-1].argmax(dim=-1) if predicted[0, t] else tokens[:, t]
        hidden, state = lstm(model.embedding(fed)[:, None], state)
        rows.append(model.head(hidden[:, 0]))
    return torch.stack(rows, dim=1)


def staged(model: Recurrent, tokens: Tensor, *, predicted: np.ndarray) -> Tensor:
    """Logits of one parallel pass over inputs that were chosen first."""
    return model(mix_inputs(model, tokens, predicted=predicted))


def step_seconds(
    logits_of: Callable[..., Tensor], model: Recurrent, tokens: Tensor, *, predicted: np.ndarray
) -> float:
    """Time of one forward and backward pass."""
    model.zero_grad()
    started = time.perf_counter()
    logits = logits_of(model, tokens, predicted=predicted)
    functional.cross_entropy(logits.flatten(0, 1), tokens.flatten()).backward()
    return time.perf_counter() - started


@dataclass(frozen=True)
class Shape:
    """So many products [rows, inputs] x [inputs, outputs]."""

    times: int
    rows: int
    inputs: int
    outputs: int

    def ways(self) -> list[Callable[[], object]]:
        """Compute one product on given operands, by each library that a step may use."""
        rows = torch.randn(self.rows, self.inputs)
        weight = torch.randn(self.outputs, self.inputs)
        ways: list[Callable[[], object]] = [lambda: torch.mm(rows, weight.T)]
        if can_pack(weight):
            packed = torch.ops.mkldnn._reorder_linear_weight(weight, self.rows)
            ways.append(
                lambda: torch.ops.mkldnn._linear_pointwise(rows, packed, None, "none", [], "")
            )
        return ways


def pass_shapes(spec: LSTMSpec, *, batch: int, length: int) -> Iterator[Shape]:
    """Of the parallel pass: forward, backward to what was read, backward to the weights."""
    tokens, width, gates = batch * length, spec.width, 4 * spec.width
    lowest = min(spec.embedding, VOCABULARY)  # a short vocabulary is read one-hot
    for inputs in (lowest, *[width] * (spec.layers - 1)):
        yield Shape(1, tokens, inputs, gates)
        yield Shape(length, batch, width, gates)
        yield Shape(1, tokens, gates, inputs)
        yield Shape(length, batch, gates, width)
        yield Shape(1, gates, tokens, inputs)
        yield Shape(1, gates, tokens, width)
    for outputs in (*[width] * spec.head_layers, VOCABULARY):
        yield Shape(1, tokens, width, outputs)
        yield Shape(1, tokens, outputs, width)
        yield Shape(1, outputs, tokens, width)


def choice_shapes(spec: LSTMSpec, *, batch: int, predicted: np.ndarray) -> Iterator[Shape]:
    """Products of the choice of inputs: every token before the last prediction is read."""
    steps = np.flatnonzero(predicted[0])
    if len(steps) == 0:
        return
    read, asked = int(steps[-1]), len(steps)
    for inputs in (spec.width, *[2 * spec.width] * (spec.layers - 1)):
        yield Shape(read, batch, inputs, 4 * spec.width)
    for outputs in (*[spec.width] * spec.head_layers, VOCABULARY):
        yield Shape(asked, batch, spec.width, outputs)


class Products:
    """The products of a step, to be made alone."""

    def __init__(self, shapes: Iterable[Shape]) -> None:
        self._products = [(shape.times, shape.ways()) for shape in shapes]

    @torch.no_grad()
    def seconds(self) -> float:
        """Time of all of them, each by the library that is the faster one for its shape."""
        return sum(
            min(_seconds(way, times=times) for way in ways) for times, ways in self._products
        )


def _seconds(call: Callable[[], object], *, times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - started


def prediction_mask(configuration: Configuration, *, rate: float) -> np.ndarray:
    """Where the model reads its own token: the same in every repetition."""
    return draw_prediction_mask(
        "step",
        rate=rate,
        scored=np.ones((configuration.batch, configuration.length), dtype=bool),
        generator=np.random.default_rng(0),
    )


def medians(configuration: Configuration) -> dict[tuple[float, str], float]:
    """Median seconds by probability of reading the truth and by what is measured.

    All of it takes turns, so that what slows the machine for a while slows all alike.
    """
    torch.manual_seed(0)
    spec, batch, length = configuration.model, configuration.batch, configuration.length
    model = build_network(spec, vocab_size=VOCABULARY, outputs=VOCABULARY, max_length=length)
    assert isinstance(model, Recurrent)
    tokens = torch.randint(0, VOCABULARY, (batch, length))
    predicted = {rate: prediction_mask(configuration, rate=rate) for rate in RATES}
    kinds = {"plain": plain, "staged": staged}
    of_pass = Products(pass_shapes(spec, batch=batch, length=length))
    of_choice = {
        t: Products(choice_shapes(spec, batch=batch, predicted=predicted[t])) for t in RATES
    }
    times: dict[tuple[float, str], list[float]] = defaultdict(list)
    for _ in range(configuration.repetitions + 1):
        state = _seconds(lambda: model.fresh_state(batch), times=1)
        times[0.0, "state"].append(state)
        alone = of_pass.seconds()
        for rate in RATES:
            for kind, logits_of in kinds.items():
                seconds = step_seconds(logits_of, model, tokens, predicted=predicted[rate])
                times[rate, kind].append(seconds)
            times[rate, "products"].append(alone + of_choice[rate].seconds())
    return {each: median(values[1:]) for each, values in times.items()}  # the first warmed up


def main() -> None:
    """Prints a line for every configuration and probability of reading the truth."""
    print(f"{cpu_name()}, torch {torch.__version__}")
    for each in CONFIGURATIONS:
        torch.set_num_threads(each.threads)
        seconds = medians(each)
        print(
            f"{each.name}, batch {each.batch}, length {each.length}, {each.threads} threads, "
            f"medians of {each.repetitions}, state {seconds[0.0, 'state'] * 1e3:.2f} ms"
        )
        print(f"{'rate':>5} {'plain':>8} {'staged':>8} {'ratio':>6} {'products':>9} of products")
        for rate in RATES:
            slow, fast, alone = (seconds[rate, kind] for kind in ("plain", "staged", "products"))
            print(
                f"{rate:>5} {slow * 1e3:>8.1f} {fast * 1e3:>8.1f} {slow / fast:>6.2f} "
                f"{alone * 1e3:>9.1f} {fast / alone:>11.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
