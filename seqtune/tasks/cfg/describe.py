"""A grammar in figures, for `seqtune describe`.

Counts and lengths are exact. An entropy is exact if no string has two trees, or if all strings can
be listed; estimates from samples come with their standard error.
"""

import math
from collections.abc import Mapping

import numpy as np

from seqtune.tasks.base import Strings
from seqtune.tasks.cfg.ambiguity import SAMPLES
from seqtune.tasks.cfg.grammar import ENUMERABLE, Grammar
from seqtune.tasks.cfg.language import ROUNDING, SAMPLE_SEED, Language
from seqtune.tasks.cfg.recursive.grammar import RecursiveGrammar
from seqtune.tasks.cfg.rules import natural, reachable
from seqtune.tasks.cfg.trees import draw_tree
from seqtune.tasks.description import (
    Description,
    EstimatedFigure,
    Figures,
    GridFigure,
    ListedStrings,
    Value,
)

SHOWN = 3
"""Strings shown with their trees."""

PERCENTILES = (5, 25, 50, 75, 95)


def describe(language: Language) -> Description:
    """Return rules, counts, lengths, entropy, floors, ambiguity, levels, and strings with trees."""
    parts = {
        "grammar": Figures(_grammar(language)),
        "lengths": Figures(_lengths(language)),
        "derivations": Figures(_derivations(language)),
        "floors": Figures(_floors(language)),
        "rules": ListedStrings(_rules(language)),
    }
    if isinstance(language, Grammar):
        parts["levels"] = _levels(language)
    trees = language.sample_trees(SHOWN, np.random.default_rng(SAMPLE_SEED))
    log_probability = language.log_probability(Strings(trees.tokens, trees.offsets))
    parts["strings"] = GridFigure(
        columns=("string", "tokens", "nats"),
        rows=tuple(
            (_text(language, string), len(string), -float(nats))
            for string, nats in zip(
                Strings(trees.tokens, trees.offsets), log_probability, strict=True
            )
        ),
    )
    parts["trees"] = ListedStrings(
        tuple(line for row in range(SHOWN) for line in (*draw_tree(trees, row), ""))[:-1]
    )
    return Description(title=_title(language), summary=_summary(language), parts=parts)


def _title(language: Language) -> str:
    return f"{language.name}, root {language.root}"


def _summary(language: Language) -> str:
    match language:
        case RecursiveGrammar(max_length=longest, kept=kept):
            return (
                f"The strings of a recursive grammar of at most {longest} tokens, which are {kept:.6g} "
                "of all, with their probabilities scaled up to sum to 1."
            )
        case Grammar(height=height):
            return f"The strings of a context-free grammar whose trees are {height} levels high."
    return "The strings of a context-free grammar."


def _grammar(language: Language) -> dict[str, Value]:
    rules = language.rules
    inner = reachable(language.root, rules) & set(rules)
    values: dict[str, Value] = {"root": language.root}
    if isinstance(language, Grammar):
        values["height"] = language.height
    if isinstance(language, RecursiveGrammar):
        values["max_length"] = language.max_length
        values["share of strings that the cap keeps"] = language.kept
    return values | {
        "terminals": " ".join(language.terminals),
        "nonterminals": len(inner),
        "rules": sum(len(rules[symbol]) for symbol in inner),
    }


def _lengths(language: Language) -> dict[str, Value]:
    distribution = np.cumsum(language.length_distribution)
    percentiles: Mapping[str, Value] = {
        f"percentile {share}": int(np.searchsorted(distribution, share / 100 - 1e-12))
        for share in PERCENTILES
    }
    lengths = language.lengths
    return {"min": lengths.min, "mean": lengths.mean, "max": lengths.max, **percentiles}


def _derivations(language: Language) -> dict[str, Value]:
    values: dict[str, Value] = {}
    try:
        count = language.count()
    except ValueError as error:
        values["count"] = str(error)
    else:
        values |= {"count": count, "log2 of the count": math.log2(count)}
    ambiguity = language.ambiguity()
    values |= {"ambiguity": ambiguity.verdict, "because": ambiguity.reason}
    if ambiguity.witness is not None:
        values["a string with two trees"] = _text(language, np.array(ambiguity.witness))
    return values | {"share of strings with more than one tree": _ambiguous_share(language)}


def _ambiguous_share(language: Language) -> Value:
    if language.ambiguity().verdict == "unambiguous":
        return 0.0
    trees = language.sample_trees(SAMPLES, np.random.default_rng(SAMPLE_SEED))
    gains = language.log_probability(Strings(trees.tokens, trees.offsets)) - trees.log_probability
    share = float((gains > ROUNDING).mean())
    return EstimatedFigure(share, standard_error=math.sqrt(share * (1 - share) / SAMPLES))


def _floors(language: Language) -> dict[str, Value]:
    entropy = language.entropy()
    tokens = language.lengths.mean + 1
    nats = EstimatedFigure(float(entropy), standard_error=entropy.standard_error)
    per_token = EstimatedFigure(nats.value / tokens, standard_error=nats.standard_error / tokens)
    return {
        "entropy of the derivations, nats a string": language.derivation_entropy(),
        "entropy of the strings, nats a string": _exact_or_estimate(nats),
        "nats a token, end counted": _exact_or_estimate(per_token),
        "best top-1 accuracy, end counted": _exact_or_estimate(best_accuracy(language)),
    }


def _exact_or_estimate(estimate: EstimatedFigure) -> Value:
    return estimate if estimate.standard_error else estimate.value


def best_accuracy(language: Language) -> EstimatedFigure:
    """Return the share of tokens and ends that the best predictor gets right."""
    if isinstance(language, Grammar) and language.count() <= ENUMERABLE:
        known = language.strings()
        right = _expected_right(language, [np.array(string) for string in known])
        weights = np.array(list(known.values()))
        return EstimatedFigure(
            float(weights @ right) / (language.lengths.mean + 1), standard_error=0.0
        )
    tokens, offsets = language.sample_flat(SAMPLES, np.random.default_rng(SAMPLE_SEED))
    strings = Strings(tokens, offsets)
    right, predicted = _expected_right(language, list(strings)), strings.lengths + 1
    share = float(right.sum() / predicted.sum())
    # The standard deviation of a ratio of means, linearised.
    spread = float((right - share * predicted).std(ddof=1)) / predicted.mean()
    return EstimatedFigure(share, standard_error=spread / math.sqrt(SAMPLES))


def _expected_right(language: Language, strings: list[np.ndarray]) -> np.ndarray:
    rows, offsets = language.next_token_batch(strings)
    return np.add.reduceat(rows.max(axis=1), offsets[:-1])


def _rules(language: Language) -> tuple[str, ...]:
    lines = []
    for symbol in sorted(reachable(language.root, language.rules), key=natural, reverse=True):
        if symbol not in language.rules:
            continue
        shares = language.probabilities[symbol]
        uneven = len(set(shares)) > 1
        words = [
            " ".join(rhs) + (f" [{share:g}]" if uneven else "")
            for rhs, share in zip(language.rules[symbol], shares, strict=True)
        ]
        lines.append(f"{symbol} -> {' | '.join(words)}")
    return tuple(lines)


def _levels(language: Grammar) -> GridFigure:
    """Return one row per nonterminal that the root reaches, from the root down."""
    table = language.table
    inner = [symbol for symbol in table.symbols[::-1] if symbol in language.rules]
    parts = [language.with_root(symbol) for symbol in inner]
    return GridFigure(
        columns=("symbol", "height", "rules", "log2 of derivations", "min", "mean", "max"),
        rows=tuple(
            (
                *(part.root, part.height, len(part.rules[part.root]), math.log2(part.count())),
                *(part.lengths.min, part.lengths.mean, part.lengths.max),
            )
            for part in parts
        ),
    )


def _text(language: Language, tokens: np.ndarray) -> str:
    return " ".join(language.terminals[token - 1] for token in tokens.tolist())
