"""Settings: TOML, overrides, and errors that name what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from freefill.config import Config, StageConfig, TrainConfig, from_dict, load
from freefill.errors import ConfigError


def test_toml_round_trip(tmp_path: Path) -> None:
    config = load(None, ["train.lr=0.002", "data.weights={'a_*' = 3.0}", "train.seed=4"])
    (tmp_path / "c.toml").write_text(config.to_toml())
    assert load(tmp_path / "c.toml") == config
    assert config != Config()


def test_overrides_go_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[train]\nlr = 0.5\nseed = 3\n")
    config = load(tmp_path / "c.toml", ["train.lr=0.25", "train.stages.1.steps=7"])
    assert (config.train.lr, config.train.seed) == (0.25, 3)
    assert config.train.stages[1].steps == 7
    assert config.train.stages[0] == Config().train.stages[0]


def test_tables_are_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[data.masks]\ncentre = 1\n")
    assert load(tmp_path / "c.toml").data.masks == {"centre": 1.0}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.lrr=1", "train.lrr: no such setting; there are seed"),
        ("trane.lr=1", "'trane'"),
        ("train.lr=fast", "train.lr"),
        ("train.lr=-1", "greater than 0"),
        ("train.stages.9.steps=1", "'9'"),
        ("train.stages.0.crop=100", "multiple of 16"),
        ("train.stages=[]", "at least one stage"),
        ("data.masks={blob=1}", "no such mask preset"),
        ("data.masks={centre=0}", "one above it"),
        ("train.save_every=30", "multiple of train.log_every, 25"),
        ("train.lr", "key=value"),
        ("model.name=huge", "light"),
        ("model.convolution=dense", "'plain', 'partial' or 'gated'"),
        ("model.discriminator=global", "'patch', 'local-global' or 'features'"),
        ("model.convolution=plain", "model.convolution is 'plain', but light is always gated"),
        ("model.convolution=partial", "set model.name to 'encoder-decoder'"),
    ],
)
def test_errors_name_the_setting(override: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, [override])
    assert words in str(caught.value)


def test_convolution_is_free_for_the_encoder_decoder(tmp_path: Path) -> None:
    for kind in ("plain", "partial", "gated"):
        config = load(None, ["model.name=encoder-decoder", f"model.convolution={kind}"])
        (tmp_path / "c.toml").write_text(config.to_toml())
        assert load(tmp_path / "c.toml").model.convolution == kind
    (tmp_path / "c.toml").write_text("[model]\nconvolution = 'partial'\n")
    with pytest.raises(ConfigError, match="light is always gated"):
        load(tmp_path / "c.toml")
    assert load(tmp_path / "c.toml", ["model.name=encoder-decoder"]).model.name != "light"


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("[train\n")
    with pytest.raises(ConfigError, match="is not TOML"):
        load(tmp_path / "bad.toml")
    with pytest.raises(ConfigError, match="sed"):
        from_dict({"train": {"sed": 1}})


def test_stages_follow_each_other() -> None:
    train = TrainConfig(stages=(StageConfig(3, 64, 4), StageConfig(2, 128, 2)))
    assert train.steps == 5
    assert [train.stage_at(i).crop for i in range(5)] == [64, 64, 64, 128, 128]
    with pytest.raises(ConfigError, match="ends at 5"):
        train.stage_at(5)
    assert train.crops(4) == 14
    assert train.pixels(4) == 12 * 64**2 + 2 * 128**2


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[1] / "configs").glob("*.toml")), ids=lambda p: p.name
)
def test_committed_configs_load(path: Path) -> None:
    assert load(path).train.steps > 0


def test_a_crop_that_the_local_discriminator_cannot_halve_is_refused() -> None:
    overrides = ["model.discriminator=local-global", "train.stages=[{steps = 1, crop = 96}]"]
    with pytest.raises(ConfigError, match=r"train\.stages\.0\.crop is 96.*multiple of 64"):
        load(None, overrides)
