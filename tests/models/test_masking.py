import pytest
import torch

from seqtune.models.transformer import draw_visible_keys, visible_tokens
from seqtune.models.transformer_spec import Causal, Forgetful, MaskingSpec, Prefix, Window

TABLE: list[tuple[MaskingSpec, list[str]]] = [
    (Causal(), ["x....", "xx...", "xxx..", "xxxx.", "xxxxx"]),
    (Forgetful(rate=0.5), ["x....", "xx...", "xxx..", "xxxx.", "xxxxx"]),
    (Window(length=1), ["x....", ".x...", "..x..", "...x.", "....x"]),
    (Window(length=2), ["x....", "xx...", ".xx..", "..xx.", "...xx"]),
    (Window(length=9), ["x....", "xx...", "xxx..", "xxxx.", "xxxxx"]),
    (Prefix(), ["xxx..", "xxx..", "xxx..", "xxxx.", "xxxxx"]),
]


@pytest.mark.parametrize(("masking", "rows"), TABLE)
@pytest.mark.parametrize("start", [0, 3, 4])
def test_who_sees_whom(masking: MaskingSpec, rows: list[str], start: int):
    """Three tokens of prompt and two more; a row for each that sees."""
    mask = visible_tokens(masking, start=start, stop=5, prompt_length=3, device=torch.device("cpu"))
    assert ["".join(".x"[seen] for seen in row) for row in mask.tolist()] == rows[start:]


@pytest.mark.parametrize(
    ("length", "rate", "hidden"),
    [(20, 0.15, 3), (19, 0.15, 2), (2071, 0.15, 310), (6, 0.0, 0), (1, 0.9, 0), (2, 0.9, 1)],
)
def test_so_many_are_hidden_in_every_string(length: int, rate: float, hidden: int):
    seen = draw_visible_keys(torch.zeros(8, length, dtype=torch.int64), rate=rate)
    assert (~seen).sum(dim=1).tolist() == [hidden] * 8


def test_every_place_but_the_first_is_hidden_equally_often():
    torch.manual_seed(0)
    seen = draw_visible_keys(torch.zeros(4000, 11, dtype=torch.int64), rate=0.3)
    shares = (~seen).double().mean(dim=0)
    assert shares[0] == 0
    # 3 of 10 places, within four standard errors of 4000 strings.
    assert shares[1:].tolist() == pytest.approx([0.3] * 10, abs=4 * (0.3 * 0.7 / 4000) ** 0.5)


def test_what_is_hidden_follows_the_global_generator():
    tokens = torch.zeros(4, 30, dtype=torch.int64)
    torch.manual_seed(1)
    first, second = draw_visible_keys(tokens, rate=0.2), draw_visible_keys(tokens, rate=0.2)
    torch.manual_seed(1)
    assert torch.equal(draw_visible_keys(tokens, rate=0.2), first)
    assert not torch.equal(first, second)
