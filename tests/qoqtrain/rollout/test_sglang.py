"""The HTTP protocol of the SGLang sampler, and of new weights, on a small server of our own.

It speaks the fields that SGLang documents; no SGLang ran here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from qoqdata.errors import QoqdataError, UsageError  # noqa: E402
from qoqtrain.rollout.protocol import Prompt, SamplingSettings  # noqa: E402
from qoqtrain.rollout.servers import Servers  # noqa: E402
from qoqtrain.rollout.sglang import SglangSampler, load_weights  # noqa: E402
from tests.qoqtrain.loopback import serving  # noqa: E402

SAMPLING = SamplingSettings(n=2, temperature=1.0, top_p=1.0, max_tokens=5)
PNG = b"\x89PNG..."
PROMPTS = [Prompt({"id": "a", "images": [PNG]}, 3, 0), Prompt({"id": "b"}, 3, 1)]


def reply(**other: Any) -> dict[str, Any]:
    facts = {
        "prompt_tokens": 3,
        "finish_reason": {"type": "stop", "matched": 9},
        "output_token_logprobs": [[-0.25, 7, None], [-0.5, 9, None]],
    }
    return {"text": "fine", "meta_info": {**facts, **other}}


def sampler(url: str, **more: Any) -> SglangSampler:
    return SglangSampler(Servers((url,)), [[1, 2], [3, 4, 5]], timeout=20, **more)


def test_every_rollout_is_a_request_with_a_seed_of_its_own() -> None:
    asked: list[tuple[str, dict]] = []

    def answer(path: str, body: dict) -> tuple[int, bytes]:
        asked.append((path, body))
        ended = {"type": "length", "length": 5} if body["input_ids"] == [1, 2] else None
        return 200, json.dumps(reply(**({"finish_reason": ended} if ended else {}))).encode()

    with serving(answer) as address:
        found = sampler(f"{address}/v1", opened="<think>\n", silent=(11,))(
            PROMPTS, SAMPLING, seed=1, step=2
        )
    assert [(one.question, one.row, one.index) for one in found] == [
        *(("a", 0, 0), ("a", 0, 1), ("b", 1, 0), ("b", 1, 1)),
    ]
    assert [one.truncated for one in found] == [True, True, False, False]
    assert found[0].tokens == (7, 9) and found[0].logprobs == (-0.25, -0.5)
    assert found[0].text == "<think>\nfine"
    assert {path for path, _ in asked} == {"/generate"}
    seeds = {body["sampling_params"]["sampling_seed"] for _, body in asked}
    assert len(seeds) == 4 and all(0 <= seed < 2**31 for seed in seeds)
    own = next(body for _, body in asked if body["input_ids"] == [1, 2])
    assert own["image_data"] == ["data:image/png;base64,iVBORy4uLg=="] and own["return_logprob"]
    parameters = own["sampling_params"]
    assert (parameters["max_new_tokens"], parameters["top_k"]) == (5, -1)
    assert parameters["logit_bias"] == {"11": -100.0}
    assert all("image_data" not in body for _, body in asked if body["input_ids"] != [1, 2])


def test_an_ecg_goes_as_embeddings() -> None:
    asked: list[dict] = []

    def answer(_: str, body: dict) -> tuple[int, bytes]:
        asked.append(body)
        return 200, json.dumps(reply()).encode()

    embedded = torch.tensor([[0.5, 1.0], [2.0, -1.0], [0.0, 3.0]], dtype=torch.bfloat16)
    with serving(answer) as address:
        sampler(address, embeddings={0: embedded})(PROMPTS[:1], SAMPLING, seed=1, step=2)
    assert asked[0]["input_embeds"] == [[0.5, 1.0], [2.0, -1.0], [0.0, 3.0]]
    assert not {"input_ids", "image_data", "text"} & set(asked[0])


def test_bent_log_probabilities_are_not_taken() -> None:
    bent = SamplingSettings(n=1, temperature=0.7, top_p=1.0, max_tokens=5)
    with serving(lambda *_: (200, json.dumps(reply()).encode())) as address:
        (found,) = sampler(address)(PROMPTS[1:], bent, seed=1, step=2)
    assert found.logprobs is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (reply(prompt_tokens=9), "9 tokens, the trainer's 3"),
        (reply(finish_reason={"type": "abort"}), "ended by abort"),
        (reply(output_token_logprobs=[]), "of 0 tokens"),
        ({"text": "fine"}, "meta_info"),
        ([], "an answer without"),
    ],
)
def test_a_strange_answer_stops_the_run(content: Any, words: str) -> None:
    with (
        serving(lambda *_: (200, json.dumps(content).encode())) as address,
        pytest.raises((QoqdataError, UsageError), match=words),
    ):
        sampler(address)(PROMPTS[1:], SAMPLING, seed=1, step=2)


def test_weights_are_loaded_from_the_folder_and_the_cache_is_flushed() -> None:
    asked: list[tuple[str, dict]] = []
    said: dict[str, Any] = {"success": True, "message": "Succeeded"}

    def answer(path: str, body: dict) -> tuple[int, bytes]:
        asked.append((path, body))
        return (200 if said["success"] else 400), json.dumps(said).encode()

    with serving(answer) as address:
        load_weights(f"{address}/v1/", Path("/runs/one"))
        call = {"model_path": "/runs/one", "flush_cache": True}
        assert asked == [("/update_weights_from_disk", call)]
        said.update(success=False, message="no such folder")
        with pytest.raises(QoqdataError, match="no such folder"):
            load_weights(address, Path("/runs/one"))
    with (
        serving(lambda *_: (200, b'{"success": false, "message": "busy"}')) as address,
        pytest.raises(QoqdataError, match="did not take the weights: busy"),
    ):
        load_weights(address, Path("/runs/one"))
