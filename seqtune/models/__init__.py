"""What learns. `ModelSpec` is the register: a model is one file, one for its spec, and its entry here."""

from typing import Annotated, TypeAlias

from seqtune.config.unions import ByKind
from seqtune.models.recurrent_spec import LSTMSpec
from seqtune.models.transformer_spec import TransformerSpec

ModelSpec: TypeAlias = Annotated[LSTMSpec | TransformerSpec, ByKind()]
