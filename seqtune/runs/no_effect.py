"""Settings of a run that change nothing in it: to compare or tune them there compares nothing.

They are told, not refused: in a sweep a setting may matter in one cell and be idle in another.
"""

from collections.abc import Iterator

from seqtune.config.errors import Problem, listed
from seqtune.models.recurrent_spec import LSTMSpec
from seqtune.models.transformer_spec import Forgetful, Prefix, TransformerSpec, Window
from seqtune.runs.spec import RunSpec

MIXED = ("update", "granularity", "feedback", "stage")
"""What a schedule says of the model's own tokens, and nothing else."""


def settings_without_effect(spec: RunSpec) -> Iterator[Problem]:
    """Each with its path and the reason why it has no effect."""
    match spec.model:
        case LSTMSpec():
            yield from _of_recurrent(spec.model)
        case TransformerSpec():
            yield from _of_transformer(spec.model, longest=spec.task.longest)
    yield from _of_forcing(spec)
    part, batch = spec.training.micro_batch, spec.training.batch_size
    if isinstance(part, int) and part >= batch:
        yield Problem(
            ("training", "micro_batch"),
            f"cuts nothing: a batch has {batch} strings, and {part} are worked on at once",
        )


def _of_recurrent(model: LSTMSpec) -> Iterator[Problem]:
    if model.residual and model.layers == 1:
        yield Problem(("model", "residual"), "is for layers above the first, and there is none")


def _of_transformer(model: TransformerSpec, *, longest: int) -> Iterator[Problem]:
    at = ("model", "masking")
    match model.masking:
        case Prefix() if model.layers == 1:
            yield Problem(
                at,
                "prefix is causal with one layer: what the prompt's tokens learn of one another is "
                "read by the layers above",
            )
        case Window(length=length) if length >= longest:
            yield Problem(
                at,
                f"window is causal: it holds {length} tokens, and no string has more than {longest}",
            )
        case Forgetful(rate=rate) if int(rate * longest) == 0:
            yield Problem(
                at,
                f"forgetful hides nothing: {rate:g} of {longest} tokens, the longest string, is "
                "less than one token",
            )
        case _:
            pass


def _of_forcing(spec: RunSpec) -> Iterator[Problem]:
    training, forcing = spec.training, spec.forcing
    if forcing.feeds_back(epochs=training.epochs, steps=training.batches_per_epoch):
        return
    default = {name: type(forcing).model_fields[name].default for name in MIXED}
    given = [name for name in MIXED if getattr(forcing, name) != default[name]]
    if given:
        verb = "has" if len(given) == 1 else "have"
        yield Problem(
            ("forcing",), f"{listed(given)} {verb} no effect: only true tokens are ever read"
        )
