"""IOPaint's routes, so that its page, its batch scripts and its plug-ins can be pointed here.

The protocol is that of IOPaint 1.6 (https://github.com/Sanster/IOPaint). Its page shows the member
``errors`` of an error, and reads ``X-Seed`` of a result; models other than inpainting, plug-ins and
the file manager are answered as not there.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from freefill.server import forms, openapi, schemas
from freefill.server.core import Server
from freefill.server.guard import drain
from freefill.server.problems import ProblemError

TAG = "IOPaint"
SMALL = 65_536
"""Bytes of a body that holds a name."""


class InpaintBody(BaseModel):
    """A fill as IOPaint's clients ask for it; what else they send is ignored."""

    model_config = ConfigDict(extra="ignore")

    image: Annotated[str, Field(min_length=1, description="A file in base64, or a data URL.")]
    mask: Annotated[str, Field(min_length=1, description="The same; white = fill.")]
    hd_strategy: Annotated[
        str | None,
        Field(description="Taken and not needed: freefill plans each hole by itself."),
    ] = None
    hd_strategy_crop_trigger_size: int | None = None
    hd_strategy_crop_margin: int | None = None
    hd_strategy_resize_limit: int | None = None
    sd_seed: Annotated[int | None, Field(description="Comes back as `X-Seed`.")] = None


class ModelInfo(BaseModel):
    """A model as IOPaint's page wants to know it."""

    model_config = ConfigDict(protected_namespaces=())

    name: str
    path: str
    model_type: str = "inpaint"
    is_single_file_diffusers: bool = False
    need_prompt: bool = False
    controlnets: list[str] = []
    brushnets: list[str] = []
    support_strength: bool = False
    support_outpainting: bool = False
    support_lcm_lora: bool = False
    support_controlnet: bool = False
    support_brushnet: bool = False
    support_powerpaint_v2: bool = False


class ServerConfig(BaseModel):
    """What IOPaint's page asks first; the names are its own."""

    model_config = ConfigDict(alias_generator=None)

    plugins: list[str] = []
    modelInfos: list[ModelInfo]  # noqa: N815
    removeBGModel: str = ""  # noqa: N815
    removeBGModels: list[str] = []  # noqa: N815
    realesrganModel: str = ""  # noqa: N815
    realesrganModels: list[str] = []  # noqa: N815
    interactiveSegModel: str = ""  # noqa: N815
    interactiveSegModels: list[str] = []  # noqa: N815
    enableFileManager: bool = False  # noqa: N815
    enableAutoSaving: bool = False  # noqa: N815
    enableControlnet: bool = False  # noqa: N815
    controlnetMethod: str | None = None  # noqa: N815
    disableModelSwitch: bool = False  # noqa: N815
    isDesktop: bool = False  # noqa: N815
    samplers: list[str] = []


class SwitchBody(BaseModel):
    """Which model to take from now on."""

    name: Annotated[str, Field(min_length=1, max_length=200)]


class GenInfo(BaseModel):
    """The prompt that a picture was made with."""

    prompt: str = ""
    negative_prompt: str = ""


def add(app: FastAPI, server: Server) -> None:
    """Add the routes.

    Args:
        app: To which.
        server: What they share.
    """
    current = server.models.default

    def with_line(problem: ProblemError) -> ProblemError:
        # What its page shows of an error.
        problem.errors = problem.errors or problem.detail
        return problem

    @app.post("/api/v1/inpaint", tags=[TAG], **openapi.inpaint(InpaintBody))
    async def inpaint(request: Request) -> Response:
        """Fill the white part of a mask; the answer is an image in the image's own format."""
        try:
            async with server.place(request) as ticket:
                if forms.media_type_of(request) != forms.JSON:
                    raise ProblemError(415, "media-type", f"the body is to be {forms.JSON}")
                body = await server.read(forms.read_json(request, InpaintBody, strict=False))
                files = {k: forms.decoded(getattr(body, k), k) for k in ("image", "mask")}
                options = schemas.FillOptions(model=current)
                content, kind, _ = await server.fill(request, ticket, files, options)
        except ProblemError as problem:
            raise with_line(problem) from None
        seed = -1 if body.sd_seed is None else body.sd_seed
        return Response(content, media_type=kind, headers={"X-Seed": str(seed)})

    @app.post("/api/v1/gen-info", tags=[TAG], **openapi.IGNORED)
    async def gen_info(request: Request) -> GenInfo:
        """Answer that a picture was made with no prompt: nothing here takes one."""
        settings = server.settings
        await drain(request.receive, settings.max_body, settings.body_seconds)
        return GenInfo()

    @app.get("/api/v1/server-config", tags=[TAG], **openapi.PLAIN)
    async def server_config() -> ServerConfig:
        """Tell IOPaint's page what there is."""
        return ServerConfig(modelInfos=[info(model.name) for model in server.models.list()])

    @app.get("/api/v1/model", tags=[TAG], **openapi.PLAIN)
    async def model() -> ModelInfo:
        """Tell which model fills."""
        return info(current)

    @app.post("/api/v1/model", tags=[TAG], **openapi.switch(SwitchBody))
    async def switch(request: Request) -> ModelInfo:
        """Have another model fill what comes by `/api/v1/inpaint`."""
        nonlocal current
        try:
            async with server.place(request):
                if forms.media_type_of(request) != forms.JSON:
                    raise ProblemError(415, "media-type", f"the body is to be {forms.JSON}")
                reading = forms.read_json(request, SwitchBody, most=SMALL)
                current = server.models.check((await server.read(reading)).name)
        except ProblemError as problem:
            raise with_line(problem) from None
        return info(current)

    def info(name: str) -> ModelInfo:
        # Where it lies is nobody's business; its page only shows it.
        return ModelInfo(name=name, path=name)
