"""What ``freefill.tasks`` offers: all of it, documented, and the same at every front end."""

from __future__ import annotations

import importlib
import inspect
import io
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from freefill import tasks
from freefill.errors import ConfigError, ImageError, MaskError, VideoError
from freefill.imaging.box import Box
from freefill.pipeline.inpainter import Inpainter
from freefill.server.tasks.table import ROUTES
from freefill.tasks.options import options_of
from freefill.tasks.table import TASKS

Run = Callable[..., Any]
Photo = NDArray[np.uint8]

INVENTORY = [
    "harmonise",
    "recompose",
    "remove",
    "retarget",
    "segment",
    "stitch",
    "straighten",
    "uncrop",
    "unmark",
    "unmark_stack",
    "video",
]
EVERYWHERE = {"inpainter", "max_pixels", "progress"}
WITHOUT_NETWORK = {"segment"}


def test_the_inventory_is_this() -> None:
    assert tasks.__all__ == INVENTORY
    assert dir(tasks) == INVENTORY
    with pytest.raises(AttributeError, match="nothing"):
        _ = tasks.nothing


def test_importing_modules_takes_no_functions_place() -> None:
    for module in pkgutil.iter_modules(tasks.__path__):
        importlib.import_module(f"freefill.tasks.{module.name}")
    for name in INVENTORY:
        assert isinstance(getattr(tasks, name), FunctionType)


@pytest.mark.parametrize("name", INVENTORY)
def test_every_task_is_documented_and_takes_the_same_words(name: str) -> None:
    task = getattr(tasks, name)
    signature, text = inspect.signature(task), inspect.getdoc(task) or ""
    for section in ("Args:", "Returns:", "Raises:"):
        assert f"\n{section}\n" in text, section
    for parameter in signature.parameters.values():
        assert f"\n    {parameter.name}: " in text, parameter.name
    first = next(iter(signature.parameters))
    assert first == {"video": "clip", "unmark_stack": "images"}.get(name, "image")
    common = {"max_pixels"} if name in WITHOUT_NETWORK else EVERYWHERE
    assert common <= set(signature.parameters)
    if name not in WITHOUT_NETWORK:
        assert signature.parameters["inpainter"].default is None
    if "mask" in signature.parameters:
        assert list(signature.parameters)[1] == "mask"


def test_the_table_holds_all_that_front_ends_offer() -> None:
    assert {task.name for task in TASKS} == set(INVENTORY) - {"unmark_stack"}
    for task in TASKS:
        assert task.function is getattr(tasks, task.name)
        for one in options_of(task.function):
            assert one.option.help.endswith("."), one.name


@pytest.mark.parametrize("name", [task.name for task in TASKS if task.command])
def test_a_command_has_the_options_of_its_task(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from freefill.cli import main

    monkeypatch.setattr("sys.argv", ["freefill", name, "--help"])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    told = capsys.readouterr().out
    assert f"freefill {name} " in told.split("Usage", 1)[1].split("\n", 1)[1]
    for one in options_of(getattr(tasks, name)):
        option = {"avoid": "not"}.get(one.name, one.name)
        assert f" --{option} " in told
        assert one.option.help.split("`")[0].split(".")[0][:60] in told


def test_a_form_has_the_fields_of_its_task() -> None:
    more = {"model", "format", "strip"}
    for route in ROUTES:
        declared = options_of(route.task.function)
        own = {one.name for one in declared if not one.option.file}
        found = set(route.form.model_fields) - more
        assert found - own <= {"mask"}
        assert own <= found
        files = {one.name for one in declared if one.option.file}
        assert files <= set(route.files)
        for one in declared:
            if one.name in own:
                assert route.form.model_fields[one.name].default == one.plain_default


def test_what_goes_in_comes_out_of_the_shared_network(photo: Photo, tmp_path: Path) -> None:
    Image.fromarray(photo).save(tmp_path / "photo.png")
    content = (tmp_path / "photo.png").read_bytes()
    array = tasks.uncrop(photo, left=8).image
    assert array.shape == (96, 128, 3)
    image = tasks.uncrop(image=Image.fromarray(photo), left="8").image
    assert image.size == (128, 96)
    assert tasks.uncrop(tmp_path / "photo.png", left="8px").image.tobytes() == image.tobytes()
    for made in (tasks.uncrop(content, left=8), tasks.uncrop(io.BytesIO(content), left=8)):
        with Image.open(io.BytesIO(made.image)) as coded:
            assert coded.tobytes() == image.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("segment", {}),
        ("remove", {"grow": 1}),
        ("recompose", {"by": (9, 4)}),
        ("harmonise", {"strength": 0.5}),
        ("unmark", {"kind": "scratches"}),
    ],
)
def test_a_box_is_left_top_right_bottom(
    name: str, options: dict[str, Any], inpainter: Inpainter
) -> None:
    photo = np.full((96, 128, 3), 180, np.uint8)
    photo[20:60, 50:90] = 40, 90, 150
    photo[25:55, 70] = 255
    if name not in WITHOUT_NETWORK:
        options = {**options, "inpainter": inpainter}
    task = getattr(tasks, name)
    corners = (44, 12, 96, 70)
    made = task(photo, box=corners, **options)
    named = dict(zip(("left", "top", "right", "bottom"), corners, strict=True))
    for box in (Box(**named), list(corners), np.array(corners)):
        again = task(photo, box=box, **options)
        np.testing.assert_array_equal(made.image, again.image)
        np.testing.assert_array_equal(made.mask, again.mask)
    rows, columns = np.nonzero(made.mask)
    assert 40 <= columns.min() <= columns.max() < 112
    assert 8 <= rows.min() <= rows.max() < 80


@pytest.mark.parametrize("inpainter", ["light", 3, object()])
def test_what_is_no_inpainter_is_refused(photo: Photo, inpainter: Any) -> None:
    with pytest.raises(ConfigError, match="`inpainter` is a"):
        tasks.uncrop(photo, left=8, inpainter=inpainter)


def test_what_is_no_list_and_no_path_is_refused(photo: Photo) -> None:
    with pytest.raises(ImageError, match="`others` is a str; it must be a list of photos"):
        tasks.stitch(photo, "other.png")  # type: ignore[call-overload]
    with pytest.raises(ImageError, match="`images` is a ndarray"):
        tasks.unmark_stack(photo)  # type: ignore[call-overload]
    with pytest.raises(VideoError, match="`clip` is 3"):
        tasks.video(3, photo, "out.mp4")  # type: ignore[arg-type]
    with pytest.raises(MaskError, match="`grow` is 'much'; it must be a whole number, 0 to 256"):
        tasks.video("in.mp4", photo, "out.mp4", grow="much")  # type: ignore[arg-type]


def test_a_file_beyond_the_limit_is_refused_by_every_task(photo: Photo, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    needed: dict[str, Any] = {"stitch": {"others": [path]}}
    for name in set(INVENTORY) - {"video", "unmark_stack"}:
        with pytest.raises(ValueError, match="megapixels; the limit is"):
            getattr(tasks, name)(path, max_pixels=100, **needed.get(name, {}))
    with pytest.raises(ValueError, match="megapixels; the limit is"):
        tasks.unmark_stack([path], max_pixels=100)
