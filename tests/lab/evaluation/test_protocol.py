"""Manifests: what a hole depends on, what is refused, and that they come back as they were."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from freefill.errors import DataError
from freefill.lab.evaluation import protocol as protocols
from freefill.lab.evaluation.protocol import (
    PROTOCOLS,
    Photo,
    build,
    check,
    draw,
    expand,
    load,
    sample,
)

NAMES = ("thin", "centre")


def edited(path: Path, **changes: object) -> Path:
    """Write the manifest again with other entries."""
    path.write_text(tomli_w.dumps(tomllib.loads(path.read_text()) | changes))
    return path


@pytest.fixture
def kept(photos: Path, tmp_path: Path) -> Path:
    path = tmp_path / "test.toml"
    path.write_text(build(photos, NAMES).to_toml())
    return path


def test_comes_back_as_it_was(photos: Path, tmp_path: Path) -> None:
    manifest = build(photos, NAMES, seed=7, sources={"town_*": 'a "town" of Zürich'})
    path = tmp_path / "test.toml"
    path.write_text(manifest.to_toml(), "utf-8")
    assert load(path) == manifest
    assert load(path).to_toml() == manifest.to_toml()
    check(manifest, photos)
    for name in NAMES:
        for photo in manifest.photos:
            found = sample(manifest, photos, photo, name)
            with Image.open(photos / photo.file) as image:
                np.testing.assert_array_equal(found.pixels, np.asarray(image))
            assert found.hole.shape == found.pixels.shape[:2]
            assert found.hole.dtype == bool


def test_holds_what_it_says(photos: Path) -> None:
    seen: list[tuple[int, int]] = []
    manifest = build(photos, NAMES, seed=3, report=lambda done, total: seen.append((done, total)))
    assert (manifest.format, manifest.seed, manifest.protocols) == (1, 3, NAMES)
    assert [photo.file for photo in manifest.photos] == [
        "64/flower_bee.png",
        "64/flower_dahlia.jpg",
        "64/town_street.png",
        "96/flower_fruit.png",
        "96/town_bricks.png",
    ]
    assert [photo.size for photo in manifest.photos] == ["64", "64", "64", "96", "96"]
    for photo in manifest.photos:
        content = (photos / photo.file).read_bytes()
        assert photo.sha256 == hashlib.sha256(content).hexdigest()
        assert tuple(photo.holes) == NAMES
    assert seen == [(done, 5) for done in range(1, 6)]
    # Each photo has a hole of its own, but for the protocol that is no matter of chance.
    thin = [photo.holes["thin"] for photo in manifest.photos]
    assert len(set(thin)) == 5
    same = dataclasses.replace(manifest.photos[0], sha256="0" * 64)
    assert protocols.digest(draw("centre", same, (64, 64), 9)) == manifest.photos[0].holes["centre"]


def test_sources(photos: Path) -> None:
    def of(**sources: str) -> list[str]:
        manifest = build(
            photos, ["centre"], sources={k.replace("X", "*"): v for k, v in sources.items()}
        )
        return [photo.source for photo in manifest.photos]

    assert of() == ["flower", "flower", "town", "flower", "town"]
    assert of(flower_beeX="bees") == ["bees", "flower", "town", "flower", "town"]
    # The first pattern that matches; patterns see the file's name, not its folder.
    assert of(flower_beeX="bees", flowerX="plants") == ["bees", "plants", "town", "plants", "town"]
    assert of(X64X="no", X="everything") == ["everything"] * 5


def test_source_is_the_name_up_to_its_last_underscore(photos: Path, tmp_path: Path) -> None:
    for name in ("a_b_01.png", "b.png", "_c.png"):
        shutil.copy(photos / "64/flower_bee.png", tmp_path / name)
    found = {photo.file: photo.source for photo in build(tmp_path, ["centre"]).photos}
    assert found["a_b_01.png"] == "a_b"
    # Not "all", which the tables over all sources are called.
    assert found["b.png"] not in ("", "all")


def test_size_is_the_first_folder() -> None:
    files = {"a.jpg": "all", "64/a.jpg": "64", "64/b/a.jpg": "64"}
    assert {file: Photo(file, "0", "x").size for file in files} == files


def test_hole_depends_on_content_seed_and_protocol_alone(own_photos: Path) -> None:
    first = build(own_photos, ["thin", "free-form"])
    holes = {photo.sha256: photo.holes for photo in first.photos}
    # Renamed, moved, in company of another, in another order, with other protocols beside it.
    (own_photos / "zoo").mkdir()
    (own_photos / "64/flower_bee.png").rename(own_photos / "zoo/z.png")
    Image.new("RGB", (70, 66), "teal").save(own_photos / "64/0.png")
    (own_photos / "64/town_street.png").unlink()
    second = build(own_photos, ["medium", "free-form", "thin"])
    assert second.photos[0].file == "64/0.png"
    assert second.photos[-1].file == "zoo/z.png"
    compared = 0
    for photo in second.photos:
        if photo.sha256 in holes:
            assert {p: photo.holes[p] for p in ("thin", "free-form")} == holes[photo.sha256]
            compared += 1
    assert compared == 4
    # Another seed, or one bit of the content, and all is another.
    for photo in build(own_photos, ["thin", "free-form"], seed=1).photos:
        assert not set(photo.holes.values()) & set(holes.get(photo.sha256, {}).values())
    path = own_photos / "zoo/z.png"
    path.write_bytes(path.read_bytes() + b"\0")
    changed = build(own_photos, ["thin"]).photos[-1]
    assert changed.holes["thin"] not in {found["thin"] for found in holes.values()}
    # Protocols do not share their chance: the strokes of one are not those of another.
    photo = first.photos[0]
    pair = draw("ratio-20-30", photo, (64, 64), 0), draw("ratio-30-40", photo, (64, 64), 0)
    assert (pair[0] & ~pair[1]).sum() / pair[0].sum() > 0.05


def test_holes_stay_as_published() -> None:
    """Those of `benchmarks/test-photos.toml`: what was measured once can be measured again."""
    path = Path(__file__).parents[3] / "benchmarks/test-photos.toml"
    manifest = load(path)
    for photo in manifest.photos[::40]:
        side = int(photo.size)
        assert photo.holes["centre"] == protocols.digest(draw("centre", photo, (side, side), 0))
        for name in manifest.protocols:
            hole = draw(name, photo, (side, side), manifest.seed)
            assert protocols.digest(hole) == photo.holes[name]


@given(
    height=st.integers(64, 200),
    width=st.integers(64, 200),
    seed=st.integers(0, 2**40),
    content=st.binary(max_size=4),
)
@example(
    height=64, width=66, seed=1_099_511_627_775, content=b"\xd3"
)  # full to 0.01 % of its bound
@settings(deadline=None, max_examples=25)
def test_holes_are_what_they_are_called(height: int, width: int, seed: int, content: bytes) -> None:
    photo = Photo("a.png", hashlib.sha256(content).hexdigest(), "x")
    for name in PROTOCOLS:
        hole = draw(name, photo, (height, width, 3), seed)
        assert hole.shape == (height, width)
        assert hole.any()
        assert not hole.all()
        assert hole.flags.c_contiguous  # torch refuses the views that samplers give
        if name.startswith("ratio-"):
            low, high = (int(part) / 100 for part in name.split("-")[1:])
            assert low <= hole.mean() <= high
        np.testing.assert_array_equal(hole, draw(name, photo, (height, width), seed))


@pytest.mark.parametrize("size", [(64, 1000), (1000, 64), (600, 700)])
def test_holes_of_long_and_large_photos(size: tuple[int, int]) -> None:
    for seed in range(3):
        for name in PROTOCOLS:
            hole = draw(name, Photo("a.png", "ab" * 32, "x"), size, seed)
            low, high = (
                (int(part) / 100 for part in name.split("-")[1:])
                if name.startswith("ratio-")
                else (0.001, 0.95)
            )
            assert low <= hole.mean() <= high, name


def test_ratio_protocols_are_those_of_the_field() -> None:
    assert [name for name in PROTOCOLS if name.startswith("ratio-")] == [
        "ratio-1-10", "ratio-10-20", "ratio-20-30", "ratio-30-40", "ratio-40-50", "ratio-50-60",
    ]  # fmt: skip


def test_digest_tells_holes_apart() -> None:
    hole = np.zeros((64, 65), bool)
    found = {protocols.digest(hole), protocols.digest(hole.reshape(65, 64))}
    hole[-1, -1] = True
    found.add(protocols.digest(hole))
    assert len(found) == 3
    assert protocols.digest(np.asfortranarray(hole)) == protocols.digest(hole)
    assert all(len(digest) == 16 for digest in found)


def test_missing_and_changed_photos_are_named(own_photos: Path) -> None:
    manifest = build(own_photos, NAMES)
    changed = own_photos / "64/flower_dahlia.jpg"
    changed.write_bytes(b"another")
    (own_photos / "96/town_bricks.png").unlink()
    with pytest.raises(DataError) as refusal:
        check(manifest, own_photos)
    new, old = hashlib.sha256(b"another").hexdigest(), manifest.photos[1].sha256
    assert str(refusal.value) == (
        f"2 of 5 photos in {own_photos} are not those of the manifest: 64/flower_dahlia.jpg has "
        f"changed (sha256 {new[:12]}..., not {old[:12]}...); 96/town_bricks.png is missing"
    )
    # A photo more is none of the manifest's business.
    shutil.copy(own_photos / "64/flower_bee.png", own_photos / "more.png")
    check(dataclasses.replace(manifest, photos=manifest.photos[:1]), own_photos)


@pytest.mark.parametrize("missing", [5, 6, 8])
def test_five_are_named_and_the_rest_counted(photos: Path, tmp_path: Path, missing: int) -> None:
    absent = tuple(Photo(f"{i}.png", "0" * 64, "x") for i in range(missing))
    kept = build(photos, NAMES)
    with pytest.raises(DataError) as refusal:
        check(dataclasses.replace(kept, photos=(*kept.photos, *absent)), photos)
    text = str(refusal.value)
    assert text.startswith(f"{missing} of {missing + 5} photos")
    assert text.count("is missing") == 5
    assert "4.png is missing" in text
    more = f"; and {missing - 5} more" if missing > 5 else "4.png is missing"
    assert text.endswith(more)


def test_another_hole_is_refused(photos: Path, kept: Path) -> None:
    manifest = load(kept)
    photo = manifest.photos[2]
    wrong = dataclasses.replace(photo, holes={**photo.holes, "thin": "0123456789abcdef"})
    sample(manifest, photos, wrong, "centre")
    message = (
        rf"the thin hole of 64/town_street.png is {photo.holes['thin']}, the manifest's is "
        "0123456789abcdef"
    )
    with pytest.raises(DataError, match=message):
        sample(manifest, photos, wrong, "thin")
    with pytest.raises(DataError, match=r"the manifest's is None"):
        sample(manifest, photos, photo, "thick")


def test_protocols_of_a_manifest(photos: Path, kept: Path) -> None:
    manifest = load(kept)
    protocols.check_protocols(manifest, ["centre", "thin"])
    with pytest.raises(DataError, match=r"has no protocol 'thick'; it has thin, centre$"):
        protocols.check_protocols(manifest, ["thin", "thick"])
    for refuse in (
        lambda: protocols.check_protocols(manifest, ["center"]),
        lambda: build(photos, ["center"]),
        lambda: expand(["center"]),
    ):
        with pytest.raises(DataError, match=r"no protocol 'center'; there are free-form, .*, all"):
            refuse()


def test_expand() -> None:
    assert expand(["thick", "centre", "thick"]) == ("thick", "centre")
    assert expand(["all"]) == tuple(PROTOCOLS)
    ratios = expand(["ratio-30-40", "ratios"])
    assert ratios[0] == "ratio-30-40"
    assert sorted(ratios) == sorted(p for p in PROTOCOLS if p.startswith("ratio"))
    with pytest.raises(DataError, match=r"no protocol is named; there are free-form, .*, all"):
        expand([])


def test_extend(own_photos: Path) -> None:
    plain = build(own_photos, NAMES, seed=4, sources={"*": "a"})
    shutil.copy(own_photos / "64/flower_bee.png", own_photos / "64/more.png")
    more = protocols.extend(plain, own_photos, ["thin", "thick", "border"])
    (own_photos / "64/more.png").unlink()
    assert more.protocols == (*NAMES, "thick", "border")
    assert more == build(own_photos, more.protocols, seed=4, sources={"*": "a"})
    assert protocols.extend(more, own_photos, ["border", "thin"]) == more
    with pytest.raises(DataError, match="no protocol 'center'"):
        protocols.extend(plain, own_photos, ["center"])


def test_left_out(own_photos: Path) -> None:
    every = protocols.files(own_photos)
    assert len(every) == 5
    assert protocols.files(own_photos, [own_photos / "64", own_photos / "none"]) == every[3:]
    assert protocols.files(own_photos, [own_photos / "96/../96/town_bricks.png"]) == every[:4]
    built = build(own_photos, NAMES, leave_out=[own_photos / "96"])
    assert [photo.size for photo in built.photos] == ["64"] * 3
    with pytest.raises(DataError, match="holds no photos but those of a report"):
        protocols.files(own_photos, [own_photos])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format = ", "is not TOML"),
        ("format = 1\n", "is not a manifest: seed: Field required"),
        ("\udcff", "is not TOML"),
        ("format = 1\nseed = 0\nprotocols = ['thin']\nphotos = [{file = 'a.png'}]", "photos.0.sha"),
        ("format = 1\nseed = -1\nprotocols = []\nphotos = []", "is not a manifest: seed: "),
        ("format = 1\nseed = 0\nprotocols = ['thin']\nphotos = []", "holds no photos"),
        # Of a later version, whatever that may hold.
        ("format = 2\nimages = 'by-hash'", "has manifest format 2; this reads 1"),
    ],
)
def test_what_is_no_manifest(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "test.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=message) as refusal:
        load(path)
    assert str(path) in str(refusal.value)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.toml: No such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(DataError, match=r"Is a directory"):
        load(tmp_path)


def test_another_format(kept: Path) -> None:
    with pytest.raises(DataError, match="has manifest format 2; this reads 1"):
        load(edited(kept, format=2))


@pytest.mark.parametrize("file", ["/tmp/a.png", "../a.png", "64/../../a.png"])
def test_photos_lie_below_the_folder(kept: Path, file: str) -> None:
    # The report's pictures get these names: one of another folder would be written over.
    photo = {"file": file, "sha256": "0" * 64, "source": "x", "holes": {}}
    with pytest.raises(DataError, match="not below the folder of photos"):
        load(edited(kept, photos=[photo]))


def test_photos_that_differ_in_their_ending_alone(own_photos: Path, kept: Path) -> None:
    # Their fills would be one file.
    message = "flower_bee.jpg and 64/flower_bee.png .*one name.*rename"
    with Image.open(own_photos / "64/flower_bee.png") as image:
        image.save(own_photos / "64/flower_bee.jpg")
    with pytest.raises(DataError, match=message):
        build(own_photos, NAMES)
    listed = tomllib.loads(kept.read_text())["photos"]
    with pytest.raises(DataError, match=message):
        load(edited(kept, photos=[listed[0] | {"file": "64/flower_bee.jpg"}, *listed]))
    with pytest.raises(DataError, match=r"flower_bee\.png and 64/flower_bee\.png have one"):
        load(edited(kept, photos=[listed[0], *listed]))


def test_photos_that_cannot_be_measured(own_photos: Path) -> None:
    path = own_photos / "64/small.png"
    Image.new("RGB", (200, 63)).save(path)
    with pytest.raises(DataError, match=r"small.png is 200x63: .* need 64 pixels a side"):
        build(own_photos, NAMES)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=r"small.png cannot be read"):
        build(own_photos, NAMES)
    Image.new("RGB", (64, 64)).save(path)
    assert len(build(own_photos, NAMES).photos) == 6


def test_photos_are_read_upright_and_in_colour(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 80), np.uint8)
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by a quarter
    image.save(tmp_path / "a.png", exif=exif)
    read = protocols.read(tmp_path / "a.png")
    np.testing.assert_array_equal(read, np.repeat(np.rot90(pixels, -1)[..., None], 3, axis=-1))
