"""Settings: TOML, overrides, and errors that name what is wrong."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from freefill.errors import ConfigError
from freefill.lab.config import Config, ModelConfig, StageConfig, TrainConfig, from_dict, load
from freefill.lab.registries import MODELS, ModelEntry


def test_toml_round_trip(tmp_path: Path) -> None:
    config = load(None, ["train.lr=0.002", "data.weights={'a_*' = 3.0}", "train.seed=4"])
    (tmp_path / "c.toml").write_text(config.to_toml())
    assert load(tmp_path / "c.toml") == config
    assert config != Config()


def test_every_setting_of_a_written_file_has_a_comment_of_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def build(config: ModelConfig, **options: Any) -> nn.Module:
        return nn.Identity()

    monkeypatch.setitem(MODELS._entries, "any-options", ModelEntry(build))
    config = load(
        None,
        [
            "data.weights={'a_*' = 3.0, \"it's\" = 1.0}",
            'model.options={depth = [1, 2], more = {name = "a\\nb"}}',
            "model.name='any-options'",
        ],
    )
    lines = config.to_toml().splitlines()
    settings = [n for n, line in enumerate(lines) if re.match(r"[a-z_0-9]+ = ", line)]
    assert len(settings) > 60
    for number in settings:
        assert lines[number - 1].startswith("# "), lines[number]
    # One line each, but for the stages, whose entries' keys are explained as well.
    for before, line in itertools.pairwise(lines):
        if before.startswith("# ") and line.startswith("# "):
            assert line.startswith(("# steps: ", "# crop: ", "# batch: ", "# adversarial: "))
    assert from_dict(tomllib.loads(config.to_toml())) == config


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
        ("model.name=huge", "no model 'huge': there are light, deepfill, encoder-decoder"),
        ("model.convolution=dense", "'plain', 'partial' or 'gated'"),
        ("model.discriminator=global", "there are patch, local-global, features"),
        (
            "model.options={depth=3}",
            "model.options.depth: build_light has no such option; it has none",
        ),
        ("loss.extra={tv=1}", "loss.extra.tv: there is no loss 'tv'"),
        ("loss.extra={l1=1}", "loss.extra.l1: this loss has a setting of its own"),
        ("plugins=['nowhere.py']", "nowhere.py is not there"),
        ("plugins=['no_such_module']", "the plugin no_such_module cannot be imported"),
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


def test_stages_take_turns() -> None:
    train = TrainConfig(stages=(StageConfig(3, 64, 4), StageConfig(2, 128, 2)), repeat=3)
    assert train.steps == 15
    assert [train.stage_at(i).crop for i in range(15)] == 3 * [64, 64, 64, 128, 128]
    with pytest.raises(ConfigError, match="ends at 15"):
        train.stage_at(15)
    for steps in range(16):
        stages = [train.stage_at(step) for step in range(steps)]
        assert train.crops(steps) == sum(stage.batch for stage in stages)
        assert train.pixels(steps) == sum(stage.batch * stage.crop**2 for stage in stages)


def test_a_run_from_before_there_were_plugins_is_still_read() -> None:
    # What its checkpoint and its card hold; the weights of then are read by models.light_names.
    model = {
        "name": "light", "convolution": "gated", "channels": [32, 64, 128],
        "dilations": [1, 2, 4, 8, 1, 2], "deep_dilations": [1, 2, 4, 8], "guidance": 5,
        "padding": "same", "mask_resize": "two-step", "fuse": True, "attention": "released",
        "discriminator": "features", "discriminator_width": 32,
    }  # fmt: skip
    loss = {"l1": 1.0, "known": 0.2, "low": 4.0, "coarse": 3.0, "match": 0.2, "perceptual": 1.0}
    config = from_dict({"model": model, "loss": loss})
    assert config.to_dict()["model"] | model == config.to_dict()["model"]
    assert (config.plugins, config.model.options, config.loss.extra) == ((), {}, {})


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "configs").glob("*.toml")), ids=lambda p: p.name
)
def test_committed_configs_load(path: Path) -> None:
    assert load(path).train.steps > 0


def test_a_crop_that_the_local_discriminator_cannot_halve_is_refused() -> None:
    overrides = ["model.discriminator=local-global", "train.stages=[{steps = 1, crop = 96}]"]
    with pytest.raises(ConfigError, match=r"train\.stages\.0\.crop is 96.*multiple of 64"):
        load(None, overrides)


@pytest.mark.parametrize(("name", "size"), [("paper-places2", 0), ("paper-celebahq", 256)])
def test_the_papers_settings_are_those_of_the_released_code(name: str, size: int) -> None:
    config = load(Path(__file__).parents[2] / "configs" / f"{name}.toml")
    model, data, loss, training = config.model, config.data, config.loss, config.train
    assert (model.name, model.discriminator, model.discriminator_width) == ("deepfill", "patch", 64)
    assert (model.padding, model.mask_resize, model.fuse) == ("same", "two-step", True)
    assert model.attention == "released"
    assert (data.size, data.min_scale, data.flip, data.colour) == (size, 1.0, False, 0.0)
    assert (data.masks, data.shared_hole, data.weights) == ({"released": 1.0}, True, {})
    assert (loss.l1, loss.coarse, loss.known) == (1.0, 1.0, 1.0)
    assert (loss.low, loss.match, loss.perceptual, loss.r1) == (0.0, 0.0, 0.0, 0.0)
    (stage,) = training.stages
    assert (stage.crop, stage.batch, stage.adversarial, stage.steps) == (256, 16, 1.0, 10**8)
    assert (training.lr, training.discriminator_lr) == (1e-4, 1e-4)
    assert (training.betas, training.warmup, training.decay) == ((0.5, 0.999), 0, False)
    assert (training.ema, training.accumulate, training.precision) == (0.0, 1, "32-true")
    assert training.separate_batches


def test_impossible_pairs_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.size is 32; it must be at least 64"):
        load(None, ["data.size=32"])
    with pytest.raises(ConfigError, match="choose 'patch'"):
        load(None, ["train.separate_batches=true", "model.discriminator='features'"])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model.name=deepfill"], "not deepfill with 5"),
        (["model.guidance=4"], "not light with 4"),
        (["data.shared_hole=true"], "its own photo"),
        (["model.discriminator=local-global"], "cannot see"),
        (["guidance.strokes=1.5"], "less than or equal to 1"),
    ],
)
def test_guidance_that_cannot_be_trained_is_refused(overrides: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(None, ["guidance.sketch=0.5", *overrides])
    assert load(None, ["guidance.sketch=0.5"]).guidance.on
    assert not load().guidance.on
