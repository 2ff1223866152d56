"""How a build stores pixels: the policy that the manifest records for every source."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from qoqdata.contract.vocabulary import StoragePolicy


class Storage(BaseModel):
    """`training` bounds pixels and encodes JPEG; `native` is lossless at the reader's size.

    Both keep the bytes of 8-bit JPEG and PNG files, `training` up to `max_pixels`. Masks are
    lossless under both.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: StoragePolicy = "training"
    max_pixels: int = Field(
        1_048_576, ge=4096, description="training: pixels an image, by area averaging"
    )
    quality: int = Field(95, ge=60, le=100, description="training: JPEG quality, chroma in full")

    @model_validator(mode="before")
    @classmethod
    def _policy_alone(cls, value: Any) -> Any:
        """`storage: native` is short for `storage: {policy: native}`."""
        return {"policy": value} if isinstance(value, str) else value
