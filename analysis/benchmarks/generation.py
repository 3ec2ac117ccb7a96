"""Boards generated together against one at a time, and our cache against the library's.

64 boards of 8 x 8 are completed by a transformer, 68 characters each after a prompt of 83. For
every model it prints, as medians of interleaved repetitions in milliseconds for all 64 boards:

- `together` and `one by one`: `generate`, with all boards in one batch, or a call for each;
- `library`: all boards in one batch, with x-transformers' own cache, which copies all keys and
  values at every step, and turns all keys again;
- `ratio`: one by one over together.

With other programs beside it only the ratios mean anything.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqtune.models import TransformerSpec
from seqtune.models.build import build_network
from seqtune.models.transformer import Transformer
from seqtune.provenance import cpu_name
from seqtune.tasks.generative_evaluation import Prompt
from seqtune.tasks.life.spec import LifeSpec
from seqtune.tasks.life.task import LifeTask
from seqtune.training.generation import generate

BOARDS = 64
REPETITIONS = 5
"""Interleaved, after one of each to warm up."""
MODELS = {
    "2 layers of 64": TransformerSpec(),
    "4 layers of 128": TransformerSpec(layers=4, width=128, heads=8),
}


def ours(model: Transformer, prompt: Prompt) -> Tensor:
    """Completions by `prefill` and `step`."""
    return generate(model, prompt, generator=torch.Generator())


@torch.no_grad()
def library(model: Transformer, prompt: Prompt) -> Tensor:
    """Completions by the library's cache."""
    net: Any = model.net
    read, cache = torch.from_numpy(prompt.tokens), None
    written: list[Tensor] = []
    while len(written) < prompt.longest:
        logits, cache = net(
            read, cache=cache, input_not_include_cache=True, return_intermediates=True
        )
        read = logits[:, -1:].argmax(dim=-1)
        written.append(read)
    return torch.cat(written, dim=1)


def together(complete: Callable[..., Tensor], model: Transformer, *, prompts: np.ndarray) -> Tensor:
    """Completions of all prompts in one batch."""
    return complete(model, Prompt(prompts, longest=LENGTH, temperature=0.0))


def one_by_one(
    complete: Callable[..., Tensor], model: Transformer, *, prompts: np.ndarray
) -> Tensor:
    """The same, a call for each."""
    parts = [prompts[row : row + 1] for row in range(len(prompts))]
    return torch.cat([together(complete, model, prompts=part) for part in parts])


TASK = LifeTask(LifeSpec(rows=8, columns=8, vocabulary="compact"))
LENGTH = TASK.notation.completion_length
KINDS: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor]]] = {
    "together": (together, ours),
    "one by one": (one_by_one, ours),
    "library": (together, library),
}


def medians(spec: TransformerSpec) -> dict[str, float]:
    """Seconds for all boards by kind; the kinds take turns, so that what slows one slows all."""
    torch.manual_seed(0)
    model = build_network(
        spec, vocab_size=TASK.vocab_size, outputs=TASK.outputs, max_length=TASK.max_length
    ).eval()
    assert isinstance(model, Transformer)
    boards = TASK.boards(BOARDS, generator=np.random.default_rng(0))
    prompts = TASK.notation.prompt(boards).tokens
    times: dict[str, list[float]] = defaultdict(list)
    expected: Tensor | None = None
    for repetition in range(REPETITIONS + 1):
        for kind, (arranged, complete) in KINDS.items():
            started = time.perf_counter()
            written = arranged(complete, model, prompts=prompts)
            seconds = time.perf_counter() - started
            expected = written if expected is None else expected
            # Not all of them: where two tokens are equally probable, rounding decides.
            assert (written == expected).double().mean() > 0.9, f"{kind} writes other boards"
            if repetition > 0:  # the first warms up
                times[kind].append(seconds)
    return {kind: median(measured) for kind, measured in times.items()}


def main() -> None:
    """Prints a line for every model."""
    print(f"{cpu_name()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{BOARDS} boards of 8 x 8, medians of {REPETITIONS} interleaved repetitions, ms")
    print(f"{'model':<16}" + "".join(f"{kind:>12}" for kind in KINDS) + f"{'ratio':>7}")
    for name, spec in MODELS.items():
        seconds = medians(spec)
        ratio = seconds["one by one"] / seconds["together"]
        shown = "".join(f"{seconds[kind] * 1e3:>12.0f}" for kind in KINDS)
        print(f"{name:<16}{shown}{ratio:>7.1f}", flush=True)


if __name__ == "__main__":
    main()
