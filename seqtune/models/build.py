"""Build a network from its spec. Specs do not import this: they are read without torch."""

from typing import assert_never

from seqtune.models import ModelSpec
from seqtune.models.base import SequenceModel
from seqtune.models.recurrent_spec import LSTMSpec
from seqtune.models.transformer_spec import TransformerSpec


def build_network(
    spec: ModelSpec, *, vocab_size: int, outputs: int, max_length: int, prompt_length: int = 0
) -> SequenceModel:
    """Return a network with fresh weights, drawn from torch's global generator.

    Args:
        spec: the network's description.
        vocab_size: number of tokens that it may read.
        outputs: number of tokens that it may predict.
        max_length: length of the longest string that it has to read, in tokens.
        prompt_length: tokens at the beginning of every string that are given and not predicted; 0
            if there are none.

    Raises:
        ValueError: if the model needs strings with a prompt, and `prompt_length` is 0.
    """
    # Imported when needed: x-transformers imports torch's compiler, which takes about a second.
    match spec:
        case LSTMSpec():
            from seqtune.models.recurrent import Recurrent

            return Recurrent(spec, vocab_size=vocab_size, outputs=outputs)
        case TransformerSpec():
            from seqtune.models.transformer import Transformer

            return Transformer(
                spec,
                vocab_size=vocab_size,
                outputs=outputs,
                max_length=max_length,
                prompt_length=prompt_length,
            )
        case _:
            assert_never(spec)
