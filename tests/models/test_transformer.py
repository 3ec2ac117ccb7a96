import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from seqtune.config.errors import SpecError
from seqtune.config.yaml_file import FileError
from seqtune.models import TransformerSpec
from seqtune.models.base import trainable_parameters
from seqtune.models.build import build_network
from seqtune.models.transformer import Transformer, draw_visible_keys
from seqtune.models.transformer_spec import NOT_FLASH, Norm, Positions
from seqtune.runs.directory import RunDirectory
from seqtune.runs.record import record
from seqtune.runs.spec import RunSpec
from seqtune.trained.load import load
from tests.models.transformers import (
    MASKINGS,
    POSITIONS,
    every_combination,
    every_encoding_and_masking,
    small,
)
from tests.training.runs import tiny

LIFE = {"kind": "life", "rows": 2, "columns": 3, "vocabulary": "compact"}
SEED = TransformerSpec(layers=12, width=256, heads=8, head_width=64, positions="rotary")
PARAMETERS: dict[Positions, tuple[int, str]] = {
    "none": (0, ""),
    "rotary": (0, ""),
    "xpos": (0, ""),
    "alibi": (0, ""),
    "absolute": (2071 * 256, "net.pos_emb.emb.weight"),
    "sinusoidal": (1, "net.pos_emb.scale"),
    "polar": (8 * 64, "net.attn_layers.polar_pos_emb.learned_bias"),
    "t5": (32 * 8, "net.attn_layers.rel_pos.relative_attention_bias.weight"),
    "dynamic": ((64 + 64) + (64 * 64 + 64) + (64 * 8 + 8), "net.attn_layers.rel_pos.mlp"),
    "cope": (12 * 64 * 64, ".attend.cope.pos_emb"),
    "data_dependent_alibi": (12 * (256 * 8 + 8), ".data_dependent_alibi.to_forget_gates"),
}
"""The weights of each encoding in the seed's shape at 2071 tokens, and what their names have in
common."""


def built(spec: TransformerSpec, *, max_length: int = 32, prompt_length: int = 4) -> Transformer:
    torch.manual_seed(0)
    model = build_network(
        spec, vocab_size=5, outputs=4, max_length=max_length, prompt_length=prompt_length
    )
    assert isinstance(model, Transformer)
    return model


def drawn(strings: int = 3, length: int = 20) -> Tensor:
    return torch.randint(0, 5, (strings, length), generator=torch.Generator().manual_seed(1))


def changed_at(tokens: Tensor, place: int) -> Tensor:
    other = tokens.clone()
    other[:, place] = (other[:, place] + 1) % 5
    return other


def unmade(spec: TransformerSpec) -> dict[str, int]:
    """Sizes of the weights of the seed's network, which are not made."""
    with torch.device("meta"):
        model = build_network(spec, vocab_size=256, outputs=256, max_length=2071)
    return {name: weight.numel() for name, weight in model.named_parameters()}


def test_the_seed_has_its_parameters_part_by_part():
    model = build_network(SEED, vocab_size=256, outputs=256, max_length=2071)
    assert trainable_parameters(model) == 12_735_744
    parts: Counter[str] = Counter()
    for name, weight in model.named_parameters():
        known = {"token_emb": "embedding", "to_logits": "logits", "gamma": "norm", ".ff.": "feed"}
        part = next((part for key, part in known.items() if key in name), "attention")
        parts[part] += weight.numel()
    assert parts == {
        "embedding": 65_536,
        "logits": 65_536,
        "attention": 12 * 524_288,
        "feed": 12 * 525_568,
        "norm": 25 * 256,
    }


@pytest.mark.parametrize("positions", POSITIONS)
def test_an_encoding_has_its_own_weights_and_no_other_learned_positions(positions: Positions):
    sizes = unmade(SEED.model_copy(update={"positions": positions}))
    plain = unmade(SEED.model_copy(update={"positions": "none"}))
    own = {name: size for name, size in sizes.items() if name not in plain}
    count, name = PARAMETERS[positions]
    assert sum(own.values()) == count
    assert all(name in each for each in own)
    assert sum(sizes.values()) == 12_735_744 + count


@pytest.mark.parametrize(("norm", "size"), [("layer", 256), ("rms", 256), ("scale", 1)])
def test_norms_have_gains_and_no_biases(norm: Norm, size: int):
    sizes = unmade(SEED.model_copy(update={"norm": norm}))
    assert sum(sizes.values()) == 12_735_744 + 25 * (size - 256)


def test_gates_and_shared_keys_change_the_counts_as_they_say():
    gated = unmade(SEED.model_copy(update={"glu": True}))
    assert sum(gated.values()) == 12_735_744 + 12 * (256 * 1024 + 1024)
    shared = unmade(SEED.model_copy(update={"kv_heads": 2}))
    assert sum(shared.values()) == 12_735_744 - 12 * 2 * 256 * 6 * 64


@pytest.mark.parametrize(
    "spec",
    [each for each in every_encoding_and_masking() if each.uses_flash],
    ids=lambda spec: spec.hash(),
)
def test_flash_is_the_same_function(spec: TransformerSpec):
    outputs = []
    for flash in (True, False):
        model = built(spec.model_copy(update={"flash": flash, "dropout": 0.0})).double()
        torch.manual_seed(3)
        outputs.append(model(drawn()))
    torch.testing.assert_close(*outputs)


def test_null_is_flash_wherever_the_encoding_allows_it():
    used = {positions: small(positions=positions).uses_flash for positions in POSITIONS}
    assert {positions for positions, flash in used.items() if not flash} == NOT_FLASH
    for positions, flash in used.items():
        layers: Any = built(small(positions=positions)).net.attn_layers
        assert layers.layers[0][1].attend.flash == flash


def test_one_head_may_be_of_another_width_than_the_model():
    model = built(small(heads=1, head_width=20, positions="alibi")).eval()
    assert model(drawn()).shape == (3, 20, 4)
    logits, _ = model.prefill(drawn()[:, :7])
    torch.testing.assert_close(logits, model(drawn())[:, 6])


def test_dropout_is_on_in_training_only():
    model = built(small(dropout=0.3))
    assert not torch.equal(model(drawn()), model(drawn()))
    model.eval()
    assert torch.equal(model(drawn()), model(drawn()))


@pytest.mark.parametrize(
    "positions", [each for each in POSITIONS if each != "data_dependent_alibi"]
)
def test_what_is_hidden_in_training_is_seen_by_nobody(positions: Positions):
    forgetful = small(positions=positions, masking={"kind": "forgetful", "rate": 0.3}, dropout=0.0)
    model = built(forgetful).double()
    tokens = drawn(strings=1)
    torch.manual_seed(5)
    hidden = int((~draw_visible_keys(tokens, rate=0.3)[0]).nonzero()[2])

    def logits(tokens: Tensor) -> Tensor:
        torch.manual_seed(5)
        return model(tokens)[0]

    before, after = logits(tokens), logits(changed_at(tokens, hidden))
    moved = (before != after).any(dim=-1).nonzero().flatten().tolist()
    # Its own logits still come from it, past attention.
    assert moved == [hidden]


def test_forgetting_stops_with_training():
    forgetful = built(small(masking={"kind": "forgetful", "rate": 0.5}, dropout=0.0))
    causal = built(small(dropout=0.0))
    assert not torch.allclose(forgetful(drawn()), causal(drawn()))
    assert torch.equal(forgetful.eval()(drawn()), causal(drawn()))


@pytest.mark.parametrize(("layers", "length"), [(1, 4), (2, 4), (3, 2), (1, 1)])
def test_a_window_reaches_so_far_back_in_every_layer(layers: int, length: int):
    spec = small(layers=layers, masking={"kind": "window", "length": length}, dropout=0.0)
    model = built(spec).double()
    before, after = model(drawn()), model(changed_at(drawn(), 3))
    moved = (before != after).any(dim=-1).all(dim=0).nonzero().flatten().tolist()
    assert moved == list(range(3, 3 + layers * (length - 1) + 1))


def test_a_prompt_sees_itself_and_its_length_may_be_changed():
    model = built(small(masking="prefix", dropout=0.0)).double()
    longer = built(small(masking="prefix", dropout=0.0), prompt_length=9).double()
    moved = (model(drawn()) != model(changed_at(drawn(), 3))).any(dim=-1).all(dim=0)
    assert moved.all()
    assert not torch.allclose(model(drawn()), longer(drawn()))
    model.prompt_length = 9
    assert torch.equal(model(drawn()), longer(drawn()))
    logits, state = model.prefill(drawn()[:, :9])
    torch.testing.assert_close(logits, longer(drawn())[:, 8])
    logits, _ = model.step(drawn()[:, 9], state=state)
    torch.testing.assert_close(logits, longer(drawn())[:, 9])


def test_a_prompt_is_read_at_once_or_not_at_all():
    model = built(small(masking="prefix"))
    with pytest.raises(ValueError, match=r"the prompt's 4 tokens see one another, .* but got 3"):
        model.prefill(drawn()[:, :3])
    with pytest.raises(ValueError, match="prefix masking needs strings that begin with a prompt"):
        built(small(masking="prefix"), prompt_length=0)


@pytest.mark.parametrize("positions", POSITIONS)
def test_only_absolute_positions_come_to_an_end(positions: Positions):
    model = built(small(positions=positions), max_length=8).double().eval()
    if positions != "absolute":
        assert model.longest is None
        whole = model(drawn())
        _, state = model.prefill(drawn()[:, :7])
        for t in range(7, 20):
            logits, state = model.step(drawn()[:, t], state=state)
            torch.testing.assert_close(logits, whole[:, t])
        return
    assert model.longest == 8
    _, state = model.prefill(drawn()[:, :8])
    for read in (
        lambda: model(drawn()[:, :9]),
        lambda: model.hidden_states(drawn()[:, :9]),
        lambda: model.prefill(drawn()[:, :9]),
        lambda: model.prefill(drawn()[:, :1], state=state),
        lambda: model.step(drawn()[:, 0], state=state),
    ):
        with pytest.raises(ValueError, match="a position for each of 8 tokens, but got 9"):
            read()


def test_a_step_moves_no_memory():
    model = built(small())
    _, state = model.prefill(drawn()[:, :2])

    def places() -> list[int]:
        rows = [rows for cache in state.caches for rows in (cache.keys, cache.values)]
        return [rows.extend(torch.zeros(3, 2, 0, 8)).data_ptr() for rows in rows]

    before = places()
    for t in range(2, 20):
        model.step(drawn()[:, t], state=state)
    assert places() == before


def test_hidden_states_are_what_every_block_hands_on():
    deep = built(small(layers=3)).eval()
    found = deep.hidden_states(drawn())
    assert found.shape == (3, 3, 20, 12)
    for layers in (1, 2):
        shallow = built(small(layers=layers))
        shallow.load_state_dict({name: deep.state_dict()[name] for name in shallow.state_dict()})
        torch.testing.assert_close(shallow.hidden_states(drawn()), found[:layers])
    net: Any = deep.net
    logits = net.to_logits(net.attn_layers.final_norm(found[-1]))
    torch.testing.assert_close(logits, deep(drawn()))


@pytest.mark.parametrize("positions", POSITIONS)
def test_a_step_in_bf16_is_finite_and_learns_in_every_weight(positions: Positions):
    model = built(small(positions=positions))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(drawn())
    loss = functional.cross_entropy(logits.float().flatten(0, 1), drawn().flatten() % 4)
    loss.backward()
    assert torch.isfinite(loss)
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"kv_heads": 3}, "model.kv_heads", "must divide heads, but got (heads=4, kv_heads=3)"),
    ({"positions": "polar", "kv_heads": 2}, "model.kv_heads", "write kv_heads: null"),
    ({"positions": "rotary", "head_width": 7}, "model.head_width", "must be a multiple of 4"),
    ({"positions": "xpos", "head_width": 4}, "model.head_width", "at least 8, with xpos positions"),
    ({"positions": "sinusoidal", "width": 9}, "model.width", "must be even"),
    ({"positions": "dynamic", "width": 3}, "model.width", "must be at least 4"),
    ({"positions": "t5", "flash": True}, "model.flash", "write flash: null (or false)"),
    ({"positions": "cope", "flash": True}, "model.flash", "cope positions need the full"),
    ({"positions": "dynamic", "flash": True}, "model.flash", "dynamic positions need the full"),
    ({"positions": "cope", "masking": "prefix"}, "model.masking", "write masking: causal"),
    ({"positions": "xpos", "masking": "prefix"}, "model.masking", "write masking: causal"),
    (
        {"positions": "data_dependent_alibi", "masking": "forgetful"},
        "model.masking",
        "write masking: causal",
    ),
    ({"positions": "alibbi"}, "model.positions", "must be 'absolute', 'sinusoidal', 'none'"),
    (
        {"positions": "rotatory"},
        "model.positions",
        "but got 'rotatory'; did you mean rotary?",
    ),
    ({"masking": "windw"}, "model.masking", "no such kind: 'windw'; did you mean window?"),
    ({"masking": "window"}, "model.masking.length", "is required, and is not given"),
    ({"masking": {"kind": "forgetful", "rate": 1}}, "model.masking.rate", "must be below 1"),
    ({"masking": {"rate": 0.1}}, "model.masking", "needs a `kind`"),
    ({"norm": "batch"}, "model.norm", "must be 'layer', 'rms' or 'scale'"),
    ({"ff_multiplier": 0}, "model.ff_multiplier", "must be at least 1"),
    ({"hedas": 2}, "model.hedas", "did you mean model.heads?"),
]


@pytest.mark.parametrize(("fields", "path", "sentence"), WRONG)
def test_what_does_not_go_together_is_told(fields: dict[str, Any], path: str, sentence: str):
    with pytest.raises(SpecError) as caught:
        RunSpec.parse({"task": LIFE, "model": {"kind": "transformer", **fields}})
    [problem] = caught.value.problems
    assert str(problem).startswith(f"{path}: ")
    assert sentence in problem.message


def test_all_but_four_encodings_and_maskings_go_together():
    taken = {(spec.positions, spec.masking.kind) for spec in every_encoding_and_masking()}
    pairs = {(positions, masking["kind"]) for positions in POSITIONS for masking in MASKINGS}
    assert pairs - taken == {
        ("xpos", "prefix"),
        ("cope", "prefix"),
        ("data_dependent_alibi", "prefix"),
        ("data_dependent_alibi", "forgetful"),
    }


@pytest.mark.parametrize(
    "task", [{"kind": "cfg", "grammar": "cfg3b", "height": 1}, {**LIFE, "loss": "whole"}]
)
def test_prefix_masking_needs_a_task_with_a_prompt(task: dict[str, Any]):
    model = {"kind": "transformer", "masking": "prefix"}
    RunSpec.parse({"task": LIFE, "model": model})
    with pytest.raises(SpecError) as caught:
        RunSpec.parse({"task": task, "model": model})
    [problem] = caught.value.problems
    assert str(problem).startswith("model.masking: prefix masking lets the tokens of a prompt see")
    assert "such as life with loss: completion" in problem.message


def recorded(spec: RunSpec, path: Path) -> RunDirectory:
    directory = RunDirectory(path)
    for _ in record(spec, directory=directory):
        pass
    assert directory.info()["state"] == "finished"
    return directory


def test_a_small_transformer_learns_an_easy_grammar(tmp_path: Path):
    spec = tiny(
        task__height=2,
        model={"kind": "transformer", "width": 32, "heads": 2},
        training__epochs=3,
        training__batches_per_epoch=50,
        training__batch_size=64,
        optimizer__lr=5e-3,
    )
    last = recorded(spec, tmp_path / "run").measurements()[-1].metrics
    assert last["valid/excess"] < 0.05


def test_a_trained_transformer_reads_larger_boards_and_their_longer_prompts(tmp_path: Path):
    changes = {"training__epochs": 1, "training__batches_per_epoch": 2, "evaluation__generate": 2}
    prefix = {"kind": "transformer", "layers": 1, "masking": "prefix"}
    learned = {"kind": "transformer", "layers": 1, "positions": "absolute"}
    run = recorded(tiny(task=LIFE, model=prefix, **changes), tmp_path / "prefix")
    trained = load(run.path, changes={"task.rows": 5})
    assert trained.model.prompt_length == trained.task.prompt_length == 15 + 19
    run = recorded(tiny(task=LIFE, model=learned, **changes), tmp_path / "learned")
    with pytest.raises(FileError, match="the model learned only 34 positions"):
        load(run.path, changes={"task.rows": 5})


@pytest.mark.slow
def test_everything_that_may_be_asked_for_together_works():
    specs = every_combination()
    assert len(specs) > 1000
    for spec in specs:
        model = built(spec).double()
        loss = model(drawn()).logsumexp(dim=-1).sum()
        loss.backward()
        for name, weight in model.named_parameters():
            assert weight.grad is not None, (spec, name)
            assert torch.isfinite(weight.grad).all(), (spec, name)
        whole = model.eval()(drawn()).detach()
        model.train()
        _, state = model.prefill(drawn()[:, :6])
        for start, stop in itertools.pairwise((6, 7, 8, 13, 14, 20)):
            logits, state = model.prefill(drawn()[:, start:stop], state=state)
            torch.testing.assert_close(logits, whole[:, stop - 1], msg=str(spec))
        model.eval()
        for place in (4, 7, 19):
            other = model(changed_at(drawn(), place))
            assert torch.equal(other[:, :place], whole[:, :place]), (spec, place)
