"""Tiny policies, made once."""

from __future__ import annotations

from tests.qoqtrain.model.conftest import batch, collator, made, one_thread, policy

__all__ = ["batch", "collator", "made", "one_thread", "policy"]
