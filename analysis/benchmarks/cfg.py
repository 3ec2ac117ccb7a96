"""How fast grammars are sampled and parsed on one core, beside plain implementations, and on all.

Prints rates a CPU second of this process on one core, and a second of the clock on all: medians of
interleaved repetitions after a warm-up. The plain implementations are what one would write
first: a recursive sampler in Python, and a chart of dense matrices, in which a rule A -> B C is a
matrix product, so that a string of n tokens costs n^3. Run it without arguments.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy starts

import math
import platform
import random
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from seqtune.provenance import cpu_name
from seqtune.tasks.base import Strings
from seqtune.tasks.cfg.grammar import Grammar, grammar
from seqtune.tasks.cfg.parallel import cores

REPETITIONS = 7
STRINGS = 4_000
BATCH = 64
PLAIN_STRINGS = 3


def plain_sample(whole: Grammar, generator: random.Random) -> list[str]:
    """One string, by recursion."""

    def expand(symbol: str) -> list[str]:
        if symbol not in whole.rules:
            return [symbol]
        return [token for child in generator.choice(whole.rules[symbol]) for token in expand(child)]

    return expand(whole.root)


def dense_inside(whole: Grammar, string: np.ndarray) -> dict[str, np.ndarray]:
    """I [n + 1, n + 1] of every symbol."""
    inside = {
        terminal: np.diag((string == number).astype(float), k=1)
        for number, terminal in enumerate(whole.terminals, start=1)
    }
    for symbol in sorted(whole.heights, key=whole.heights.__getitem__):
        rules = [
            np.linalg.multi_dot([inside[child] for child in rhs]) for rhs in whole.rules[symbol]
        ]
        inside[symbol] = np.mean(rules, axis=0)
    return inside


def dense_next_token(whole: Grammar, string: np.ndarray) -> np.ndarray:
    """`Grammar.next_token`, from dense matrices."""
    inside = dense_inside(whole, string)
    before = {symbol: np.zeros(len(string) + 1) for symbol in inside}
    before[whole.root][0] = 1.0
    for symbol in sorted(whole.heights, key=whole.heights.__getitem__, reverse=True):
        for rhs in whole.rules[symbol]:
            reached = before[symbol] / len(whole.rules[symbol])
            for child in rhs:
                before[child] += reached
                reached = reached @ inside[child]
    rows = np.stack([*(before[t] for t in whole.terminals), inside[whole.root][0]], axis=1)
    return rows / rows.sum(axis=1, keepdims=True)


def rates(
    tasks: dict[str, Callable[[], float]], *, clock: Callable[[], float] = time.process_time
) -> dict[str, float]:
    """Amount of work a second of every task; a task returns the amount that it did."""
    for task in tasks.values():
        task()
    found: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(REPETITIONS):
        for name, task in tasks.items():
            start = clock()
            amount = task()
            found[name].append(amount / (clock() - start))
    return {name: median(values) for name, values in found.items()}


def check(whole: Grammar, strings: list[np.ndarray]) -> None:
    """Fast and plain charts must agree before they are compared."""
    for string in strings:
        inside = dense_inside(whole, string)[whole.root][0, len(string)]
        assert math.isclose(math.log(inside), whole.log_probability([string])[0], rel_tol=1e-12)
        np.testing.assert_allclose(
            whole.next_token(string), dense_next_token(whole, string), atol=1e-12
        )


def small_batches() -> dict[str, float]:
    """Batches of `BATCH` strings a CPU second at each height of cfg3b."""
    generator = np.random.default_rng(0)

    def draw(part: Grammar) -> float:
        for _ in range(100):
            part.sample_flat(BATCH, generator)
        return 100

    parts = {f"height {height}": grammar("cfg3b", height=height) for height in range(2, 7)}
    return rates({name: lambda part=part: draw(part) for name, part in parts.items()})


def on_all_cores(whole: Grammar) -> dict[str, tuple[float, float]]:
    """Rates by the clock with one thread and with one a core."""
    generator = np.random.default_rng(0)
    tokens, offsets = whole.sample_flat(10 * STRINGS, generator)
    many = Strings(tokens, offsets)

    def tasks(threads: int) -> dict[str, Callable[[], float]]:
        return {
            f"sample {threads}": lambda: len(
                whole.sample_flat(10 * STRINGS, generator, threads=threads)[0]
            ),
            f"log P {threads}": lambda: len(whole.log_probability(many, threads=threads)),
            f"next {threads}": lambda: len(whole.next_token_batch(many, threads=threads)[1]) - 1,
        }

    found = rates({**tasks(1), **tasks(0)}, clock=time.perf_counter)
    return {name: (found[f"{name} 1"], found[f"{name} 0"]) for name in ("sample", "log P", "next")}


def main() -> None:
    """Prints the rates and their ratios."""
    whole = grammar("cfg3b")
    generator, plain_generator = np.random.default_rng(0), random.Random(0)
    strings = whole.sample(STRINGS, 1)
    few = strings[:PLAIN_STRINGS]
    check(whole, few)
    found = rates(
        {
            "sample": lambda: len(whole.sample_flat(STRINGS, generator)[0]),
            "plain sample": lambda: sum(len(plain_sample(whole, plain_generator)) for _ in few),
            "log P": lambda: len(whole.log_probability(strings)),
            "plain log P": lambda: len([dense_inside(whole, string) for string in few]),
            "next": lambda: len(whole.next_token_batch(strings)[1]) - 1,
            "plain next": lambda: len([dense_next_token(whole, string) for string in few]),
        }
    )
    print(
        f"cfg3b, height {whole.height}, one core of {cpu_name()}, Python {platform.python_version()}"
    )
    for name, unit in (("sample", "tokens/s"), ("log P", "strings/s"), ("next", "strings/s")):
        fast, plain = found[name], found[f"plain {name}"]
        print(f"{name:7} {fast:14,.0f} {unit:9}  plain {plain:11,.1f}  ratio {fast / plain:8,.0f}")
    print(f"by the clock, one thread and one on each of {cores()} cores:")
    for name, (one, all_) in on_all_cores(whole).items():
        print(f"{name:7} {one:14,.0f} {all_:14,.0f}  ratio {all_ / one:.2f}")
    print(f"sampling {BATCH} strings, by height of cfg3b:")
    for name, rate in small_batches().items():
        print(f"{name:9} {1e6 / rate:8,.0f} microseconds")


if __name__ == "__main__":
    main()
