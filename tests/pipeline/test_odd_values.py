"""Whatever a caller passes gets a correct answer, or one of our errors with a sentence."""

from __future__ import annotations

import contextlib
import io
import string
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from numpy.typing import NDArray
from PIL import Image

import freefill
from freefill.errors import ConfigError, FreefillError, ImageError, MaskError, WeightsError
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillOptions, FillRequest

pytestmark = [
    # Torch's and NumPy's own, about some of the values.
    pytest.mark.filterwarnings("ignore:Sparse CSR:UserWarning"),
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested:UserWarning"),
    pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning"),
]

SIZE = (12, 14)
IMAGE = np.full((*SIZE, 3), 130, np.uint8)
MASK = np.zeros(SIZE, bool)
MASK[3:7, 4:9] = True
FLAGS = ("invert", "soft")


def coded(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


PNG = coded(Image.fromarray(IMAGE))


class BytesPath:
    def __fspath__(self) -> bytes:
        return b"photo.png"


class Reader:
    """A file, to whoever looks no closer."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def read(self) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class NeedsSize:
    def read(self, size: int) -> bytes:
        return bytes(size)


def closed_file() -> Any:
    file = io.BytesIO(PNG)
    file.close()
    return file


def closed_image() -> Any:
    image = Image.new("RGB", (14, 12))
    image.close()
    return image


def half_closed_generator() -> Iterator[Any]:
    yield IMAGE


# Made anew for each call: files are read, generators are used up.
OBJECTS: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "Ellipsis": lambda: ...,
    "a class": lambda: Inpainter,
    "a class of files": lambda: io.BytesIO,
    "a module": lambda: np,
    "a function": lambda: len,
    "a generator": half_closed_generator,
    "a set": lambda: {1, 2},
    "a dict": lambda: {"image": IMAGE},
    "a bytearray": lambda: bytearray(PNG),
    "a memoryview": lambda: memoryview(PNG),
    "bytes": lambda: PNG,
    "cut bytes": lambda: PNG[:60],
    "no bytes": lambda: b"",
    "a file": lambda: io.BytesIO(PNG),
    "a closed file": closed_file,
    "a file of text": lambda: io.StringIO("photo.png"),
    "a file that raises": lambda: Reader(RuntimeError("boom")),
    "a file of None": lambda: Reader(None),
    "a file that raises nothing": lambda: Reader(Exception()),
    "a file that asks": NeedsSize,
    "a path of bytes": BytesPath,
    "a folder": lambda: Path(tempfile.gettempdir()),
    "nothing's name": lambda: "",
    "a null": lambda: "a\0.png",
    "half a character": lambda: "\ud800.png",
    "a long name": lambda: "x" * 5000,
    "a long name of a network": lambda: "x" * 5000 + ".onnx",
    "a file that is no network": lambda: Path(__file__),
    "alpha": lambda: "alpha",
    "a closed image": closed_image,
    "an image of nothing": lambda: Image.new("RGB", (0, 0)),
    "an image of a line of nothing": lambda: Image.new("L", (0, 5)),
    **{f"an image {mode}": lambda mode=mode: Image.new(mode, (14, 12)) for mode in
       ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB",
        "HSV", "I", "F", "I;16", "I;16B")},
    "a list of nothing": list,
    "a tuple of None": lambda: (None,),
    "a list of lists": lambda: [[IMAGE]],
    "a list of different sizes": lambda: [IMAGE, IMAGE[:5]],
    "a list of masks": lambda: [MASK, MASK],
    "a masked array": lambda: np.ma.masked_array(IMAGE, IMAGE > 3),
    "a matrix": lambda: np.asmatrix(IMAGE[..., 0]),
    "a recarray": lambda: np.zeros(SIZE, [("a", "u1")]).view(np.recarray),
    "fields": lambda: np.zeros(SIZE, [("a", "u1"), ("b", "f4")]),
    "objects": lambda: np.full(SIZE, None, object),
    "words": lambda: np.full(SIZE, "a"),
    "dates": lambda: np.zeros(SIZE, "M8[s]"),
    "read-only": lambda: np.lib.stride_tricks.as_strided(IMAGE, writeable=False),
    "upside down": lambda: IMAGE[::-1, ::-1],
    "Fortran's order": lambda: np.asfortranarray(IMAGE),
    "a tensor of nothing": lambda: torch.zeros(0, 3, 12, 14),
    "no batch": lambda: torch.zeros(3, 0, 14),
    "a sparse tensor": lambda: torch.zeros(12, 14).to_sparse(),
    "a sparse batch": lambda: torch.zeros(2, 3, 12, 14).to_sparse(),
    "compressed rows": lambda: torch.zeros(12, 14).to_sparse_csr(),
    "a meta tensor": lambda: torch.zeros(12, 14, device="meta"),
    "a meta batch": lambda: torch.zeros(2, 3, 12, 14, device="meta"),
    "eight-bit floats": lambda: torch.zeros(12, 14).to(torch.float8_e4m3fn),
    "a nested tensor": lambda: torch.nested.nested_tensor([torch.zeros(12, 14)]),
    "an imaginary part": lambda: torch.zeros(12, 14, dtype=torch.complex64).conj().imag,
    "a parameter": lambda: torch.nn.Parameter(torch.zeros(3, 12, 14)),
    "a batch": lambda: torch.zeros(2, 3, 12, 14),
    "truth values": lambda: torch.zeros(2, 12, 14, dtype=torch.bool),
    "channels last": lambda: torch.zeros(12, 14, 3),
}  # fmt: skip

DTYPES = st.one_of(
    nps.boolean_dtypes(),
    nps.integer_dtypes(endianness="?"),
    nps.unsigned_integer_dtypes(endianness="?"),
    nps.floating_dtypes(endianness="?"),
    nps.complex_number_dtypes(),
)
SHAPES = st.one_of(
    nps.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4),
    st.sampled_from([SIZE, (*SIZE, 1), (*SIZE, 3), (*SIZE, 4), (*SIZE, 2), (1, *SIZE), (3, *SIZE)]),
)


@st.composite
def arrays(draw: st.DrawFn) -> NDArray[Any]:
    dtype, shape = draw(DTYPES), draw(SHAPES)
    values = [0, 1, 255, -1, 0.5, np.nan, np.inf, 1e30]
    with np.errstate(all="ignore"):
        few = np.array(draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))).astype(
            dtype
        )
    return np.resize(few, shape)


PLAIN = st.one_of(
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(string.ascii_letters + string.digits + string.punctuation + " ", max_size=8),
    st.binary(max_size=40),
    st.sampled_from(
        [np.int8(3), np.float32(2.5), np.bool_(True), np.str_("resize"), np.uint64(2**63)]
    ),
    st.lists(st.one_of(st.none(), st.integers(), arrays()), max_size=3),
)
ODD = st.one_of(
    st.sampled_from(sorted(OBJECTS)).map(OBJECTS.__getitem__),
    PLAIN.map(lambda value: lambda: value),
    arrays().map(lambda value: lambda: value),
)
"""Functions that make a value."""


def answered(call: Callable[[], Any]) -> Any:
    """Give the answer, or the error if it is one of ours; any other fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", freefill.FreefillWarning)
        try:
            return call()
        except FreefillError as error:
            line = str(error)
            assert len(line) > 10
            assert "\n" not in line
            return error


def is_whole(value: object, least: float, most: float) -> bool:
    number = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return number and least <= value <= most  # type: ignore[operator]


@given(made=ODD, how=st.sampled_from(["one", "list", "batch", "fit", "soft"]))
@settings(deadline=None, max_examples=400)
def test_odd_images_and_masks(inpainter: Inpainter, made: Callable[[], Any], how: str) -> None:
    options: dict[str, Any] = {"fit": {"fit": "resize"}, "soft": {"soft": True}}.get(how, {})
    image: Any = {"list": [IMAGE, IMAGE], "batch": torch.zeros(2, 3, *SIZE)}.get(how, IMAGE)
    filled = answered(lambda: inpainter(image, made(), **options))
    if not isinstance(filled, FreefillError):
        assert isinstance(filled, type(image))
        assert np.shape(filled) == np.shape(image)
        value = made()
        mask = np.asarray(value if isinstance(value, np.ndarray) else 0)
        if mask.shape[:2] == SIZE and mask.squeeze().ndim == 2:
            white = mask.squeeze() > (np.iinfo(mask.dtype).max if mask.dtype.kind == "u" else 1) / 2
            changed = (np.asarray(filled) != np.asarray(image)).any(1 if how == "batch" else -1)
            assert not (changed & ~white).any()

    one = made()
    filled = answered(lambda: inpainter([IMAGE, one] if how == "list" else one, MASK, **options))
    if how != "list" and isinstance(one, list | tuple):
        assert isinstance(filled, FreefillError | list)
        return
    if isinstance(filled, list):
        filled = filled[-1]
    if isinstance(filled, np.ndarray) and isinstance(one, np.ndarray):
        assert (filled.shape, filled.dtype) == (one.shape, one.dtype)
        if filled.shape[:2] == SIZE:
            np.testing.assert_array_equal(filled[~MASK], np.asarray(one)[~MASK])
    elif isinstance(one, torch.Tensor) and isinstance(filled, torch.Tensor):
        assert (filled.shape, filled.dtype) == (one.shape, one.dtype)
    elif how != "list":
        assert isinstance(filled, FreefillError | bytes | Image.Image)


@given(made=ODD, name=st.sampled_from(["sketch", "colour"]), several=st.booleans())
@settings(deadline=None, max_examples=200)
def test_odd_guidance(
    inpainter: Inpainter, made: Callable[[], Any], name: str, several: bool
) -> None:
    image: Any = [IMAGE, IMAGE] if several else IMAGE
    filled = answered(lambda: inpainter(image, MASK, **{name: made()}))
    if not isinstance(filled, FreefillError):
        for one in filled if several else [filled]:
            np.testing.assert_array_equal(one[~MASK], IMAGE[~MASK])


@given(
    made=ODD,
    name=st.sampled_from(["invert", "grow", "fit", "soft", "max_pixels", "mask_image"]),
)
@settings(deadline=None, max_examples=300)
def test_odd_options(inpainter: Inpainter, made: Callable[[], Any], name: str) -> None:
    given: dict[str, Any] = {"mask": Image.fromarray(MASK), name: made()}
    answer = answered(lambda: inpainter(PNG, **given))
    value = given[name]
    if name in FLAGS:
        allowed = isinstance(value, bool | np.bool_)
    elif name == "grow":
        allowed = is_whole(value, 0, 256)
    elif name == "fit":
        allowed = isinstance(value, str) and value in ("exact", "resize")
    elif name == "max_pixels":
        allowed = is_whole(value, IMAGE[..., 0].size, np.inf)
    else:
        allowed = value is None
    assert isinstance(answer, bytes) == allowed, answer


@given(made=ODD, name=st.sampled_from(["threads", "device", "model"]))
@settings(deadline=None, max_examples=150)
def test_odd_inpainters(made: Callable[[], Any], name: str) -> None:
    value = made()
    if is_whole(value, 9, 1024):
        value = 2  # so many threads would only be slow
    answer = answered(lambda: Inpainter(**{"threads": 1, name: value}))
    allowed = name == "threads" and (value is None or is_whole(value, 1, 1024))
    assert isinstance(answer, Inpainter) == allowed, answer
    if name == "model":
        answer = answered(lambda: freefill.fill(IMAGE, MASK, model=made()))
        assert isinstance(answer, WeightsError)


@given(
    made=ODD, name=st.sampled_from(["image", "mask", "out", "strip", "overwrite", "model", "fit"])
)
@settings(deadline=None, max_examples=200)
def test_odd_files(made: Callable[[], Any], name: str) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        place = Path(folder)
        (place / "photo.png").write_bytes(PNG)
        options: dict[str, Any] = {
            "image": place / "photo.png",
            "mask": MASK,
            "out": place / "o.png",
        }
        answer = answered(lambda: freefill.fill_file(**options | {name: made()}))
        if isinstance(answer, FreefillError):
            assert [path.name for path in place.iterdir()] == ["photo.png"]
        else:
            assert (place / "o.png").is_file()
            assert name in ("mask", "strip", "overwrite", "fit")


def test_numpys_numbers_are_numbers(inpainter: Inpainter) -> None:
    wide = np.full((90, 100, 3), 130, np.uint8)
    dot = np.zeros((90, 100), bool)
    dot[2, 3] = True
    request = FillRequest(wide, dot, options=FillOptions(grow=np.int8(70)))  # type: ignore[arg-type]
    plain = FillRequest(wide, dot, options=FillOptions(grow=70))
    np.testing.assert_array_equal(inpainter.run(request).mask, inpainter.run(plain).mask)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inpainter(wide, dot, grow=np.uint8(20), invert=np.False_, max_pixels=np.int16(9))


SENTENCES: list[tuple[dict[str, Any], type[FreefillError], str]] = [
    ({"grow": 2.7}, MaskError, "`grow=2.7`: it must be whole pixels from 0 to 256"),
    ({"grow": True}, MaskError, "`grow=True`: it must be whole pixels from 0 to 256"),
    ({"grow": 257}, MaskError, "`grow=257`: it must be whole pixels from 0 to 256"),
    ({"grow": "3"}, MaskError, '`grow="3"`: it must be whole pixels from 0 to 256'),
    ({"invert": "no"}, MaskError, '`invert="no"`: it must be True or False'),
    ({"invert": 0}, MaskError, "`invert=0`: it must be True or False"),
    ({"soft": None}, MaskError, "`soft=None`: it must be True or False"),
    ({"fit": "stretch"}, MaskError, '`fit="stretch"`: it must be exact or resize'),
    ({"fit": None}, MaskError, "`fit=None`: it must be exact or resize"),
    ({"max_pixels": 0}, ConfigError, "`max_pixels=0`: it must be a whole number from 1"),
    ({"max_pixels": 1e6}, ConfigError, "`max_pixels=1000000.0`: it must be a whole number from 1"),
    ({"mask": None}, MaskError, "no mask is given: the image has no alpha channel"),
    ({"mask": IMAGE > 9}, MaskError, "a bool mask is (H, W) or (H, W, 1), not (12, 14, 3)"),
    ({"mask": MASK * 255.0}, MaskError, "holds values in [0, 1], not 0 to 255: divide it by"),
    ({"mask": MASK[:0]}, MaskError, "a mask array of (0, 14) has no pixels"),
    ({"image": IMAGE * 1.0}, ImageError, "[0, 1], this one 130 to 130: divide it by its white"),
    ({"image": IMAGE * np.nan}, ImageError, "[0, 1], this one nan to nan"),
    ({"image": IMAGE[None]}, ImageError, "not (1, 12, 14, 3); several are a list"),
    ({"image": None}, ImageError, "an image is a path, bytes, an open file, a Pillow image"),
    ({"image": Inpainter}, ImageError, "not the class Inpainter"),
    ({"soft": True}, MaskError, "a soft mask is an image with greys in it: this one is bool"),
    ({"soft": True, "grow": 2}, MaskError, "a soft mask is not grown, as `grow=2` would"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "kind", "sentence"), SENTENCES, ids=lambda value: str(value)[:40]
)
def test_sentences_say_what_and_what_to_do(
    inpainter: Inpainter, options: dict[str, Any], kind: type[FreefillError], sentence: str
) -> None:
    given: dict[str, Any] = {"image": IMAGE, "mask": MASK} | options
    for call in (inpainter, freefill.fill):
        with pytest.raises(kind) as refused:
            call(**given)
        assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"device": "gpu"}, '`device="gpu"`: it must be cpu or cuda'),
        ({"device": None}, "`device=None`: it must be cpu or cuda"),
        ({"threads": 0}, "`threads=0`: it must be a whole number from 1 to 1024"),
        ({"threads": "4"}, '`threads="4"`: it must be a whole number from 1 to 1024'),
        ({"threads": True}, "`threads=True`: it must be a whole number from 1 to 1024"),
        ({"model": 5}, "`model=5`: it must be the name of weights or the path of an .onnx file"),
        ({"model": b"light"}, "`model=b'light'`: it must be the name of weights"),
    ],
    ids=str,
)
def test_an_inpainter_says_what_it_is_made_of(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WeightsError if "model" in options else ConfigError) as refused:
        Inpainter(**options)
    assert sentence in str(refused.value)


def test_unknown_words_are_pythons_own(inpainter: Inpainter) -> None:
    for call in (inpainter, freefill.fill):
        with pytest.raises(TypeError, match="unexpected keyword argument 'feather'"):
            call(IMAGE, MASK, feather=3)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="image"):
            call(mask=MASK)  # type: ignore[call-overload]
