"""Every setting of genie-lite. A preset is one YAML file of differences from these defaults.

The type of a field states which values it takes; a group with any other value cannot be made (ConfigError).

Shapes everywhere in the package use one legend::

    B clips · T frames · H W pixels · C channels · N tokens per frame · D width · K codes · A latent actions
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from genie_lite.config.errors import checked, require

Count = Annotated[int, Field(ge=1, le=2**40)]
CountOrZero = Annotated[int, Field(ge=0, le=2**40)]
Size = Annotated[int, Field(ge=1, le=2**20)]  # of one axis of a tensor
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]  # a probability, too
Decay = Annotated[float, Field(ge=0, lt=1)]  # of a moving average
Pair = Field(strict=False)  # a list is as good as a tuple


# ------------------------------------------------------------------------------------------------ the data


@checked
@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """How CoinRun videos are collected (appendix F.1); the defaults are the simplified game of the course."""

    game: Literal["coinrun", "ninja", "climber", "jumper"] = "coinrun"  # of procgen
    distribution_mode: Literal["easy", "hard"] = "easy"  # procgen's difficulty
    backgrounds: bool = False  # paint backgrounds behind the level
    restrict_themes: bool = True  # give the ground and the hero one look in every level
    policy: Literal["sticky", "uniform", "walker", "expert"] = (
        "sticky"  # who presses the keys: genie_lite.data.policies
    )
    sticky_probability: Fraction = 0.5  # of repeating the last env action (sticky) or the last direction (walker)
    right_bias: Fraction = 0.3  # extra probability of moving right, so that videos travel through their levels
    action_repeat: Count = 4  # game steps per env action; one frame is stored per env action
    num_envs: Size = 16  # games played side by side
    frames_per_level: CountOrZero = 0  # frames taken from a level before the next one; 0: one episode per level
    train_levels: Annotated[tuple[CountOrZero, CountOrZero], Pair] = (0, 10_000)  # first level seed, number of levels
    test_levels: Annotated[tuple[CountOrZero, CountOrZero], Pair] = (1_000_000, 1_000)  # disjoint from train_levels
    train_frames: Count = 100_000  # frames collected for training
    test_frames: Count = 10_000  # frames collected for evaluation
    seed: Seed = 0  # of the policy and of the order of levels

    def __post_init__(self) -> None:
        for name in ("train_levels", "test_levels"):
            first, count = getattr(self, name)
            require(
                count >= 1 and first + count < 2**31,
                name,
                [first, count],
                "[first level seed, number of levels], 1 or more levels with seeds below 2^31; "
                "procgen reads 0 levels as *all* levels, which would mix training and test",
            )
        a, n = self.train_levels
        b, m = self.test_levels
        require(a + n <= b or b + m <= a, "test_levels", [b, m], f"levels disjoint from train_levels {[a, n]}")


# ---------------------------------------------------------------------------------------------- the models


@checked
@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """An ST-transformer (section 2, figure 4)."""

    num_layers: Size = 4
    d_model: Size = 256  # D, the width of a token
    num_heads: Size = 4
    qk_size: Size | None = None  # width of a query and of a key, per head; null: d_model / num_heads
    v_size: Size | None = None  # width of a value, per head; null: d_model / num_heads
    ffn_ratio: Annotated[float, Field(gt=0, le=1024)] = 2.0  # feed-forward hidden units as a multiple of d_model

    def __post_init__(self) -> None:
        require(
            self.d_model % self.num_heads == 0 or (self.qk_size is not None and self.v_size is not None),
            "num_heads",
            self.num_heads,
            f"a divisor of d_model ({self.d_model}), or both qk_size and v_size given",
        )
        require(
            self.head_width % 2 == 0,
            "qk_size",
            self.head_width,
            "an even number: rotary embeddings of time rotate pairs of columns",
        )
        require(
            round(self.ffn_ratio * self.d_model) >= 1,
            "ffn_ratio",
            self.ffn_ratio,
            f"a ratio that leaves at least one hidden unit at d_model {self.d_model}",
        )

    @property
    def head_width(self) -> int:
        """Columns of one head's queries and keys."""
        return self.qk_size or self.d_model // self.num_heads

    @property
    def value_width(self) -> int:
        """Columns of one head's values."""
        return self.v_size or self.d_model // self.num_heads


@checked
@dataclass(frozen=True, kw_only=True)
class CodebookConfig:
    """The codebook of a vector quantizer (van den Oord et al., 2017; sizes in tables 5, 7, 15, 16)."""

    num_codes: Size = 1024  # K
    latent_dim: Size = 32  # width of a code
    normalize: bool = True  # compare directions only: latents and codes lie on the unit sphere
    update: Literal["ema", "gradient", "fixed"] = "ema"  # how codes follow their latents; fixed: they do not
    decay: Decay = 0.99  # of the moving averages, with update: ema
    commitment: Number = 0.25  # weight of the loss that keeps latents near their codes
    loss_weight: Number = 0.1  # weight of the quantizer's loss beside the model's own, which is small (paper: 1)
    restart_after: CountOrZero = 0  # steps without use after which a code restarts at a random latent; 0: never


@checked
@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """The video tokenizer (figure 6; table 15 for CoinRun). Table 3 compares the three kinds of attention."""

    patch_size: Size = 4  # side of a patch, in pixels
    attention: Literal["st", "space", "full"] = "st"  # ST-ViViT (the paper's choice), ViT, C-ViViT
    codes: Literal["learned", "patches"] = "learned"  # patches: codes are K typical patches (paper: learned)
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


@checked
@dataclass(frozen=True, kw_only=True)
class LatentActionConfig:
    """The latent action model (figure 5; table 16 for CoinRun). Options marked (paper: ...) depart from the paper."""

    patch_size: Size = 16  # side of a patch, in pixels
    encoder: TransformerConfig = field(default_factory=TransformerConfig)
    decoder: TransformerConfig = field(default_factory=TransformerConfig)
    codebook: CodebookConfig = field(default_factory=lambda: CodebookConfig(num_codes=6, restart_after=30))
    difference_input: bool = True  # the encoder also sees x_t - x_(t-1) as extra channels (paper: false)
    residual_output: bool = True  # the decoder predicts a change to the last frame (paper: false, the frame itself)
    inputs: Literal["pixels", "tokens"] = "pixels"  # what the model reads and predicts (table 2; paper: pixels)
    loss: Literal["squared", "relative"] = "squared"  # relative: frames that change more weigh less (paper: squared)
    shift: CountOrZero = 0  # pixels by which the decoder may move the last frame (paper: 0)
    motion_input: bool = False  # with shift: both sides also read how far the scene moved, measured (paper: false)

    def __post_init__(self) -> None:
        require(
            not self.shift or (self.inputs == "pixels" and self.difference_input and self.residual_output),
            "shift",
            self.shift,
            "0, or inputs: pixels, difference_input: true and residual_output: true",
        )
        require(self.shift > 0 or not self.motion_input, "motion_input", self.motion_input, "false, or a shift above 0")


@checked
@dataclass(frozen=True, kw_only=True)
class DynamicsConfig:
    """The dynamics model (figure 7; table 17 for CoinRun). Options marked (paper: ...) depart from the paper."""

    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    mask_rate: Annotated[tuple[Fraction, Fraction], Pair] = (0.5, 1.0)  # range of the rate drawn for each clip
    corruption: Fraction = 0.0  # maximum fraction of tokens replaced by random tokens of the same clip (paper: 0)
    previous_input: bool = False  # add the previous frame's unmasked token embedding at each position (paper: false)
    loss_share: Annotated[float, Field(gt=0, le=1)] = 1.0  # fraction of the masked tokens in the loss (paper: 1)
    past: Literal["masked", "complete"] = "masked"  # past frames in training; complete: as in play (paper: masked)
    first_guess: bool = False  # also read the next frame as the latent action model predicts it (paper: false)
    token_start: Literal["random", "codebook"] = "random"  # initial token embeddings (paper: not stated)

    def __post_init__(self) -> None:
        low, high = self.mask_rate
        require(
            low <= high and high > 0, "mask_rate", [low, high], "[low, high] with 0 <= low <= high <= 1 and high > 0"
        )
        complete = self.past == "complete"
        require(complete or not self.first_guess, "first_guess", self.first_guess, "false, or past: complete")
        require(not (complete and self.previous_input), "previous_input", self.previous_input, "false, or past: masked")


@checked
@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The three models together, and the frames they share."""

    frame_size: Annotated[tuple[Size, Size], Pair] = (64, 64)  # H, W
    channels: Size = 3  # C
    context_frames: Annotated[int, Field(ge=2, le=2**20)] = 16  # length of the sliding temporal window
    pad_frames: bool = False  # pad frames at the right and bottom where patches do not tile them
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    latent_action: LatentActionConfig = field(default_factory=LatentActionConfig)
    dynamics: DynamicsConfig = field(default_factory=DynamicsConfig)

    def __post_init__(self) -> None:
        for model in ("tokenizer", "latent_action"):
            patch = getattr(self, model).patch_size
            require(
                self.pad_frames or all(side % patch == 0 for side in self.frame_size),
                f"{model}.patch_size",
                patch,
                f"a size that tiles frames of {list(self.frame_size)}, or pad_frames: true",
            )
        pixels = self.tokenizer.patch_size**2 * self.channels
        require(
            self.tokenizer.codes == "learned" or self.tokenizer.codebook.latent_dim == pixels,
            "tokenizer.codebook.latent_dim",
            self.tokenizer.codebook.latent_dim,
            f"{pixels}, the numbers in a patch: with codes: patches the codebook holds patches",
        )
        own, token = self.latent_action.patch_size, self.tokenizer.patch_size
        require(
            self.latent_action.inputs == "pixels" or own % token == 0,
            "latent_action.patch_size",
            own,
            f"a multiple of tokenizer.patch_size ({token}), so that whole tokens make a patch, or inputs: pixels",
        )
        require(
            self.latent_action.shift < min(self.frame_size),
            "latent_action.shift",
            self.latent_action.shift,
            f"less than the sides of frames, {list(self.frame_size)}",
        )
        require(
            not self.dynamics.first_guess or self.latent_action.inputs == "pixels",
            "dynamics.first_guess",
            self.dynamics.first_guess,
            "false, or latent_action.inputs: pixels",
        )

    def grid(self, patch_size: int) -> tuple[int, int]:
        """Rows and columns of the patches that cover a frame, the padded ones included."""
        height, width = self.frame_size
        return -(-height // patch_size), -(-width // patch_size)

    @property
    def tokens_per_frame(self) -> int:
        """N."""
        rows, columns = self.grid(self.tokenizer.patch_size)
        return rows * columns


# -------------------------------------------------------------------------------------------- the training


@checked
@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """One training stage (tables 8 and 9 give the paper's optimiser)."""

    steps: Count = 1_000  # optimiser steps
    time_budget_minutes: Positive | None = None  # the schedule ends here if this comes first; null: no limit
    clips: Size = 16  # clips per step
    micro_batch: Size | None = None  # clips in memory at once, their gradients added up over a step; null: all
    frames: Annotated[int, Field(ge=2, le=2**20)] = 16  # frames per clip
    encoded_clips: CountOrZero = 0  # dynamics: clips encoded once, before training; 0: clips are encoded every step
    frame_stride: Size = 1  # stored frames from one frame of a clip to the next
    optimizer: Literal["muon", "adamw"] = "muon"  # muon: for the matrices of the blocks, adamw for the rest
    muon_lr: Positive = 0.02  # peak learning rate of Muon
    max_lr: Positive = 3e-4  # peak learning rate of AdamW
    min_lr: Number = 3e-5  # learning rate of AdamW at the end of the schedule; Muon's falls by the same factor
    beta1: Decay = 0.9  # of AdamW
    beta2: Decay = 0.9  # of AdamW
    weight_decay: Number = 1e-4
    warmup_steps: CountOrZero = 50  # steps until the learning rate reaches its peak
    grad_clip: Number = 1.0  # norm to which gradients are clipped; 0: no clipping
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 where the machine has it natively
    compile: bool = False  # torch.compile the transformers: a minute of warm-up, for runs on a GPU
    seed: Seed = 0  # of the initial weights and of everything drawn in training
    log_every: Count = 10  # steps between rows of log.csv
    sample_every: CountOrZero = 100  # steps between sample pictures; 0: none
    checkpoint_every_minutes: Number = 2.0  # minutes between saved training states

    def __post_init__(self) -> None:
        require(self.min_lr <= self.max_lr, "min_lr", self.min_lr, f"max_lr ({self.max_lr}) or less")


@checked
@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The paper's two phases, `tokenizer` then `genie` (latent action model and dynamics model together).

    The course splits the second into its two halves, which the stop-gradient between them allows.
    """

    tokenizer: StageConfig = field(default_factory=StageConfig)
    genie: StageConfig = field(default_factory=StageConfig)
    latent_action: StageConfig = field(default_factory=StageConfig)
    dynamics: StageConfig = field(default_factory=StageConfig)


@checked
@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How MaskGIT decodes a frame (section 3, table 17)."""

    maskgit_steps: Count = 25  # passes per frame
    temperature: Number = 1.0  # of the softmax over the codes; 0: greedy
    schedule: Literal["cosine", "linear"] = "cosine"  # how the number of masked tokens falls from step to step
    ordering: Literal["random", "confidence"] = "random"  # which tokens are kept first


@checked
@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that makes a world: the preset's name, data, models, training and sampling."""

    name: str = "default"  # of the preset
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
