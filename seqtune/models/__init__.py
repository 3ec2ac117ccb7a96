"""The models. `ModelSpec` is the union of their specs; `build.py` builds a network from one.

To add a model: a file for its spec, a file for the network, an entry here and one in `build.py`.
"""

from typing import Annotated, TypeAlias

from seqtune.config.unions import ByKind
from seqtune.models.recurrent_spec import LSTMSpec
from seqtune.models.transformer_spec import TransformerSpec

ModelSpec: TypeAlias = Annotated[LSTMSpec | TransformerSpec, ByKind()]
