"""The corpus: a small file of each kind, made here, with all that the kind may hold.

Of photos and masks the whole file is changed. Of metadata the block alone: its container, with its
lengths and checksums, is made around what became of it, so that changes reach who reads the block.
"""

from __future__ import annotations

import base64
import functools
import json
import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import onnx
import pillow_heif
import tifffile
from onnx import TensorProto, helper
from PIL import Image
from safetensors.numpy import save

from freefill.imaging.formats.jpeg import APP1, APP2, APP13, PHOTOSHOP, XMP, Segment, written

XMP_TEXT = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d tiff:Orientation="6" tiff:ImageWidth="24"'
    b' GCamera:MotionPhoto="1" GPano:FullPanoWidthPixels="24"><xmp:Thumbnails>a</xmp:Thumbnails>'
    b"<Container:Directory><a/></Container:Directory></d></x:xmpmeta>"
)
RESOURCES = b"8BIM\x04\x04\0\0\0\0\0\x02ab" + b"8BIM\x04\x0c\0\0\0\0\0\x04abcd"
WIDTH, HEIGHT = 24, 16


def exif() -> Image.Exif:
    found = Image.Exif()
    found[0x0112], found[0x010F] = 6, "A maker"
    found.get_ifd(0x8769).update({0xA002: 24, 0xA003: 16, 0x9003: "2020:02:02 20:20:20"})
    found.get_ifd(0x8825)[1] = "N"
    return found


def chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def with_chunks(content: bytes) -> bytes:
    text = b"\nexif\n 4\n" + b"4d4d002a"
    more = [
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP_TEXT)),
        chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(200))),
        chunk(b"prVt", b"private"),
    ]
    return content[:33] + b"".join(more) + content[33:]


def saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def tiff(samples: Any, **options: Any) -> bytes:
    out = BytesIO()
    tifffile.imwrite(out, samples, **options)
    return out.getvalue()


@functools.cache
def photos() -> dict[str, bytes]:
    """Give a small file for each way of holding a photo, named by its format and the way."""
    pillow_heif.register_heif_opener()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    rgb = Image.fromarray(pixels)
    rgba = rgb.convert("RGBA")
    profile = bytes(200)

    jpeg = saved(rgb, "JPEG", exif=exif(), icc_profile=profile, comment=b"a comment")
    more = [
        Segment(APP1, XMP + XMP_TEXT),
        Segment(APP13, PHOTOSHOP + RESOURCES),
        Segment(APP2, b"urn:iso:std:iso:ts:21496:-1\0"),
    ]
    frames = {"save_all": True, "append_images": [rgb, rgb]}
    photoshop = [
        (34377, 7, len(RESOURCES), RESOURCES, True),
        (700, 1, len(XMP_TEXT), XMP_TEXT, True),
    ]
    two_bytes = rng.integers(0, 65536, (HEIGHT, WIDTH), np.uint16)
    planes = np.stack([two_bytes] * 3)
    return {
        "JPEG": jpeg[:2] + written(more) + jpeg[2:] + b"a video",
        "JPEG progressive": saved(rgb, "JPEG", progressive=True),
        "JPEG cmyk": saved(rgb.convert("CMYK"), "JPEG"),
        "JPEG mpo": saved(rgb, "MPO", **frames),
        "PNG": with_chunks(saved(rgb, "PNG", exif=exif(), dpi=(72, 72))),
        "PNG palette": saved(rgba.quantize(), "PNG"),
        "PNG frames": saved(rgb, "PNG", **frames),
        "PNG 16": saved(Image.fromarray(two_bytes), "PNG"),
        "WebP": saved(rgba, "WEBP", exif=exif(), xmp=XMP_TEXT, icc_profile=profile),
        "WebP lossless": saved(rgba, "WEBP", lossless=True),
        "WebP frames": saved(rgb, "WEBP", **frames),
        "GIF": saved(rgb, "GIF", comment=b"a comment", **frames),
        "TIFF": tiff(pixels, photometric="rgb", rowsperstrip=4, extratags=photoshop),
        "TIFF deflate": tiff(pixels.astype(np.uint16), photometric="rgb", compression="zlib"),
        "TIFF lzw": saved(rgb, "TIFF", compression="tiff_lzw"),
        "TIFF tiles": tiff(pixels, photometric="rgb", tile=(16, 16), byteorder=">"),
        "TIFF floats": tiff(pixels.astype(np.float32) / 255, photometric="rgb"),
        "TIFF big": tiff(pixels, photometric="rgb", bigtiff=True, byteorder=">"),
        "TIFF planes": tiff(planes, photometric="rgb", planarconfig="separate"),
        "BMP": saved(rgb, "BMP"),
        "BMP palette": saved(rgb.quantize(16), "BMP"),
        "PPM": saved(rgb, "PPM"),
        "PPM grey": b"P5\n4 4\n65535\n" + bytes(32),
        "PPM plain": b"P3\n2 2\n255\n" + b"1 2 3 " * 4,
        "ICO": saved(rgba, "ICO", sizes=[(16, 16)]),
        "ICO bmp": saved(rgba, "ICO", sizes=[(16, 16)], bitmap_format="bmp"),
        "DDS": saved(rgba, "DDS"),
        "JPEG2000": saved(rgb, "JPEG2000"),
        "AVIF": saved(rgb, "AVIF", exif=exif()),
        "HEIC": saved(rgb, "HEIF", exif=exif(), quality=50),
    }


@functools.cache
def masks() -> dict[str, bytes]:
    """Give masks for a photo of 24x16: white on black, paint, labels, soft, too large, a copy."""
    hole = np.zeros((HEIGHT, WIDTH), np.uint8)
    hole[4:12, 6:16] = 255
    white = Image.fromarray(hole)
    paint = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    paint[4:12, 6:16] = 255, 0, 0, 255
    labels = Image.fromarray(hole // 255 * 7).convert("P")
    labels.putpalette(bytes(range(256)) * 3)
    on_blue = Image.new("RGB", (WIDTH, HEIGHT), "blue")
    on_blue.paste("white", (6, 4, 16, 12))
    copy = Image.open(BytesIO(photos()["PNG"])).convert("RGB")
    copy.paste("red", (6, 4, 16, 12))
    return {
        "white": saved(white, "PNG"),
        "bits": saved(white.convert("1"), "PNG"),
        "soft": saved(white.resize((WIDTH // 2, HEIGHT // 2)), "WEBP"),
        "labels": saved(labels, "PNG"),
        "paint": saved(Image.fromarray(paint), "PNG"),
        "on blue": saved(on_blue, "GIF"),
        "jpeg": saved(white, "JPEG"),
        "deep": saved(Image.fromarray(hole.astype(np.uint16) * 257), "TIFF"),
        "float": tiff(hole.astype(np.float32) / 255, photometric="minisblack"),
        "copy": saved(copy, "PNG"),
        "large": saved(white.resize((3 * WIDTH, 3 * HEIGHT)), "BMP"),
    }


BLOCKS = ("exif", "xmp", "photoshop", "profile", "text", "tags", "comment")


@functools.cache
def metadata() -> dict[str, bytes]:
    """Give blocks of metadata; the first byte of each tells which of ``BLOCKS`` it is."""
    turned = exif().tobytes()
    preview = Image.Exif()
    preview[0x0112] = 3
    preview.get_ifd(1).update({513: 100, 514: 40, 259: 6})
    maker = Image.Exif()
    maker.get_ifd(0x8769)[0x927C] = b"Nikon\0\2\0\0\0MM\0*\0\0\0\x08\0\1" + bytes(40)
    return {
        "exif": b"\0" + turned,
        "exif preview": b"\0" + preview.tobytes() + bytes(140),
        "exif maker": b"\0" + maker.tobytes(),
        "xmp": b"\1" + XMP_TEXT,
        "photoshop": b"\2" + RESOURCES,
        "profile": b"\3" + bytes(36) + b"acsp" + bytes(88) + struct.pack(">I", 0),
        "text": b"\4\nexif\n 26\n" + turned[6:].hex().encode(),
        "tags": b"\5" + turned.removeprefix(b"Exif\0\0"),
        "comment": b"\6a comment",
    }


def contained(content: bytes) -> list[bytes]:
    """Give files that hold a block of metadata, whatever is in it."""
    kind = BLOCKS[content[0] % len(BLOCKS)] if content else BLOCKS[0]
    block = content[1:60_000]
    plain = Image.new("RGB", (WIDTH, HEIGHT), (200, 90, 40))
    jpeg, png = saved(plain, "JPEG"), saved(plain, "PNG")

    def in_png(*chunks: bytes) -> bytes:
        return png[:33] + b"".join(chunks) + png[33:]

    def in_jpeg(marker: int, name: bytes = b"") -> bytes:
        return jpeg[:2] + written([Segment(marker, name + block)]) + jpeg[2:]

    def in_tiff(number: int) -> bytes:
        tag = (number, 7, len(block), block, True)
        pixels = np.asarray(plain)
        return tiff(pixels, photometric="rgb", extratags=[tag] if block else [])

    packed = zlib.compress(block, 1)
    if kind == "exif":
        own = block.removeprefix(b"Exif\0\0")
        webp = saved(plain, "WEBP", exif=block) if block else saved(plain, "WEBP")
        return [in_jpeg(APP1, b"Exif\0\0"), in_jpeg(APP1), in_png(chunk(b"eXIf", own)), webp]
    if kind == "xmp":
        text = b"XML:com.adobe.xmp\0\1\0\0\0" + packed
        return [in_jpeg(APP1, XMP), in_png(chunk(b"iTXt", text)), in_tiff(700)]
    if kind == "photoshop":
        return [in_jpeg(APP13, PHOTOSHOP), in_tiff(34377)]
    if kind == "profile":
        parts = in_jpeg(APP2, b"ICC_PROFILE\0\1\1")
        return [parts, in_png(chunk(b"iCCP", b"p\0\0" + packed)), in_tiff(34675)]
    if kind == "text":
        raw = b"Raw profile type exif\0\0"
        return [in_png(chunk(b"zTXt", raw + packed)), in_png(chunk(b"tEXt", block))]
    if kind == "tags":
        return [block, in_png(chunk(b"eXIf", block))]
    return [in_jpeg(0xFE), in_jpeg(APP1), in_png(chunk(b"tEXt", b"Comment\0" + block))]


WEIGHTS = ("card.json", "registry.toml", "network.onnx", "tensors.safetensors", "tensors.pth")


@functools.cache
def network() -> bytes:
    """Give the smallest network that fills: it inverts what it sees."""
    kind, shape = TensorProto.FLOAT, ["b", 3, "h", "w"]
    image = helper.make_tensor_value_info("image", kind, shape)
    hole = helper.make_tensor_value_info("hole", kind, ["b", 1, "h", "w"])
    out = helper.make_tensor_value_info("filled", kind, shape)
    nodes = [helper.make_node("Neg", ["image"], ["filled"])]
    graph = helper.make_graph(nodes, "network", [image, hole], [out])
    opset = [helper.make_opsetid("", 17)]
    made: bytes = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    return made


@functools.cache
def weights() -> dict[str, bytes]:
    """Give what weights come with; the first byte of each tells which of ``WEIGHTS`` it is."""
    import torch  # here, as it takes seconds

    card = {
        "name": "small",
        "architecture": "light",
        "licence": "CC BY 4.0",
        "parameters": 12,
        "sketch": True,
        "scores": {"lpips": [0.1, 2e-3], "of": {"photos": 3}},
        "about": "gr\u00fc\u00dfe",
    }
    entry = (
        '[[weights]]\nname = "big"\nurl = "https://example.org/big.onnx"\n'
        f'sha256 = "{"0a" * 32}"\nbytes = 204100000\nlicence = "CC BY-NC 4.0"\n'
        'architecture = "deepfill"\ncard = { training = { photos = 8000000 } }\n'
    )
    own = onnx.load_from_string(network())
    helper.set_model_props(own, {"card": json.dumps(card)})
    tensors = {"stage1.conv1.weight": np.ones((2, 3), np.float32)}
    pickled = BytesIO()
    torch.save({name: torch.from_numpy(values) for name, values in tensors.items()}, pickled)
    old = BytesIO()
    torch.save({"a": torch.ones(2)}, old, _use_new_zipfile_serialization=False)
    return {
        "card": b"\0" + json.dumps(card, indent=1).encode(),
        "registry": b"\1" + entry.encode(),
        "onnx": b"\2" + network(),
        "onnx with card": b"\2" + own.SerializeToString(),
        "safetensors": b"\3" + save(tensors, {"card": json.dumps(card)}),
        "pickle": b"\4" + pickled.getvalue(),
        "old pickle": b"\4" + old.getvalue(),
    }


def form(**fields: bytes | str) -> bytes:
    """Give the body of a form: bytes are files."""
    parts = []
    for name, value in fields.items():
        file = f'; filename="{name}.png"' if isinstance(value, bytes) else ""
        content = value if isinstance(value, bytes) else value.encode()
        parts.append(
            f'--edge\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
            + content
            + b"\r\n"
        )
    return b"".join(parts) + b"--edge--\r\n"


def asked(line: str, body: bytes = b"", kind: str = "", **headers: str) -> bytes:
    """Give a request as it comes over a connection."""
    told = {"Host": "127.0.0.1:8080"} | ({"Content-Type": kind} if kind else {})
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = [f"{line} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@functools.cache
def requests() -> dict[str, bytes]:
    """Give requests: each route that takes a body, in each form, and some without one."""
    multipart = "multipart/form-data; boundary=edge"
    image, mask = photos()["PNG palette"], masks()["white"]
    texts = {k: base64.b64encode(v).decode() for k, v in {"image": image, "mask": mask}.items()}
    filled = {"grow": 2, "soft": True, "format": "webp", "strip": False, **texts}
    number = "0d6d2b1c-8f0e-4a44-9d9a-0d3ac6a3f0aa"

    def task(name: str, **fields: bytes | str) -> bytes:
        return asked(f"POST /v1/{name}", form(image=image, **fields), multipart)

    return {
        "form": asked(
            "POST /v1/fill",
            form(image=image, mask=mask, grow="2", fit="resize", invert="false"),
            multipart,
            Fill_Id=number,
            Accept="application/json",
        ),
        "guided": task("fill", mask=mask, sketch=mask, colour=image, patch="true"),
        "json": asked("POST /v1/fill", json.dumps(filled).encode(), "application/json"),
        "iopaint": asked(
            "POST /api/v1/inpaint", json.dumps({**texts, "sd_seed": 7}).encode(), "application/json"
        ),
        "switch": asked("POST /api/v1/model", b'{"name": "network"}', "application/json"),
        "info": asked("POST /api/v1/gen-info", form(file=image), multipart),
        "view": task("view", longest="20"),
        "remove": task("remove", box="4,4,12,12", grow="1"),
        "segment": task("segment", at="5,5", segmenter="classical"),
        "unmark": task("unmark", kind="text"),
        "uncrop": task("uncrop", left="3", top="4"),
        "straighten": task("straighten", angle="5", expand="true"),
        "stitch": task("stitch", second=image),
        "retarget": task("retarget", width="20", keep=mask),
        "recompose": task("recompose", box="4,4,12,12", by="3,2"),
        "harmonise": task("harmonise", mask=mask, strength="0.5"),
        "progress": asked(f"GET /v1/fills/{number}"),
        "models": asked("GET /v1/models", Origin="http://127.0.0.1:8080"),
        "page": asked("GET /?a=%20b", If_None_Match='"a"', Range="bytes=0-9"),
        "token": asked("GET /metrics", Authorization="Bearer abc", Sec_Fetch_Site="same-origin"),
    }
