"""Tiny policies, made once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from qoqtrain.data.batch import ModelInputs
from qoqtrain.data.collate import Collator
from qoqtrain.model.policy import Policy
from qoqtrain.model.processor import Processor
from qoqtrain.model.tiny import tiny_policy
from tests.qoqtrain.model.clinical import FAMILIES, mixed_records, texts


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny matrices gain nothing from threads that wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", params=FAMILIES)
def made(request: pytest.FixtureRequest) -> tuple[Policy, Processor]:
    """A tiny policy of each family with its processor, its weights large enough to matter."""
    policy, processor = tiny_policy(request.param, texts())
    with torch.no_grad():
        for weight in policy.parameters():
            if weight.ndim > 1:
                weight.mul_(5)
    return policy, processor


@pytest.fixture
def policy(made: tuple[Policy, Processor]) -> Any:
    """The policy in evaluation mode, without gradients from other tests."""
    made[0].zero_grad(set_to_none=True)
    return made[0].eval()


@pytest.fixture
def collator(made: tuple[Policy, Processor]) -> Collator:
    """A collator for it."""
    return Collator(made[1])


@pytest.fixture
def batch(collator: Collator) -> ModelInputs:
    """Text, image, slices, ECG, ECG with image."""
    return collator(mixed_records())
