"""Parts of a prompt to token ids: the model's chat layout, with every placeholder in its number.

Text of a record is text. Where it happens to contain the letters of a special token, such as
<|im_end|>, these are encoded as ordinary letters, so that no report can end a turn or add an image.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from qoqdata.errors import UsageError
from qoqtrain.data.prompt import ImagePlace, Part, TextPart
from qoqtrain.model.ecg_config import TOKEN
from qoqtrain.model.processor import IMAGE, VISION_END, VISION_START, Processor

# Stands for the user's turn while the template is laid out; no template holds it.
_HERE = "\ue000\ue001\ue000"


class Chat:
    """The chat layout of one processor, made once and safe to use from several threads."""

    def __init__(self, processor: Processor, system: str | None = None) -> None:
        """`system` is the text of a system turn; None leaves it to the template.

        Raises UsageError where the template cannot be laid out.
        """
        self.before, self.after = _layout(processor.tokenizer, system)
        #: What the template itself writes of a response: "<think>\\n" for models that always think.
        self.opened = "<think>\n" if self.after.rstrip().endswith("<think>") else ""
        self._encoder = _backend(processor.tokenizer)
        self._plain = _backend(processor.tokenizer)
        self._plain.encode_special_tokens = True
        added = processor.tokenizer.added_tokens_decoder.values()
        self._special = tuple(str(token) for token in added if token.special)

    def ids(
        self, parts: Sequence[Part], image_tokens: Sequence[int], ecg_tokens: Sequence[int]
    ) -> list[int]:
        """Token ids of a prompt up to where the response begins.

        image_tokens, ecg_tokens  how many placeholders each image and each window takes
        """
        pieces: list[tuple[str, bool]] = [(self.before, False)]
        for part in parts:
            if isinstance(part, TextPart):
                hostile = any(token in part.text for token in self._special)
                pieces.append((part.text, hostile))
            elif isinstance(part, ImagePlace):
                pads = IMAGE * image_tokens[part.index]
                pieces.append((f"{VISION_START}{pads}{VISION_END}", False))
            else:
                pieces.append((TOKEN * ecg_tokens[part.index], False))
        pieces.append((self.after, False))
        ids: list[int] = []
        for text, hostile in _joined(pieces):
            encoder = self._plain if hostile else self._encoder
            ids += encoder.encode(text, add_special_tokens=False).ids
        return ids


def _layout(tokenizer: Any, system: str | None) -> tuple[str, str]:
    turns = [{"role": "user", "content": _HERE}]
    if system is not None:
        turns.insert(0, {"role": "system", "content": system})
    try:
        whole = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    except Exception as error:  # templates are programs and raise what they like
        raise UsageError(f"the chat template cannot be laid out: {error}") from error
    before, mark, after = whole.partition(_HERE)
    if not mark:
        raise UsageError("the chat template leaves the user's turn out")
    return before, after


def _backend(tokenizer: Any) -> Any:
    backend = copy.deepcopy(tokenizer.backend_tokenizer)
    backend.no_truncation()
    backend.no_padding()
    return backend


def _joined(pieces: Sequence[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """Neighbours of the same kind in one, so that ordinary prompts are encoded in one go."""
    runs: list[tuple[str, bool]] = []
    for text, hostile in pieces:
        if runs and not hostile and not runs[-1][1]:
            runs[-1] = (runs[-1][0] + text, False)
        else:
            runs.append((text, hostile))
    return runs
