"""Every setting of genie-lite, as frozen dataclasses; a preset is one YAML file of differences from them.

Shapes everywhere in the package use one legend::

    B clips · T frames · H W pixels · C channels · N tokens per frame · D width · K codes · A latent actions
"""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from genie_lite.config.settings import ConfigError, assign, build, plain, require

PRESETS = Path(__file__).parent / "presets"


# ------------------------------------------------------------------------------------------------ the data


@dataclass(frozen=True)
class DataConfig:
    """Which CoinRun videos are collected (appendix F.1 of the paper; defaults are the course's plain CoinRun)."""

    distribution_mode: Literal["easy", "hard"] = "easy"
    backgrounds: bool = False  # painted backgrounds behind the level
    restrict_themes: bool = True  # one look for ground and player
    policy: Literal["sticky", "uniform", "walker"] = "sticky"  # who plays: genie_lite.data.policies
    sticky_probability: float = 0.5  # sticky: of keeping the last env action; walker: the last direction
    right_bias: float = 0.3  # extra probability of a rightward env action, so that videos travel through levels
    action_repeat: int = 4  # game steps one env action is held; one frame is stored per env action
    num_envs: int = 16
    frames_per_level: int = 0  # 0: levels change at every episode; n: n frames are taken from each level in turn
    train_levels: tuple[int, int] = (0, 10_000)  # first level seed, number of levels
    test_levels: tuple[int, int] = (1_000_000, 1_000)
    train_frames: int = 100_000
    test_frames: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.action_repeat >= 1, "action_repeat", self.action_repeat, "1 or more game steps")
        require(self.num_envs >= 1, "num_envs", self.num_envs, "1 or more environments")
        for name in ("train_levels", "test_levels"):
            first, count = getattr(self, name)
            require(
                first >= 0 and count >= 1,
                name,
                [first, count],
                "[first level >= 0, number of levels >= 1]; "
                "procgen reads 0 levels as *all* levels, which would mix training and test",
            )
        a, n = self.train_levels
        b, m = self.test_levels
        require(a + n <= b or b + m <= a, "test_levels", [b, m], f"levels disjoint from train_levels {[a, n]}")
        for name in ("sticky_probability", "right_bias"):
            require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "a probability in [0, 1]")


# ---------------------------------------------------------------------------------------------- the models


@dataclass(frozen=True)
class TransformerConfig:
    """An ST-transformer (section 2, figure 4)."""

    num_layers: int = 4
    d_model: int = 256
    num_heads: int = 4
    qk_size: int | None = None  # width of a query and of a key, per head; None: d_model / num_heads
    v_size: int | None = None  # width of a value, per head; None: d_model / num_heads
    ffn_ratio: float = 2.0  # feed-forward hidden units as a multiple of d_model

    def __post_init__(self) -> None:
        for name in ("num_layers", "d_model", "num_heads"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        if self.qk_size is None or self.v_size is None:
            require(
                self.d_model % self.num_heads == 0,
                "num_heads",
                self.num_heads,
                f"a divisor of d_model ({self.d_model}), or both qk_size and v_size given",
            )
        require(self.head_width % 2 == 0, "qk_size", self.head_width, "an even number (rotary time turns pairs)")

    @property
    def head_width(self) -> int:
        """Columns of one head's queries and keys."""
        return self.qk_size or self.d_model // self.num_heads

    @property
    def value_width(self) -> int:
        """Columns of one head's values."""
        return self.v_size or self.d_model // self.num_heads


@dataclass(frozen=True)
class CodebookConfig:
    """A vector quantizer's codebook (van den Oord et al., 2017; sizes in tables 5, 7, 15, 16)."""

    num_codes: int = 1024
    latent_dim: int = 32
    normalize: bool = True  # compare directions only: latents and codes lie on the unit sphere
    update: Literal["ema", "gradient", "fixed"] = "ema"  # how codes follow their latents; fixed: not at all
    decay: float = 0.99  # of the moving averages, when update is ema
    commitment: float = 0.25  # weight of the loss that holds latents near their code
    restart_after: int = 0  # steps a code may lie idle before it restarts on a random latent; 0: never

    def __post_init__(self) -> None:
        require(self.num_codes >= 1, "num_codes", self.num_codes, "1 or more codes")
        require(self.latent_dim >= 1, "latent_dim", self.latent_dim, "1 or more")
        require(0 <= self.decay < 1, "decay", self.decay, "a number in [0, 1)")


@dataclass(frozen=True)
class TokenizerConfig:
    """The video tokenizer (figure 6; table 15 for CoinRun). `attention` is what table 3 compares."""

    patch_size: int = 4
    attention: Literal["st", "space", "full"] = "st"  # ST-ViViT (the paper's choice), ViT, C-ViViT
    codes: Literal["learned", "patches"] = "learned"  # patches: a token is the nearest of K typical patches (paper: no)
    encoder: TransformerConfig = field(default_factory=TransformerConfig)
    decoder: TransformerConfig = field(default_factory=TransformerConfig)
    codebook: CodebookConfig = field(default_factory=CodebookConfig)

    def __post_init__(self) -> None:
        book = self.codebook
        require(
            self.codes == "learned" or (book.update == "fixed" and not book.normalize and not book.restart_after),
            "codebook",
            {"update": book.update, "normalize": book.normalize, "restart_after": book.restart_after},
            "{update: fixed, normalize: false, restart_after: 0}: with codes: patches it is fitted before training",
        )


@dataclass(frozen=True)
class LatentActionConfig:
    """The latent action model (figure 5; table 16 for CoinRun). The named options are departures from the paper."""

    patch_size: int = 16
    encoder: TransformerConfig = field(default_factory=TransformerConfig)
    decoder: TransformerConfig = field(default_factory=TransformerConfig)
    codebook: CodebookConfig = field(default_factory=lambda: CodebookConfig(num_codes=6, restart_after=30))
    difference_input: bool = True  # encoder also sees x_t - x_(t-1) as extra channels (paper: no)
    residual_output: bool = True  # decoder predicts a change to the last frame (paper: no, a sigmoid image)
    inputs: Literal["pixels", "tokens"] = "pixels"  # what it sees and predicts (table 2; the paper's choice: pixels)
    loss: Literal["squared", "relative"] = "squared"  # relative: a frame's error counts less, the more it changed


@dataclass(frozen=True)
class DynamicsConfig:
    """The dynamics model (figure 7; table 17 for CoinRun)."""

    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    mask_rate: tuple[float, float] = (0.5, 1.0)  # masking rate, drawn uniformly for each clip
    corruption: float = 0.0  # largest share of a clip's input tokens that others of it replace (paper: 0)
    previous_input: bool = False  # a place also sees its token of the frame before, which is never hidden (paper: no)
    loss_share: float = 1.0  # share of the hidden tokens, drawn at random, that the loss counts (paper: all)
    token_start: Literal["random", "codebook"] = "random"  # codebook: alike tokens begin alike (paper: not said)

    def __post_init__(self) -> None:
        low, high = self.mask_rate
        require(0 <= low <= high <= 1, "mask_rate", [low, high], "[low, high] with 0 <= low <= high <= 1")
        require(0 <= self.corruption <= 1, "corruption", self.corruption, "a share in [0, 1]")
        require(0 < self.loss_share <= 1, "loss_share", self.loss_share, "a share in (0, 1]")


@dataclass(frozen=True)
class ModelConfig:
    """The three models together, and the frames they share."""

    frame_size: tuple[int, int] = (64, 64)  # H, W
    channels: int = 3
    context_frames: int = 16  # length of the sliding temporal window
    pad_frames: bool = False  # pad frames at the right and bottom where patches do not tile them
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    latent_action: LatentActionConfig = field(default_factory=LatentActionConfig)
    dynamics: DynamicsConfig = field(default_factory=DynamicsConfig)

    def __post_init__(self) -> None:
        require(self.context_frames >= 2, "context_frames", self.context_frames, "2 or more frames")
        for part in ("tokenizer", "latent_action"):
            patch = getattr(self, part).patch_size
            require(patch >= 1, f"{part}.patch_size", patch, "1 or more pixels")
            tiles = all(side % patch == 0 for side in self.frame_size)
            require(
                tiles or self.pad_frames,
                f"{part}.patch_size",
                patch,
                f"a size that tiles frames of {list(self.frame_size)}, or pad_frames: true",
            )

        pixels = self.tokenizer.patch_size**2 * self.channels
        require(
            self.tokenizer.codes == "learned" or self.tokenizer.codebook.latent_dim == pixels,
            "tokenizer.codebook.latent_dim",
            self.tokenizer.codebook.latent_dim,
            f"{pixels}, the numbers in a patch, as codes: patches keeps patches in the codebook",
        )
        own, token = self.latent_action.patch_size, self.tokenizer.patch_size
        require(
            self.latent_action.inputs == "pixels" or own % token == 0,
            "latent_action.patch_size",
            own,
            f"a multiple of tokenizer.patch_size ({token}), so that whole tokens make a patch, or inputs: pixels",
        )

    def grid(self, patch_size: int) -> tuple[int, int]:
        """Rows and columns of patches that cover a frame; a frame is padded where patches do not tile it."""
        height, width = self.frame_size
        return -(-height // patch_size), -(-width // patch_size)

    @property
    def tokens_per_frame(self) -> int:
        rows, columns = self.grid(self.tokenizer.patch_size)
        return rows * columns


# -------------------------------------------------------------------------------------------- the training


@dataclass(frozen=True)
class StageConfig:
    """One training stage (tables 8 and 9 give the paper's optimiser)."""

    steps: int = 1_000
    time_budget_minutes: float | None = None  # the schedule also ends when this much time is spent; None: no limit
    clips: int = 16  # clips per step
    micro_batch: int | None = None  # clips that are in memory at once, gradients adding up over a step's; None: all
    frames: int = 16  # frames per clip
    frame_stride: int = 1  # stored frames from one frame of a clip to the next
    optimizer: Literal["muon", "adamw"] = "muon"  # muon: for the matrices of the blocks, adamw for the rest
    muon_lr: float = 0.02
    max_lr: float = 3e-4
    min_lr: float = 3e-5
    beta1: float = 0.9
    beta2: float = 0.9
    weight_decay: float = 1e-4
    warmup_steps: int = 50
    grad_clip: float = 1.0  # norm that gradients are clipped to; 0: never
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 where the machine has it natively
    compile: bool = False  # torch.compile the transformers: a minute of warm-up, for runs on a GPU
    seed: int = 0
    log_every: int = 10
    sample_every: int = 100  # steps from one sample picture to the next; 0: none
    checkpoint_every_minutes: float = 2.0

    def __post_init__(self) -> None:
        for name in ("steps", "clips", "frame_stride", "log_every"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        require(self.frames >= 2, "frames", self.frames, "2 or more frames per clip")
        micro = self.micro_batch
        require(micro is None or micro >= 1, "micro_batch", micro, "1 or more clips, or null for all")
        budget = self.time_budget_minutes
        require(budget is None or budget > 0, "time_budget_minutes", budget, "more than 0 minutes, or null")


@dataclass(frozen=True)
class TrainingConfig:
    """The paper's two phases, `tokenizer` then `genie` (latent action model and dynamics model together).

    The course splits the second in its two halves, which the stop-gradient between them allows.
    """

    tokenizer: StageConfig = field(default_factory=StageConfig)
    genie: StageConfig = field(default_factory=StageConfig)
    latent_action: StageConfig = field(default_factory=StageConfig)
    dynamics: StageConfig = field(default_factory=StageConfig)


@dataclass(frozen=True)
class SamplingConfig:
    """How a frame is decoded by MaskGIT (section 3, table 17)."""

    maskgit_steps: int = 25
    temperature: float = 1.0
    schedule: Literal["cosine", "linear"] = "cosine"
    ordering: Literal["random", "confidence"] = "random"

    def __post_init__(self) -> None:
        require(self.maskgit_steps >= 1, "maskgit_steps", self.maskgit_steps, "1 or more steps")
        require(self.temperature >= 0, "temperature", self.temperature, "0 (greedy) or more")


@dataclass(frozen=True)
class Config:
    """Everything that makes a world: the preset's name, data, models, training, sampling."""

    name: str = "default"
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)


# --------------------------------------------------------------------------------------------- reading it


def presets() -> list[str]:
    """Names of the presets that ship, e.g. ``['gpu', 'laptop', ..., 'scaling/41m', ..., 'tiny']``."""
    return sorted(path.relative_to(PRESETS).with_suffix("").as_posix() for path in PRESETS.rglob("*.yaml"))


def load_config(preset: str | Path, overrides: dict[str, Any] | None = None) -> Config:
    """Read a preset by name, or a YAML file by path.

    `overrides` maps dotted keys to values, ``{"training.tokenizer.steps": 20}``, and wins over the file.
    Raises ConfigError for an unknown preset or key, a wrong type, or settings that exclude each other.
    """
    path = Path(preset) if str(preset).endswith((".yaml", ".yml")) else PRESETS / f"{preset}.yaml"
    if not path.is_file():
        names = presets()
        close = difflib.get_close_matches(str(preset), names, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ConfigError(
            f"preset {str(preset)!r}: not found; {hint}presets are {', '.join(names)}, or give the path of a .yaml file"
        )
    try:
        tree = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML ({error}); fix the file or load another preset") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: found {type(tree).__name__}, wanted a mapping of settings")
    tree.setdefault("name", path.stem if path.parent != PRESETS / "scaling" else f"scaling/{path.stem}")
    tree = plain(tree)  # groups that share a YAML anchor become groups of their own
    for key, value in (overrides or {}).items():
        assign(tree, key, value)
    return config_from_dict(tree)


def config_from_dict(tree: dict[str, Any], kind: type = Config) -> Any:
    """Build a settings dataclass from plain dictionaries; ConfigError names whatever is wrong."""
    return build(kind, tree, "")


def config_to_dict(config: Any) -> dict[str, Any]:
    """The inverse of `config_from_dict`: plain dictionaries, lists, numbers and strings, fit for JSON."""
    tree: dict[str, Any] = plain(dataclasses.asdict(config))
    return tree
