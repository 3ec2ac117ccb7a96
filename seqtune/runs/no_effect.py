"""Settings of a run that have no effect, so that comparing or tuning them compares nothing.

They are reported as notes, not refused: in a sweep, a setting may matter in one cell and not in
another.
"""

from collections.abc import Iterator

from seqtune.config.errors import Problem, listed
from seqtune.models.recurrent_spec import LSTMSpec
from seqtune.models.transformer_spec import Forgetful, Prefix, TransformerSpec, Window
from seqtune.runs.spec import RunSpec

PREDICTION_OPTIONS = ("update", "granularity", "feedback", "stage")
"""Options of a forcing schedule that matter only where the model reads its own predictions."""


def settings_without_effect(spec: RunSpec) -> Iterator[Problem]:
    """Yield every setting without effect, with the reason."""
    match spec.model:
        case LSTMSpec(residual=True, layers=1):
            yield Problem(
                ("model", "residual"), "applies to layers above the first, and there are none"
            )
        case TransformerSpec():
            yield from _masking_without_effect(spec.model, longest=spec.task.longest)
        case _:
            pass
    yield from _forcing_without_effect(spec)
    micro_batch, batch = spec.training.micro_batch, spec.training.batch_size
    if isinstance(micro_batch, int) and micro_batch >= batch:
        yield Problem(
            ("training", "micro_batch"),
            f"splits nothing: a batch has {batch} strings, and micro-batches have {micro_batch}",
        )


def _masking_without_effect(model: TransformerSpec, *, longest: int) -> Iterator[Problem]:
    path = ("model", "masking")
    match model.masking:
        case Prefix() if model.layers == 1:
            yield Problem(
                path,
                "prefix equals causal with one layer: what prompt tokens learn from one another is "
                "read by the layers above",
            )
        case Window(length=length) if length >= longest:
            yield Problem(
                path,
                f"window equals causal: it holds {length} tokens, and no string has more than "
                f"{longest}",
            )
        case Forgetful(rate=rate) if int(rate * longest) == 0:
            yield Problem(
                path,
                f"forgetful hides nothing: {rate:g} of {longest} tokens, the longest string, is "
                "less than one token",
            )
        case _:
            pass


def _forcing_without_effect(spec: RunSpec) -> Iterator[Problem]:
    training, forcing = spec.training, spec.forcing
    if forcing.feeds_back(epochs=training.epochs, steps=training.batches_per_epoch):
        return
    default = {name: type(forcing).model_fields[name].default for name in PREDICTION_OPTIONS}
    given = [name for name in PREDICTION_OPTIONS if getattr(forcing, name) != default[name]]
    if given:
        verb = "has" if len(given) == 1 else "have"
        yield Problem(
            ("forcing",),
            f"{listed(given)} {verb} no effect: the model never reads its own predictions",
        )
