"""Presets load, round-trip, and say clearly what is wrong; parameter counts follow the paper's tables."""

import pytest
import torch

from genie_lite import ConfigError, load_config, presets
from genie_lite.api import Genie
from genie_lite.config import Config, config_from_dict, config_to_dict

# Millions of parameters of the dynamics model: the paper's figure, and what its table's sizes come out at.
TABLE_10 = {"41m": 41, "96m": 96, "192m": 192, "404m": 404, "811m": 811, "1.6b": 1600, "2.7b": 2700}
RULE = {"41m": 41, "96m": 94, "192m": 191, "404m": 424, "811m": 801, "1.6b": 1638, "2.7b": 2781, "2.3b": 1900}


def millions(preset: str) -> tuple[float, float, float]:
    with torch.device("meta"):
        genie = Genie(load_config(preset))
    return tuple(
        sum(p.numel() for p in part.parameters()) / 1e6
        for part in (genie.tokenizer, genie.latent_action, genie.dynamics)
    )


@pytest.mark.parametrize("preset", presets())
def test_every_preset_loads_builds_and_round_trips(preset):
    config = load_config(preset)
    assert config.name == preset
    assert config_from_dict(config_to_dict(config)) == config
    assert all(count > 0 for count in millions(preset))


@pytest.mark.parametrize("row", RULE)
def test_scaling_rows_have_the_parameters_of_their_table(row):
    dynamics = millions(f"scaling/{row}")[2]
    assert dynamics == pytest.approx(RULE[row], rel=0.05)
    if row in TABLE_10:
        assert dynamics == pytest.approx(TABLE_10[row], rel=0.055)  # the 404M row's own sizes give 424M


def test_the_papers_genie_has_its_parameters():
    tokenizer, latent_action, dynamics = millions("platformers")
    assert tokenizer == pytest.approx(205, rel=0.05)  # table 3 prints 205M
    assert latent_action == pytest.approx(356, rel=0.05)  # section 3 prints 300M; the total of 10.7B fits 356M
    assert dynamics == pytest.approx(10_100, rel=0.05)
    assert tokenizer + latent_action + dynamics == pytest.approx(10_700, rel=0.05)


def test_the_paper_preset_has_the_case_studys_sizes():
    config = load_config("paper")
    for part in (config.model.tokenizer.encoder, config.model.latent_action.decoder):
        assert (part.num_layers, part.d_model, part.num_heads) == (8, 512, 8)  # tables 15 and 16
    transformer = config.model.dynamics.transformer
    assert (transformer.num_layers, transformer.d_model, transformer.num_heads) == (12, 512, 8)  # table 17
    assert (config.model.tokenizer.codebook.num_codes, config.model.latent_action.codebook.num_codes) == (1024, 6)
    assert (config.sampling.maskgit_steps, config.sampling.temperature) == (25, 1.0)
    assert (config.training.tokenizer.clips, config.training.genie.clips) == (48, 36)  # appendix F
    assert config.data.train_frames == 10_000_000
    assert not config.model.latent_action.difference_input
    assert not config.model.latent_action.residual_output


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"modle": {}}, "modle: unknown key; did you mean 'model'"),
        ({"model": {"tokenizer": {"patch": 4}}}, "model.tokenizer.patch: unknown key; did you mean 'patch_size'"),
        ({"training": {"genie": {"steps": "many"}}}, "training.genie.steps: found 'many', wanted a whole number"),
        ({"training": {"genie": {"steps": True}}}, "training.genie.steps: found True, wanted a whole number"),
        ({"data": {"backgrounds": "yes"}}, "data.backgrounds: found 'yes', wanted true or false"),
        ({"model": {"tokenizer": {"codes": "patches"}}}, "model.tokenizer.codebook: found {'update': 'ema', "),
        ({"data": {"policy": "expert"}}, "data.policy: found 'expert', wanted one of 'sticky', 'uniform', 'walker'"),
        ({"data": {"train_levels": [0, 0]}}, r"data.train_levels: .*\*all\* levels"),
        ({"data": {"test_levels": [9_999, 10]}}, "data.test_levels: .*disjoint"),
        (
            {"model": {"dynamics": {"transformer": {"d_model": 100, "num_heads": 3}}}},
            r"model.dynamics.transformer.num_heads: found 3, wanted a divisor of d_model \(100\)",
        ),
        ({"model": {"tokenizer": {"patch_size": 7}}}, "tokenizer.patch_size: found 7, wanted a size that tiles"),
        ({"model": 3}, "model: found 3, wanted a mapping"),
        ({"model": {"frame_size": [64]}}, "model.frame_size: .*a list of 2 values"),
        ({"sampling": {"maskgit_steps": 0}}, "sampling.maskgit_steps: found 0, wanted 1 or more"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        config_from_dict(settings)


def test_an_unknown_preset_is_named_with_a_guess(tmp_path):
    with pytest.raises(ConfigError, match="'latpop': not found; did you mean 'laptop'"):
        load_config("latpop")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1,")
    with pytest.raises(ConfigError, match="broken.yaml: not valid YAML"):
        load_config(broken)


def test_overrides_win_and_leave_the_rest():
    config = load_config("tiny", {"training.tokenizer.steps": 3})
    assert config.training.tokenizer.steps == 3
    assert config.training.dynamics == load_config("tiny").training.dynamics
    assert config_from_dict({}) == Config()
