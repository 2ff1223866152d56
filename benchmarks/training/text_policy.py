"""A language model without eyes in the place of the policy: the trainer's own step runs on it.

The trainer trains Qwen vision-language models. Of these none is in a package that is small enough
to be tried on two cores, so a text model stands in; it is shown the question and its options, no
image and no ECG.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DynamicCache

from qoqdata.question import with_options
from qoqtrain.data.batch import KEPT, Row
from qoqtrain.data.collate import Collator
from qoqtrain.data.prompt import TextPart
from qoqtrain.model.decoding import Decoding, begin
from qoqtrain.model.processor import Processor

#: Every response begins with this, so that a model that never heard of boxed answers gives one.
OPENING = "The answer is \\boxed{"


class TextPolicy(nn.Module):
    """`vlm` is a causal language model; calls as `qoqtrain.model.policy.Policy` takes them."""

    #: A pass has one response behind each prompt.
    shares_prompts = False

    def __init__(self, vlm: Any) -> None:
        super().__init__()
        self.vlm = vlm

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        mm_token_type_ids: Tensor,
        logits_to_keep: int = 0,
    ) -> Tensor:
        """Logits (B, T, vocabulary), of the last `logits_to_keep` positions where that is not 0."""
        del mm_token_type_ids
        places = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        out = self.vlm(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=places,
            logits_to_keep=logits_to_keep,
            use_cache=False,
        )
        return out.logits

    @torch.no_grad()
    def begin(
        self, input_ids: Tensor, attention_mask: Tensor, mm_token_type_ids: Tensor, n: int = 1
    ) -> Decoding:
        """`n` responses to each prompt, as far as their first logits."""
        del mm_token_type_ids
        cache = DynamicCache(config=self.vlm.config)
        places = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        out = self.vlm(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=places,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return begin(
            out.logits[:, -1], cache, attention_mask, places[:, -1] + 1, n, self._next_logits
        )

    @torch.no_grad()
    def _next_logits(self, tokens: Tensor, positions: Tensor, mask: Tensor, cache: Any) -> Tensor:
        out = self.vlm(
            input_ids=tokens[:, None],
            attention_mask=mask.long(),
            position_ids=positions[:, None],
            past_key_values=cache,
            use_cache=True,
        )
        return out.logits[:, -1]


@dataclass(frozen=True, eq=False)
class TextProcessor(Processor):
    """A tokenizer alone."""

    def decode(self, ids: Any) -> str:
        """The response with the opening that stands before it."""
        return OPENING + super().decode(ids)


@dataclass(eq=False)
class TextCollator(Collator):
    """Shows a record's question and options, and nothing else of it."""

    def row(self, record: Mapping[str, Any]) -> Row:
        """One record ready for a batch."""
        question = with_options(record["question"], record.get("options"))
        ids = self._chat.ids([TextPart(question)], (), ())
        ids += self.processor.tokenizer(OPENING, add_special_tokens=False).input_ids
        return Row(
            facts={name: record[name] for name in KEPT if name in record},
            input_ids=np.asarray(ids, dtype=np.int64),
            is_image=np.zeros(len(ids), dtype=bool),
            pixel_values=None,
            grid=None,
            ecg=None,
            truth=self.truth(record, ()),
        )
