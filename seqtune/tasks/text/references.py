"""What predictors without a network score on a text, to stand beside the models.

N-grams are scored on the very windows that the models are, and read no further back than to a window's
beginning. The compressor is no predictor of windows: its figure is what the validation part adds to the
compressed training part, a unit. Both are kept in the cache, for all the runs of a sweep.
"""

import hashlib
import json
import logging
import lzma
import math
from collections.abc import Iterator

import numpy as np

from seqtune.storage.files import cache_folder, write_atomically
from seqtune.tasks.base import Strings
from seqtune.tasks.text import kneser_ney
from seqtune.tasks.text.corpus import Corpus

logger = logging.getLogger(__name__)

VERSION = 1
"""To be raised when the same strings would get other references."""

ORDERS = 6
"""N-grams of order 0 to 5: that many units before are known."""

NGRAM_UNITS = 10_000_000
"""N-grams are counted in at most this many units, the last of the training part."""

LZMA_BYTES = 8 << 20
"""At most this many bytes of each part are compressed, those on both sides of the division."""

LZMA_PRESET = 9 | lzma.PRESET_EXTREME
"""As `xz -9e`, whose dictionary of 64 MiB holds all that is compressed."""

NAMES = (*(f"order-{order} Kneser-Ney" for order in range(ORDERS)), "lzma")


def references(corpus: Corpus, strings: Strings) -> dict[str, float]:
    """Losses in nats a scored token, by the names in `NAMES`."""
    digest = hashlib.sha256(strings.tokens.astype(np.int64).tobytes())
    digest.update(strings.offsets.tobytes())
    settings = [VERSION, ORDERS, NGRAM_UNITS, LZMA_BYTES, LZMA_PRESET]
    digest.update(json.dumps(settings).encode())
    path = cache_folder() / f"{corpus.name}-references-{digest.hexdigest()[:24]}.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if tuple(found) == NAMES and all(map(math.isfinite, found.values())):
            return found
    except (OSError, ValueError, TypeError, AttributeError):
        pass  # there is none yet, or it is damaged
    found = dict(zip(NAMES, [*ngram_losses(corpus, strings), lzma_loss(corpus)], strict=True))
    try:
        with write_atomically(path) as file:
            file.write(json.dumps(found).encode())
    except OSError as error:
        logger.warning("%s cannot be written (%s)", path.parent, error.strerror)
    return found


def ngram_losses(corpus: Corpus, strings: Strings) -> Iterator[float]:
    """Losses of Kneser-Ney models of order 0, 1, .. on all units of the strings but the first."""
    rows = strings.padded(fill=0)
    steps = np.arange(rows.shape[1])
    scored = (steps >= 1) & (steps < strings.lengths[:, None])
    for given in kneser_ney.probabilities(
        corpus.train[-NGRAM_UNITS:], rows, vocabulary=corpus.vocabulary.size, orders=ORDERS
    ):
        yield float(-np.log(given[scored]).mean())


def lzma_loss(corpus: Corpus) -> float:
    """Nats a unit that the compressor needs for the validation part when it has read the training part."""
    division, end = corpus.parts.train_bytes, corpus.measures.size
    train = corpus.text.read(start=max(0, division - LZMA_BYTES), stop=division)
    valid = corpus.text.read(start=division, stop=min(end, division + LZMA_BYTES))
    added = _compressed(train + valid) - _compressed(train)
    nats_a_byte = added * 8 * math.log(2) / len(valid)
    return nats_a_byte * (end - division) / corpus.parts.valid


def _compressed(data: bytes) -> int:
    return len(lzma.compress(data, preset=LZMA_PRESET))
