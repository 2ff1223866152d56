"""Rows of the stream as the policy sees them: images, masks, boxes and signals as arrays."""

from qoqdata.stream.decode.budget import Budget
from qoqdata.stream.decode.decoder import Decoder
from qoqdata.stream.decode.transform import ShownImage, Transform

__all__ = ["Budget", "Decoder", "ShownImage", "Transform"]
