"""The mapping of a DICOM folder."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from qoqdata.sources.mapping import Mapping


class DicomFolder(Mapping):
    """The mapping of a DICOM folder."""

    unit: Literal["file", "series"] = Field("file", description="what one record shows")
    key: Literal["path", "sop_instance_uid", "series_instance_uid", "study_instance_uid"] = Field(
        "path", description="what the table's key column holds"
    )
    label_header: Literal["modality", "body_part", "view", "laterality"] | None = Field(
        None, description="take the label from this element of the headers, without a table"
    )
    modalities: tuple[str, ...] = Field(
        (), description="keep these DICOM modalities only; default: all that are images"
    )
    windows: tuple[str | tuple[float, float], ...] = Field(
        (), description="named CT windows or [centre, width], an image each; default: the file's"
    )
    frames: int = Field(8, ge=1, description="frames kept of a multi-frame file")
    slices: int = Field(8, ge=1, description="slices kept of a series")

    @model_validator(mode="after")
    def _labels_come_from_somewhere(self) -> Self:
        if (self.table is None) == (self.label_header is None):
            raise ValueError("name either a table or label_header")
        if self.unit == "series" and self.key in ("path", "sop_instance_uid") and self.table:
            raise ValueError("a series is keyed by series_instance_uid or study_instance_uid")
        return self
