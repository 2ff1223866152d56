"""A server's rollouts in a step: its messages, and its log-probabilities as the old ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

import qoqdata  # noqa: E402
from qoqdata.errors import UsageError  # noqa: E402
from qoqtrain.rollout.servers import Servers  # noqa: E402
from qoqtrain.trainer.log import metrics  # noqa: E402
from qoqtrain.trainer.loop import train  # noqa: E402
from qoqtrain.trainer.plan.settings import read_settings  # noqa: E402
from qoqtrain.trainer.step import policy_step  # noqa: E402
from qoqtrain.trainer.step.sampling import server_sampler  # noqa: E402


def server_run(**rollouts) -> SimpleNamespace:
    given = {"data": "d", "model": "m", "rollouts": {"backend": "vllm", **rollouts}}
    family = SimpleNamespace(frame="thousandths")
    processor = SimpleNamespace(
        family=family, silent_tokens=(5, 6), seen_size=lambda width, height: (width, height)
    )
    collator = SimpleNamespace(
        processor=processor, boxes="annotated", system="Be brief.", opened="<think>\n"
    )
    settings = read_settings(values=given)
    servers = Servers(settings.rollouts.urls)
    return SimpleNamespace(settings=settings, collator=collator, servers=servers)


def test_messages_hold_the_prompt_and_its_images_in_order(demo):
    sampler = server_sampler(server_run(url="http://localhost:1/v1"))
    assert (sampler.opened, sampler.silent) == ("<think>\n", (5, 6))
    stream = qoqdata.open(demo).stream("train", shuffle=False, epochs=1, workers=0)
    record = next(record for record in stream if len(record["images"] or ()) > 1)
    system, user = sampler.messages_of(record)
    assert system == {"role": "system", "content": "Be brief."}
    kinds = [part["type"] for part in user["content"]]
    assert kinds.count("image_url") == len(record["images"])
    words = "".join(part.get("text", "") for part in user["content"])
    assert record["question"] in words
    assert "thousandths" in words or record["regions"] is None
    assert "\ue000" not in words
    box = {"label": "spot", "image": 1, "role": "given", "x_min": 0.0, "y_min": 0.0}
    box |= {"x_max": record["image_info"][1]["width"] / 4, "y_max": 1.0}
    told = sampler.messages_of({**record, "regions": [box]})[1]["content"][-1]["text"]
    assert "spot in Slice 2: [0, 0, 250, " in told or "spot in Frame 2: [0, 0, 250, " in told


def test_a_server_needs_its_address():
    with pytest.raises(UsageError, match="address"):
        server_sampler(server_run())


def test_a_samplers_own_log_probabilities_are_the_old_ones(small, monkeypatch):
    real = policy_step.sampler_of
    runs = []

    def as_a_server_would(run, rows):
        local = real(run, rows)
        runs.append(run)

        def sample(prompts, sampling, **place):
            found = local(prompts, sampling, **place)
            return [replace(one, logprobs=(-4.0,) * len(one.tokens)) for one in found]

        return sample

    monkeypatch.setattr(policy_step, "sampler_of", as_a_server_would)
    train(read_settings(values={**small, "steps": 1}))
    (line,) = metrics.read_metrics(Path(small["out"]) / metrics.FILE)
    # The likeliest token has a probability near 1, so the largest ratio is near exp(4).
    assert 30 < line["policy"]["max_ratio"] < 55
    assert line["policy"]["kl_old"] > 1
    assert "old" not in line["time"]["parts"]
