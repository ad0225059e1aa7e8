"""What goes in and out, as types: the OpenAPI is made from these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from freefill.pipeline import request
from freefill.pipeline.inpainter import LARGEST_GROWTH

Format = Literal["png", "jpeg", "webp", "tiff", "avif", "bmp", "gif"]


class OutputOptions(BaseModel):
    """With which weights, and as what file."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str | None, Field(max_length=200, description="A name from `/v1/models`.")] = (
        None
    )
    format: Annotated[
        Format | None, Field(description="Of the result; by default the image's own.")
    ] = None
    strip: Annotated[bool, Field(description="Leave out EXIF, XMP, GPS, comments and texts.")] = (
        False
    )


class FillOptions(OutputOptions):
    """How to fill."""

    invert: Annotated[bool, Field(description="The mask marks what to keep.")] = False
    grow: Annotated[
        int, Field(ge=0, le=LARGEST_GROWTH, description="Pixels by which the hole is widened.")
    ] = 0
    fit: Annotated[
        Literal["exact", "resize"],
        Field(description="`resize` brings a mask of another size to the image's."),
    ] = "exact"
    soft: Annotated[
        bool,
        Field(description="Where the mask is not fully white, the image is seen through the fill."),
    ] = False
    patch: Annotated[
        bool,
        Field(
            description="Give only what was filled: a PNG of the hole's bounds, transparent "
            "outside the hole; `left` and `top` of the details say where it belongs."
        ),
    ] = False

    def pipeline(self, max_pixels: int) -> request.FillOptions:
        """Give what of them the pipeline takes."""
        return request.FillOptions(
            invert=self.invert,
            grow=self.grow,
            fit=self.fit,
            soft=self.soft,
            max_pixels=max_pixels,
        )


class FillBody(FillOptions):
    """A fill as JSON."""

    image: Annotated[
        str,
        Field(
            min_length=1,
            description="A file in base64, with or without `data:image/...;base64,`.",
            json_schema_extra={"contentEncoding": "base64"},
        ),
    ]
    mask: Annotated[
        str | None,
        Field(
            description="White = fill. Without it, the transparent part of the image is filled.",
            json_schema_extra={"contentEncoding": "base64"},
        ),
    ] = None
    sketch: Annotated[
        str | None,
        Field(
            description="Lines that the fill is to follow: on a transparent ground, dark on "
            "bright, or bright on dark. Only those inside the hole count.",
            json_schema_extra={"contentEncoding": "base64"},
        ),
    ] = None
    colour: Annotated[
        str | None,
        Field(
            description="Strokes of colour that it is to take up, on a transparent ground.",
            json_schema_extra={"contentEncoding": "base64"},
        ),
    ] = None


class ViewOptions(BaseModel):
    """How to show."""

    model_config = ConfigDict(extra="forbid")

    longest: Annotated[int, Field(ge=16, le=8192, description="Of the longer side.")] = 4096


class Details(BaseModel):
    """What became of a fill."""

    width: Annotated[int, Field(description="Of the image, in pixels.")]
    height: int
    left: Annotated[int, Field(description="Where the result belongs in the image.")] = 0
    top: int = 0
    hole: Annotated[float, Field(ge=0, le=1, description="Share of the image that was filled.")]
    seconds: Annotated[float, Field(description="Of work, without waiting.")]
    model: str
    format: str
    notices: Annotated[list[str], Field(description="Lines that a person should read.")]


class FillResult(Details):
    """The same with the result itself."""

    media_type: str
    image: Annotated[str, Field(description="The result in base64.")]


class Progress(BaseModel):
    """How far a fill is."""

    state: Annotated[
        Literal["unknown", "waiting", "reading", "filling", "writing"],
        Field(description="`unknown`: its request has not come yet, or is over."),
    ]
    ahead: Annotated[int, Field(ge=0, description="How many wait before it.")] = 0
    done: Annotated[int, Field(ge=0, description="Crops that the network has filled.")] = 0
    total: Annotated[int, Field(ge=0, description="Crops in all; 0 until they are known.")] = 0


class Model(BaseModel):
    """Weights that can be asked for."""

    name: str
    default: bool
    bytes: int
    licence: str | None
    terms: Annotated[str, Field(description="Licence and training photos, in words.")]
    parameters: int | None
    bundled: bool
    sketch: Annotated[bool, Field(description="Whether a sketch can guide it.")]


class Limits(BaseModel):
    """What a request may have."""

    body: Annotated[int, Field(description="Bytes.")]
    pixels: Annotated[int, Field(description="Width times height of a photo or mask.")]


class Models(BaseModel):
    """All of them, the default first."""

    models: list[Model]
    limits: Limits


class Health(BaseModel):
    """That the server answers."""

    status: Literal["ok"] = "ok"
    version: str


class Readiness(BaseModel):
    """That the server takes requests."""

    status: Literal["ready"] = "ready"
    free: Annotated[int, Field(ge=1, description="Places, of workers and queue together.")]


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, Any]] | str | None = None
    figures: Annotated[
        dict[str, float] | None,
        Field(description="Of the type `doubt`: what it rests on, each 0 to 1."),
    ] = None
