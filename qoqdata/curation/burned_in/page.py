"""A page that shows the findings in their images, readable by the owner only."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from qoqdata.atomic import replacing
from qoqdata.curation.burned_in.looking import Seen
from qoqdata.readers import encode

#: Images on one page: more than a person looks at in an hour.
MOST = 500
_SIDE = 640
_RED = (255, 0, 0)
_HEAD = (
    '<!doctype html><meta charset="utf-8"><title>Text burned into images</title>'
    "<style>body{font:14px sans-serif}figure{display:inline-block;margin:8px}"
    "figcaption{max-width:640px;overflow-wrap:anywhere}</style>"
)


@dataclass
class FindingsPage:
    """Collects images with their findings boxed, at most MOST."""

    left_out: int = 0
    _figures: list[str] = field(default_factory=list)

    def add(self, id_: str, image: int, pixels: NDArray[np.uint8], seen: list[Seen]) -> None:
        """One image (rows, columns, 3 RGB) of a record and what was seen in it."""
        if not any(one.kind == "text" for one in seen):
            return
        if len(self._figures) == MOST:
            self.left_out += 1
            return
        scale = min(1.0, _SIDE / max(pixels.shape[:2]))
        shown = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        for one in seen:
            x0, y0, x1, y1 = (round(edge * scale) for edge in one[:4])
            cv2.rectangle(shown, (x0 - 2, y0 - 2), (x1 + 1, y1 + 1), _RED, 1)
        data = base64.b64encode(encode.jpeg(shown, quality=85)).decode()
        boxes = "; ".join(
            f"{one.kind} at {one.x0}, {one.y0} to {one.x1}, {one.y1}, "
            f"{one.evidence} {one.score:.2f}"
            for one in seen
        )
        self._figures.append(
            f'<figure><img src="data:image/jpeg;base64,{data}" alt="">'
            f"<figcaption>{html.escape(id_)}, image {image}: {boxes}</figcaption></figure>"
        )

    def write(self, path: Path) -> None:
        """Write the page at `path`, with mode 0600."""
        more = f"<p>{self.left_out} more images have findings.</p>" if self.left_out else ""
        with replacing(path) as draft:
            draft.touch(mode=0o600)
            draft.chmod(0o600)
            draft.write_text(
                f"{_HEAD}<h1>Text burned into images</h1>{more}{''.join(self._figures)}\n",
                encoding="utf-8",
            )
