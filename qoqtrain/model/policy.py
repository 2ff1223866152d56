"""The policy: a Qwen vision-language model as transformers has it, and an ECG branch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from qoqdata.errors import UsageError
from qoqtrain.model.branches import PROMPT, additive, positions_behind, visible
from qoqtrain.model.decoding import Decoding, begin
from qoqtrain.model.ecg_branch import EcgBranch
from qoqtrain.model.family import Family, family_of
from qoqtrain.model.placement import Placement, placement
from qoqtrain.model.storage import save_policy

#: Kinds of attention that see what a mask of our own lets them see.
MASKED = ("sdpa", "eager")


class Policy(nn.Module):
    """`vlm` is the transformers model, `ecg` the branch or None; see `loading.load_policy`.

    ecg_token_id   id of the ECG placeholder; None without an ECG branch
    silent_tokens  ids that `generate` never samples: the placeholders

    ECG tokens replace the embeddings of their placeholders before the decoder's first layer, so
    the model's own forward and generate run unchanged, its positions and image tokens with them.
    All parameters are used in every pass that needs gradients or runs on several ranks, those of
    an absent modality multiplied by zero: collective operations of ranks then always match.
    """

    def __init__(
        self,
        vlm: Any,
        ecg: EcgBranch | None = None,
        ecg_token_id: int | None = None,
        silent_tokens: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if (ecg is None) != (ecg_token_id is None):
            raise UsageError("an ECG branch and the id of its placeholder come together")
        self.vlm = vlm
        self.ecg = ecg
        self.ecg_token_id = ecg_token_id
        self.silent_tokens = list(silent_tokens)
        self._placement: Placement | None = None
        self._idle_vision = False
        self.core.language_model.register_forward_pre_hook(self._place, with_kwargs=True)

    @property
    def config(self) -> Any:
        """The configuration of the vision-language model."""
        return self.vlm.config

    @property
    def core(self) -> Any:
        """The transformers model without its head; adapters (PEFT) may wrap it."""
        bare = getattr(self.vlm, "get_base_model", None)
        return (bare() if bare else self.vlm).model

    @property
    def family(self) -> Family:
        """Its family, which says what its boxes are in."""
        return family_of(self.vlm.config.model_type, "policy")

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.vlm.device

    @property
    def dtype(self) -> torch.dtype:
        """What the vision-language model computes in."""
        return self.vlm.dtype

    @property
    def attention(self) -> str:
        """How attention is computed, by transformers' name."""
        return str(self.vlm.config.text_config._attn_implementation)

    @property
    def shares_prompts(self) -> bool:
        """Whether `forward` takes `segments`: kernels of flash attention take no mask."""
        return self.attention in MASKED

    def gradient_checkpointing_enable(
        self, gradient_checkpointing_kwargs: dict[str, Any] | None = None
    ) -> None:
        """Recompute activations of the vision-language model in the backward pass.

        The keyword arguments are those of `torch.utils.checkpoint.checkpoint`.
        """
        # transformers 5 renames the method on its way to 6.
        if enable := getattr(self.vlm, "activation_checkpointing_enable", None):
            enable(activation_checkpointing_kwargs=gradient_checkpointing_kwargs)
        else:
            self.vlm.gradient_checkpointing_enable(gradient_checkpointing_kwargs)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        mm_token_type_ids: Tensor,
        pixel_values: Tensor | None = None,
        image_grid_thw: Tensor | None = None,
        ecg: Tensor | None = None,
        ecg_mask: Tensor | None = None,
        ecg_places: Tensor | None = None,
        position_ids: Tensor | None = None,
        segments: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
    ) -> Tensor:
        """Logits (B, T, vocabulary), of the last `logits_to_keep` positions where that is not 0.

        input_ids, attention_mask, mm_token_type_ids   int64 (B, T); 1 is a token, 1 is an image
        pixel_values    (patches, values) of all images, image_grid_thw int64 (images, 3)
        ecg, ecg_mask   (windows, leads, samples) mV and bool; windows in the order of their tokens
        ecg_places      int64 (windows, leads); None: the leads of the configuration, in its order
        position_ids    as `positions` gives them; None: worked out here
        segments        int64 (B, T), for several responses behind a prompt (see `branches`);
                        attention_mask then counts for nothing

        Raises UsageError where placeholders and what they stand for do not match in number, and
        for segments with an attention that takes no mask.
        """
        self._check_images(input_ids, image_grid_thw)
        prompt = attention_mask if segments is None else (segments == PROMPT).long()
        if position_ids is None:
            position_ids = self.positions(input_ids, prompt, mm_token_type_ids, image_grid_thw)
        if segments is not None:
            position_ids = positions_behind(position_ids, segments)
            attention_mask = self._sight(segments)
        with self._placing(input_ids, pixel_values, ecg, ecg_mask, ecg_places):
            out = self.vlm(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                mm_token_type_ids=mm_token_type_ids,
                pixel_values=pixel_values,
                image_grid_thw=image_grid_thw,
                logits_to_keep=logits_to_keep,
                use_cache=False,
            )
        return out.logits

    def positions(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        mm_token_type_ids: Tensor,
        image_grid_thw: Tensor | None = None,
    ) -> Tensor:
        """Rotary positions, int64 (3, B, T): time, height, width; padding is not counted."""
        positions, _ = self.core.get_rope_index(
            input_ids,
            mm_token_type_ids=mm_token_type_ids,
            image_grid_thw=image_grid_thw,
            attention_mask=attention_mask,
        )
        return positions

    def _sight(self, segments: Tensor) -> Tensor:
        if not self.shares_prompts:
            fix = f"load the policy with one of {', '.join(MASKED)}"
            raise UsageError(f"{self.attention} takes no segments", where="attention", fix=fix)
        seen = visible(segments)
        return seen if self.attention == "sdpa" else additive(seen, self.dtype)

    @torch.no_grad()
    def begin(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        mm_token_type_ids: Tensor,
        pixel_values: Tensor | None = None,
        image_grid_thw: Tensor | None = None,
        ecg: Tensor | None = None,
        ecg_mask: Tensor | None = None,
        ecg_places: Tensor | None = None,
        n: int = 1,
    ) -> Decoding:
        """`n` responses to each prompt, as far as their first logits; prompts, images and ECGs are
        read once. Arguments as in `forward`, prompts left-padded. Placeholders have no chance."""
        from transformers import DynamicCache

        self._check_images(input_ids, image_grid_thw)
        if not bool(attention_mask[:, -1].all()):
            raise UsageError("prompts are padded on the left", where="begin")
        positions = self.positions(input_ids, attention_mask, mm_token_type_ids, image_grid_thw)
        cache = DynamicCache(config=self.vlm.config)
        with self._placing(input_ids, pixel_values, ecg, ecg_mask, ecg_places):
            out = self.core(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=positions,
                mm_token_type_ids=mm_token_type_ids,
                pixel_values=pixel_values,
                image_grid_thw=image_grid_thw,
                past_key_values=cache,
                use_cache=True,
            )
        logits = self._spoken(out.last_hidden_state[:, -1])
        behind = positions.masked_fill(attention_mask == 0, -1).amax((0, 2)) + 1
        return begin(logits, cache, attention_mask, behind, n, self._next_logits)

    @torch.no_grad()
    def embeddings(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        mm_token_type_ids: Tensor,
        ecg: Tensor | None = None,
        ecg_mask: Tensor | None = None,
        ecg_places: Tensor | None = None,
    ) -> list[Tensor]:
        """(tokens, width) of each prompt: what the language model reads of it, ECGs in their
        places. Arguments as in `forward`. On several ranks all call this together.

        Raises UsageError for a prompt with images: their places, and what deeper layers are given
        of them, are in no embedding.
        """
        if bool(mm_token_type_ids.any()):
            raise UsageError("a prompt with images is more than its embeddings", where="embeddings")
        placed = self._placement_of(input_ids, ecg, ecg_mask, ecg_places, _several_ranks())
        embedded = self.core.get_input_embeddings()(input_ids)
        if placed is not None:
            embedded = placed.into(embedded)
        pairs = zip(embedded, attention_mask.bool(), strict=True)
        return [row[present] for row, present in pairs]

    @torch.no_grad()
    def _next_logits(self, tokens: Tensor, positions: Tensor, mask: Tensor, cache: Any) -> Tensor:
        out = self.core.language_model(
            inputs_embeds=self.core.get_input_embeddings()(tokens[:, None]),
            position_ids=positions[None, :, None].expand(3, -1, 1),
            # What transformers would make of the two dimensions, anew for every token.
            attention_mask=mask[:, None, None, :] if self.attention == "sdpa" else mask.long(),
            past_key_values=cache,
            use_cache=True,
        )
        return self._spoken(out.last_hidden_state[:, -1])

    def _spoken(self, hidden: Tensor) -> Tensor:
        """Logits (B, vocabulary) at hidden states (B, width)."""
        bare = getattr(self.vlm, "get_base_model", None)
        logits = (bare() if bare else self.vlm).lm_head(hidden)
        logits[:, self.silent_tokens] = -torch.inf
        return logits

    @torch.no_grad()
    def generate(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        mm_token_type_ids: Tensor,
        pixel_values: Tensor | None = None,
        image_grid_thw: Tensor | None = None,
        ecg: Tensor | None = None,
        ecg_mask: Tensor | None = None,
        ecg_places: Tensor | None = None,
        **options: Any,
    ) -> Tensor:
        """Responses, int64 (B * n, at most max_new_tokens), n of a prompt next to each other.

        Prompts are left-padded, arguments as in `forward`, `options` as for transformers'
        generate (max_new_tokens, do_sample, temperature, top_p, top_k, num_return_sequences ...).
        Images and ECGs of a prompt are encoded once for its n responses. After the end of text
        comes padding. Placeholders are never sampled.
        """
        self._check_images(input_ids, image_grid_thw)
        if not bool(attention_mask[:, -1].all()):
            raise UsageError("prompts are padded on the left for generate")
        extra: dict[str, Any] = {}
        if pixel_values is not None:
            extra = {"pixel_values": pixel_values, "image_grid_thw": image_grid_thw}
        if self.silent_tokens:
            extra["suppress_tokens"] = self.silent_tokens
        with self._placing(input_ids, None, ecg, ecg_mask, ecg_places):
            if self._idle_vision and pixel_values is None:
                # Where there are images, generate encodes them before anything else.
                self._vision_at_rest()
            self._idle_vision = False
            sequences = self.vlm.generate(
                input_ids=input_ids,
                attention_mask=attention_mask,
                mm_token_type_ids=mm_token_type_ids,
                **extra,
                **options,
            )
        return sequences[:, input_ids.shape[1] :]

    def save_pretrained(
        self, folder: str | Path, state_dict: dict[str, Tensor] | None = None
    ) -> None:
        """Write the model in transformers' own layout and the ECG part below `ecg/`.

        `state_dict` is that of the policy, where it cannot be read off the parameters (ZeRO-3).
        """
        save_policy(self.vlm, self.ecg, Path(folder), state_dict)

    @contextmanager
    def _placing(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None,
        ecg: Tensor | None,
        ecg_mask: Tensor | None,
        ecg_places: Tensor | None,
    ) -> Iterator[None]:
        everything = torch.is_grad_enabled() or _several_ranks()
        try:
            self._placement = self._placement_of(input_ids, ecg, ecg_mask, ecg_places, everything)
            self._idle_vision = everything and pixel_values is None
            yield
        finally:
            self._placement = None
            self._idle_vision = False

    def _placement_of(
        self,
        input_ids: Tensor,
        signal: Tensor | None,
        valid: Tensor | None,
        places: Tensor | None,
        everything: bool,
    ) -> Placement | None:
        if self.ecg is None:
            if signal is not None:
                fix = "load the policy with an ECG branch"
                raise UsageError("this policy has no ECG branch", fix=fix)
            return None
        if signal is None:
            tokens = None
            idle = self.ecg.idle(input_ids.device) if everything else None
        else:
            if valid is None:
                raise UsageError("an ECG comes with its mask of valid samples")
            if places is None:
                row = torch.tensor(self.ecg.config.places, device=signal.device)
                places = row.expand(signal.shape[0], -1)
            tokens, idle = self.ecg(signal, valid, places), None
        assert self.ecg_token_id is not None
        return placement(input_ids, self.ecg_token_id, tokens, idle)

    def _place(
        self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Hook before the decoder.

        Not behind the embedding layer: under ZeRO-3 the backward pass would then gather its
        parameters before those of the vision tower on ranks without images, and after on others.
        """
        embeddings = kwargs["inputs_embeds"]
        if self._placement is not None:
            embeddings = self._placement.into(embeddings)
        if self._idle_vision:
            embeddings = embeddings + self._vision_at_rest().to(embeddings.dtype)
        return args, kwargs | {"inputs_embeds": embeddings}

    def _vision_at_rest(self) -> Tensor:
        """A zero that depends on every parameter of the vision tower (see `EcgBranch.idle`)."""
        vision = self.vlm.config.vision_config
        side = vision.spatial_merge_size
        values = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
        pixels = torch.zeros(side * side, values, device=self.device)
        grid = torch.tensor([[1, side, side]], device=self.device)
        features = self.core.get_image_features(pixels, grid, return_dict=True)
        parts = [*features.pooler_output]
        for layer in getattr(features, "deepstack_features", None) or ():
            parts.extend(layer)
        return torch.stack([part.sum() for part in parts]).sum() * 0.0

    def _check_images(self, input_ids: Tensor, grid: Tensor | None) -> None:
        config = self.vlm.config
        count = int((input_ids == config.image_token_id).sum())
        merged = config.vision_config.spatial_merge_size**2
        tokens = 0 if grid is None else int(grid.prod(-1).sum()) // merged
        if count != tokens:
            raise UsageError(f"{count} image placeholders for {tokens} image tokens")


def _several_ranks() -> bool:
    distributed = torch.distributed
    return (
        distributed.is_available()
        and distributed.is_initialized()
        and distributed.get_world_size() > 1
    )
