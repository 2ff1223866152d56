"""A server's rollouts in a step: its messages, and its log-probabilities as the old ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import qoqdata  # noqa: E402
from qoqtrain.data.collate import Collator  # noqa: E402
from qoqtrain.model.processor import Processor  # noqa: E402
from qoqtrain.trainer.log import metrics  # noqa: E402
from qoqtrain.trainer.loop import train  # noqa: E402
from qoqtrain.trainer.plan.settings import read_settings  # noqa: E402
from qoqtrain.trainer.step import policy_step  # noqa: E402
from qoqtrain.trainer.step.sampling import chat_messages  # noqa: E402


@pytest.fixture
def collator(warm):
    return Collator(Processor.from_pretrained(warm.model), system="Be brief.")


def test_messages_hold_the_prompt_and_its_images_in_order(demo, collator):
    stream = qoqdata.open(demo).stream("train", shuffle=False, epochs=1, workers=0)
    record = next(record for record in stream if len(record["images"] or ()) > 1)
    system, user = chat_messages(collator, record)
    assert system == {"role": "system", "content": "Be brief."}
    kinds = [part["type"] for part in user["content"]]
    assert kinds.count("image_url") == len(record["images"])
    words = "".join(part.get("text", "") for part in user["content"])
    assert record["question"] in words
    assert "thousandths" in words or record["regions"] is None
    assert "\ue000" not in words
    box = {"label": "spot", "image": 1, "role": "given", "x_min": 0.0, "y_min": 0.0}
    box |= {"x_max": record["image_info"][1]["width"] / 4, "y_max": 1.0}
    told = chat_messages(collator, {**record, "regions": [box]})[1]["content"][-1]["text"]
    assert "spot in Slice 2: [0, 0, 250, " in told or "spot in Frame 2: [0, 0, 250, " in told


def test_engines_are_given_one_placeholder_an_image_which_they_expand(demo, collator):
    stream = qoqdata.open(demo).stream("train", images="bytes", shuffle=False, epochs=1, workers=0)
    record = next(record for record in stream if len(record["images"] or ()) > 1)
    place = collator.processor.image_token_id
    sizes = [(one["width"], one["height"]) for one in record["image_info"]]
    expanded, tokens = [], iter(collator.processor.image_tokens(*size) for size in sizes)
    for token in collator.served_ids(record):
        expanded += [token] * (next(tokens) if token == place else 1)
    assert expanded == collator.row(record).input_ids.tolist()


def test_a_samplers_own_log_probabilities_are_the_old_ones(small, monkeypatch):
    real = policy_step.sampler_of
    runs = []

    def as_a_server_would(run, rows, records):
        local = real(run, rows, records)
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
