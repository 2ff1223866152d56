"""The memory estimate: every part by hand, and parameters and caches of a real tiny policy."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from qoqtrain.model.loading import load_policy
from qoqtrain.model.tiny import write_tiny
from qoqtrain.trainer.plan.memory import GIB, Memory, PassShape, Sizes, memory_of, pass_shapes
from qoqtrain.trainer.plan.settings import read_settings
from qoqtrain.trainer.run import choose_trained

SIZES = Sizes(10**9, 10**7, layers=10, width=100, vocabulary=1000, kv_width=20, heads=4)
ROLLOUTS = {"prompt_tokens": 600, "response_tokens": 400, "batch_tokens": 5000, "per_question": 5}


def settings_with(*assignments: str):
    values = {"data": "d", "model": "m", "rollouts": ROLLOUTS, "questions": 2}
    return read_settings(values=values, assignments=assignments)


def bytes_of(memory: Memory) -> dict[str, int]:
    return {name: round(value * GIB) for name, value in vars(memory).items()}


def estimate(*assignments: str, sizes: Sizes = SIZES, **facts: Any) -> dict[str, int]:
    given = {"world": 1, "bfloat16": True, "deepspeed": True} | facts
    return bytes_of(memory_of(sizes, settings_with(*assignments), **given))


def test_states_by_hand():
    """7e9 parameters in bfloat16 on 8 ranks: 14 GB of weights, 14 of gradients, 84 of AdamW, and
    8 bytes a parameter while it steps."""
    sizes = Sizes(7 * 10**9, 7 * 10**9, layers=28, width=3584, vocabulary=152_064)

    def found(zero: int):
        memory = estimate(f"engine.zero={zero}", "questions=8", sizes=sizes, world=8)
        parts = ("weights", "gradients", "optimizer", "stepping", "frozen")
        return [round(memory[part] / 1e9, 3) for part in parts]

    assert found(0) == [14.0, 14.0, 84.0, 56.0, 0.0]
    assert found(1) == [14.0, 14.0, 10.5, 7.0, 0.0]
    assert found(2) == [14.0, 1.75, 10.5, 7.0, 0.0]
    assert found(3) == [1.75, 1.75, 10.5, 7.0, 0.0]


def test_every_part_by_hand():
    """LoRA of 1e7 of 1e9 parameters, ZeRO 2 on 2 ranks: the frozen base has no other states."""
    settings = settings_with("engine.zero=2", "micro_batch=3", "lora.rank=4", "loss.kl=0.1")
    memory = memory_of(SIZES, settings, world=2, bfloat16=True, deepspeed=True)
    found = bytes_of(memory)
    # Three responses behind one prompt, whose last token they copy.
    length, responses = 599 + 3 * 400, 3 * 400
    logits = 1000 * max(responses * 2 + 4 * 512 * 4, responses * 2 * 2 + 3 * 512 * 4)
    layer = length * 2 * (5 * 100 + 3 * 400)
    assert found == {
        "weights": 2 * 10**7,
        "frozen": 2 * (10**9 - 10**7),
        "optimizer": 12 * 10**7 // 2,
        "gradients": 2 * 10**7 // 2,
        "reference": 0,  # the policy without its adapters
        "casts": 0,
        # Ten layer inputs, and what one layer keeps beyond the room of the logits.
        "activations": length * 2 * 100 * 10 + max(0, layer - logits),
        "logits": logits,
        # Of bools, and of bfloat16 in one layer.
        "mask": length**2 * (1 + 2),
        # One question of a rank: its prompt's keys and values, and a layer's MLP.
        "prefill": 600 * 2 * (2 * 10 * 20 + 4 * 100 + 3 * 400),
        "cache": 2 * 10 * 20 * (600 + 400) * 5 * 2,
        "sampling": 5 * 1000 * (2 + 2 * 8),
        "stepping": 8 * 10**7 // 2,
        # Buckets as large as what is trained: two that are reduced, one that is gathered.
        "buffers": round(0.75 * GIB) + 3 * 2 * 10**7,
        "host": 0,
    }
    states = ("weights", "frozen", "optimizer", "gradients", "reference", "buffers")
    most = max(
        found["activations"] + found["logits"] + found["mask"],
        found["prefill"],
        found["cache"] + found["sampling"],
        found["stepping"],
    )
    assert round(memory.device * GIB) == pytest.approx(sum(found[s] for s in states) + most, abs=9)


def test_torch_alone_keeps_float32_and_casts():
    """In bfloat16 too: weights, frozen ones and the cache are float32, and trained weights are
    there once more in bfloat16."""
    found = estimate("lora.rank=4", deepspeed=False)
    assert found["frozen"] == 4 * (10**9 - 10**7)
    assert found["casts"] == 2 * 10**7
    assert found["cache"] == 2 * 10 * 20 * 1000 * 5 * 4
    assert found["buffers"] == round(0.75 * GIB)
    kept = estimate("lora.rank=4", "engine.gradient_checkpointing=false", deepspeed=False)
    assert kept["casts"] == 2 * 10**9
    assert estimate("lora.rank=4", deepspeed=False, bfloat16=False)["casts"] == 0


def test_the_reference_is_a_copy_where_no_adapters_can_be_switched_off():
    assert estimate("loss.kl=0.1")["reference"] == 2 * 10**9
    assert estimate("loss.kl=0.1", deepspeed=False)["reference"] == 4 * 10**9
    assert estimate("loss.kl=0.1", "lora.rank=4")["reference"] == 0
    begun = Sizes(**vars(SIZES) | {"new_branch": True})
    assert estimate("loss.kl=0.1", "lora.rank=4", sizes=begun)["reference"] == 2 * 10**9
    assert estimate("loss.kl=0")["reference"] == 0


def test_offloading_moves_states_to_the_host():
    found = estimate("engine.zero=3", "engine.offload=all", "lora.rank=4")
    assert (found["weights"], found["frozen"], found["optimizer"], found["stepping"]) == (0,) * 4
    assert found["host"] == 12 * 10**7 + 2 * 10**9


def test_the_cut_of_a_pass():
    """2 questions of 5 responses: 600 tokens and 5 x 400."""

    def shapes(*assignments: str):
        return pass_shapes(settings_with(*assignments), world=1)

    assert shapes("micro_batch=5") == {PassShape(1, 599 + 2000, 2000)}
    # 5 + 1 of the next question, padded to the longer row; then the other 4.
    assert shapes("micro_batch=6") == {PassShape(2, 2599, 2000), PassShape(1, 2199, 1600)}
    assert shapes("micro_tokens=1400") == {PassShape(1, 1399, 800), PassShape(1, 999, 400)}
    assert shapes("micro_tokens=10") == {PassShape(1, 999, 400)}
    alone = ("engine.attention=flash_attention_2", "micro_tokens=2000")
    assert shapes(*alone) == {PassShape(2, 1000, 401)}
    assert shapes("stage=sft", "micro_batch=2") == {PassShape(2, 999, 400)}


def test_micro_tokens_and_the_mask():
    small, large = estimate("micro_tokens=1000"), estimate("micro_tokens=2600")
    assert small["mask"] == 999**2 * 3
    assert large["mask"] == 2599**2 * 3
    every = estimate("micro_tokens=1000", "engine.gradient_checkpointing=false")
    assert every["mask"] == 999**2 * (1 + 10 * 2)
    assert estimate("engine.attention=flash_attention_2")["mask"] == 0


def test_generation_takes_a_group_at_least_and_nothing_with_a_server():
    assert estimate("rollouts.batch_tokens=1")["cache"] == 2 * 10 * 20 * 1000 * 5 * 2
    assert estimate("rollouts.batch_tokens=10000")["cache"] == 2 * 10 * 20 * 1000 * 10 * 2
    assert estimate("rollouts.top_p=0.9")["sampling"] == 5 * 1000 * (2 + 6 * 8)
    served = estimate("rollouts.backend=vllm", "rollouts.url=http://host:8000/v1")
    assert (served["prefill"], served["cache"], served["sampling"]) == (0, 0, 0)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    write_tiny(folder, "qwen3_vl", ecg=None)
    return folder


def test_the_cache_of_a_tiny_policy(tiny):
    """Keys and values after the prompt are as many bytes as the estimate says for no response."""
    policy, _ = load_policy(tiny, dtype="bfloat16", ecg=None)
    text = policy.config.text_config
    ids = torch.arange(16, 28)[None]
    decoding = policy.begin(ids, torch.ones_like(ids), torch.zeros_like(ids), n=3)
    held = sum(part.nbytes for one in decoding.cache.layers for part in (one.keys, one.values))
    kv_width = text.num_key_value_heads * text.head_dim
    assert held == 2 * text.num_hidden_layers * kv_width * 12 * 3 * 2


def test_adapters_of_a_tiny_policy(tiny):
    """rank x (inputs + outputs) for each of four projections of each layer are trained."""
    policy, _ = load_policy(tiny, dtype="float32", ecg=None)
    whole = sum(p.numel() for p in policy.parameters())
    choose_trained(policy, settings_with("lora.rank=4"))
    text = policy.config.text_config
    width, size = text.hidden_size, text.head_dim
    queries, keys = text.num_attention_heads * size, text.num_key_value_heads * size
    layer = 2 * 4 * (width + queries) + 2 * 4 * (width + keys)
    trained = sum(p.numel() for p in policy.parameters() if p.requires_grad)
    assert trained == text.num_hidden_layers * layer
    sizes = Sizes(whole + trained, trained, text.num_hidden_layers, width, text.vocab_size)
    found = estimate("lora.rank=4", sizes=sizes)
    assert (found["weights"], found["gradients"], found["optimizer"]) == (
        2 * trained,
        2 * trained,
        12 * trained,
    )
    assert found["frozen"] == 2 * whole
