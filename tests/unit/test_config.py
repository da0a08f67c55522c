"""Presets load and round-trip, errors name what is wrong, and parameter counts follow the paper's tables."""

import dataclasses

import pytest
import torch

from genie_lite import ConfigError, load_config, presets
from genie_lite.api import Genie
from genie_lite.config import Config, StageConfig, config_from_dict, config_to_dict, parse_overrides

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
        (
            {"data": {"policy": "robot"}},
            "data.policy: found 'robot', wanted 'sticky', 'uniform', 'walker', 'expert' or 'pusher'",
        ),
        ({"data": {"policy": "pusher"}}, "data.policy: found 'pusher', wanted pusher with game: robot"),
        ({"data": {"game": "robot"}}, "data.policy: found 'sticky', wanted pusher with game: robot"),
        ({"data": {"train_levels": [0, 0]}}, r"data.train_levels: .*\*all\* levels"),
        ({"data": {"test_levels": [9_999, 10]}}, "data.test_levels: .*disjoint"),
        (
            {"model": {"dynamics": {"transformer": {"d_model": 100, "num_heads": 3}}}},
            r"model.dynamics.transformer.num_heads: found 3, wanted a divisor of d_model \(100\)",
        ),
        (
            {"model": {"dynamics": {"past": "complete", "merge": 3}}},
            r"model.dynamics.merge: found 3, wanted a number that divides the rows and columns of tokens, \[16, 16\]",
        ),
        (
            {"model": {"dynamics": {"past": "complete", "guess_likeness": True}}},
            "model.dynamics.guess_likeness: found True, wanted false, or first_guess: true",
        ),
        ({"training": {"dynamics": {"mirrored": 1.5}}}, "training.dynamics.mirrored: found 1.5, wanted .*1"),
        (
            {
                "model": {
                    "latent_action": {"shift": 4},
                    "dynamics": {"past": "complete", "first_guess": True, "guess_likeness": True},
                }
            },
            "model.dynamics.guess_likeness: found True, wanted false, or tokenizer.codes: patches",
        ),
        ({"model": {"tokenizer": {"patch_size": 7}}}, "tokenizer.patch_size: found 7, wanted a size that tiles"),
        ({"model": 3}, "model: found 3, wanted a mapping"),
        ({"model": {"frame_size": [64]}}, "model.frame_size: .*a list of 2 values"),
        ({"sampling": {"maskgit_steps": 0}}, "sampling.maskgit_steps: found 0, wanted 1 or more"),
        ({"model": {"frame_size": [64, "x"]}}, r"model.frame_size\[1\]: found 'x', wanted a whole number"),
        ({"training": {"dynamics": {"max_lr": 1e-6}}}, r"min_lr: found 3e-05, wanted max_lr \(1e-06\) or less"),
        (
            {"data": {"num_envs": 0, "seed": -1}},
            "num_envs: found 0, wanted 1 or more; data.seed: found -1, wanted 0 or",
        ),
        ({"model": {"tokenizer": {"codebook": {"decay": 1}}}}, "codebook.decay: found 1, wanted less than 1"),
        ([], r"config: found \[\], wanted a mapping of settings"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        config_from_dict(settings)


INF, NAN = float("inf"), float("nan")
TRANSFORMER = "model.dynamics.transformer."
STAGE = "training.tokenizer."


@pytest.mark.parametrize(
    ("key", "values"),
    {
        "data.action_repeat": (0, -1),
        "data.frames_per_level": (-1,),
        "data.right_bias": (-0.1, 1.1, NAN),
        "data.test_levels": ([2**31, 5], [-1, 5]),
        "data.seed": (-1, 2**64),
        "model.frame_size": ([0, 0], [-64, 64], [64, 64, 3]),
        "model.channels": (-3, 0, 10**30),
        "model.context_frames": (1,),
        "model.tokenizer.codebook.commitment": (-1, INF, NAN),
        "model.tokenizer.codebook.restart_after": (-1,),
        "model.tokenizer.codebook.latent_dim": (0,),
        "model.latent_action.patch_size": (0, -16),
        "model.dynamics.corruption": (2, NAN),
        "model.dynamics.mask_rate": ([0.5, 1.5], [0.9, 0.1], [0, 0], [NAN, 1]),
        "model.dynamics.loss_share": (0, -1),
        "model.dynamics.merge": (0, -2, 2),  # tiny's past is masked
        "model.dynamics.action_input": ("concatenated", True),
        TRANSFORMER + "qk_size": (-2, 0, 3),
        TRANSFORMER + "v_size": (-2, 0),
        TRANSFORMER + "d_model": (0, -8, 2**40),
        TRANSFORMER + "ffn_ratio": (0, -1, INF, NAN, 1e-6, 1e300),
        STAGE + "steps": (0, -1),
        STAGE + "time_budget_minutes": (0, -1, INF),
        STAGE + "clips": (0,),
        STAGE + "micro_batch": (0,),
        STAGE + "frames": (1, 0),
        STAGE + "muon_lr": (-0.02, 0, INF),
        STAGE + "max_lr": (-1e-3, 0, NAN),
        STAGE + "min_lr": (-1e-3,),
        STAGE + "beta1": (-0.1, 1, NAN),
        STAGE + "beta2": (-0.1, 1, NAN),
        STAGE + "weight_decay": (-1e-4, INF),
        STAGE + "warmup_steps": (-1,),
        STAGE + "grad_clip": (-1, NAN),
        STAGE + "seed": (-1,),
        STAGE + "sample_every": (-1,),
        STAGE + "checkpoint_every_minutes": (-1, NAN),
        STAGE + "own_past": (-0.1, 1.1, NAN),
        STAGE + "own_past_frames": (0,),
        "sampling.temperature": (-1, INF, NAN),
        "sampling.min_p": (-0.1, 1.1, NAN),
    }.items(),
)
def test_values_that_no_run_can_use_are_refused_by_their_key(key, values):
    for value in values:
        with pytest.raises(ConfigError, match=f"^{key}.*: found "):
            load_config("tiny", {key: value})


def test_a_group_is_checked_wherever_it_is_made():
    stage = load_config("tiny").training.tokenizer
    with pytest.raises(ConfigError, match="^steps: found 0, wanted 1 or more$"):
        dataclasses.replace(stage, steps=0)
    with pytest.raises(ConfigError, match="^stpes: unknown key; did you mean 'steps'"):
        StageConfig(stpes=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        stage.steps = 5


def test_an_unknown_preset_is_named_with_a_guess(tmp_path):
    with pytest.raises(ConfigError, match="'latpop': not found; did you mean 'laptop'"):
        load_config("latpop")
    for name in ("x" * 5000, "a\0b", "a\0b.yaml", ".."):
        with pytest.raises(ConfigError, match="not found"):
            load_config(name)


BOMB = "a0: &a0 [1, 2]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1,", "not valid YAML .*line 1"),
        (b"name: \xe9", "not valid YAML .*utf-8"),
        (b"name: \x00", "not valid YAML"),
        (b"data: &a {seed: *a}", "aliases followed"),
        (b"data: &a [1, *a]", "aliases followed"),
        (BOMB.encode(), "aliases followed"),
        (BOMB.replace("[", "{<<: [").replace("]", "]}").replace("[1, 2]", "{x: 1}").encode(), "aliases followed"),
        (b"data: " + b"[" * 5000, "not valid YAML"),
        (b"data: {seed: 2020-99-99}", "not valid YAML"),
        (b"data: {? [1] : 2}", "not valid YAML"),
        (b"data: !!python/object:os.system {}", "not valid YAML"),
        (b"data: {seed: !!timestamp x}", "not valid YAML"),
        (b"data: {backgrounds: !!bool x}", "not valid YAML"),
        (b"- 1", "found list, wanted a mapping"),
    ],
)
def test_a_broken_file_is_named(tmp_path, content, message):
    broken = tmp_path / "broken.yaml"
    broken.write_bytes(content)
    with pytest.raises(ConfigError, match=f"broken.yaml: .*{message}") as caught:
        load_config(broken)
    assert "\n" not in str(caught.value)


def test_numbers_are_read_as_python_writes_them(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("training: {genie: {max_lr: 3e-3, min_lr: 1.5E-4, weight_decay: 0, clips: 1_000}}")
    stage = load_config(file).training.genie
    assert (stage.max_lr, stage.min_lr, stage.weight_decay, stage.clips) == (3e-3, 1.5e-4, 0.0, 1000)
    assert load_config(file).name == "mine"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("-2.5E+4", -2.5e4),
        ("20", 20),
        ("true", True),
        ("null", None),
        ("[64, 64]", [64, 64]),
        ("muon", "muon"),
        ("a=b", "a=b"),
    ],
)
def test_overrides_are_read_as_yaml(text, value):
    assert parse_overrides([f"some.key={text}"]) == {"some.key": value}


def test_overrides_win_and_leave_the_rest():
    config = load_config("tiny", {"training.tokenizer.steps": 3})
    assert config.training.tokenizer.steps == 3
    assert config.training.dynamics == load_config("tiny").training.dynamics
    assert config_from_dict({}) == Config()
