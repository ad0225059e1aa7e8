"""What networks from elsewhere expect: read as data, and known by their signature."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from freefill.errors import WeightsError
from freefill.weights.contracts import Contract, Tensor, parse, recognise
from freefill.weights.entries import list_entries, terms_of

LAMA = (
    [Tensor("image", "float32", (1, 3, 512, 512)), Tensor("mask", "float32", (1, 1, 512, 512))],
    [Tensor("output", "float32", (1, 3, 512, 512))],
)
MIGAN = (
    [
        Tensor("image", "uint8", (None, 3, None, None)),
        Tensor("mask", "uint8", (None, 1, None, None)),
    ],
    [Tensor("result", "uint8", (None, 3, None, None))],
)


@pytest.mark.parametrize(
    ("signature", "kind"), [(LAMA, "LaMa, 512x512"), (MIGAN, "a MI-GAN pipeline")]
)
def test_a_file_is_known_by_its_signature(
    signature: tuple[list[Tensor], list[Tensor]], kind: str
) -> None:
    contract, guessed = recognise(Path("a.onnx"), {}, *signature)
    assert (contract.kind, guessed) == (kind, True)


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "float16"},
        {"name": "picture"},
        {"shape": (1, 4, 512, 512)},
        {"shape": (1, 3, 256, 256)},
        {"shape": (1, 3, None, None)},
        {"shape": (1, 512, 512, 3)},
        {"shape": (3, 512, 512)},
        {"shape": (2, 3, 512, 512)},
    ],
    ids=str,
)
def test_another_signature_is_refused_with_what_is_known(change: dict[str, object]) -> None:
    image = replace(LAMA[0][0], **change)  # type: ignore[arg-type]
    with pytest.raises(WeightsError) as refused:
        recognise(Path("a.onnx"), {}, [image, LAMA[0][1]], LAMA[1])
    told = str(refused.value)
    assert f"it has inputs {image}, mask float32 1x1x512x512 and outputs output" in told
    assert "freefill's own" in told
    # LaMa's two files expect the same, and are named once.
    assert told.count("LaMa, 512x512 (image float32 1x3x512x512") == 1
    assert "a MI-GAN pipeline (image uint8 1x3x?x? and mask uint8 1x1x?x?, to result)" in told
    assert "a.json" in told


def test_further_inputs_and_other_outputs_are_another_network() -> None:
    noise = Tensor("noise", "float32", (1, 512))
    for inputs, outputs in (
        ([*LAMA[0], noise], LAMA[1]),
        (LAMA[0][:1], LAMA[1]),
        (LAMA[0], [replace(LAMA[1][0], name="result")]),
        (LAMA[0], [replace(LAMA[1][0], shape=(1, 1, 512, 512))]),
    ):
        with pytest.raises(WeightsError, match="is no network that freefill knows"):
            recognise(Path("a.onnx"), {}, inputs, outputs)
    many = [replace(noise, name=f"n{i}" * 100) for i in range(500)]
    with pytest.raises(WeightsError, match="and 494 more") as refused:
        recognise(Path("a.onnx"), {}, many, LAMA[1])
    assert len(str(refused.value)) < 1500


def test_a_card_says_how_a_network_is_called() -> None:
    card = {"network": {"kind": "mine", "image": "x", "mask": "m", "output": "y", "multiple": 8}}
    inputs = [
        Tensor("x", "float32", (1, 3, None, None)),
        Tensor("m", "float32", (1, 1, None, None)),
    ]
    contract, guessed = recognise(Path("a.onnx"), card, inputs, [Tensor("y", "float32", ())])
    assert (contract.kind, contract.multiple, guessed) == ("mine", 8, False)
    with pytest.raises(WeightsError, match=r"a\.onnx has inputs .*; its card tells of mine"):
        recognise(Path("a.onnx"), card, *LAMA)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("LaMa", "network is a table, not 'LaMa'"),
        ({}, "network has no kind"),
        ({"kind": ""}, "network has no kind"),
        ({"kind": 5}, "network.kind is 5; it is a str"),
        ({"kind": "a", "masks": 1}, "no field network.masks; there are kind, image"),
        ({"kind": "a", "dtype": "int64"}, "network.dtype is 'int64'; it is one of float32, fl"),
        ({"kind": "a", "dtype": ["uint8"]}, r"network.dtype is \['uint8'\]"),
        ({"kind": "a", "range": [0, "x"]}, "two numbers"),
        ({"kind": "a", "range": [1, 1]}, "a range from 1.0 to 1.0 holds no picture"),
        ({"kind": "a", "output_range": [0, float("inf")]}, "two numbers"),
        ({"kind": "a", "mask_hole": True}, "network.mask_hole is True; it is a number"),
        ({"kind": "a", "mask_hole": 0}, "mask_hole and mask_keep are both 0"),
        ({"kind": "a", "side": 2**40}, "a side has 32 to 4096 pixels"),
        ({"kind": "a", "multiple": 0}, "multiple is at most that"),
        ({"kind": "a", "fixed": 1}, "network.fixed is 1; it is a bool"),
    ],
    ids=str,
)
def test_a_contract_that_cannot_be_is_refused(table: object, told: str) -> None:
    with pytest.raises(WeightsError, match=f"^here: .*{told}"):
        parse(table, "here")


def test_a_contract_survives_its_card() -> None:
    for entry in list_entries():
        if entry.network is not None:
            assert parse(entry.network.as_card(), "card") == entry.network


def test_what_is_not_ours_says_what_it_was_trained_on() -> None:
    for entry in list_entries():
        if isinstance(entry.network, Contract):
            assert "trained on Places2, whose terms are non-commercial" in entry.terms
    assert list_entries()[0].terms.endswith(
        "4892 photos, each listed with its licence, none of Places2"
    )


@pytest.mark.parametrize("licence", [5, [], {"name": "MIT"}, "", "  ", None], ids=str)
def test_a_licence_that_is_no_text_is_not_stated(licence: object) -> None:
    assert terms_of(licence, licence) == "licence not stated"
