"""The policy that is cloned: which action comes next, given the frames so far."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genie_lite.agents.expert_video import UNKNOWN, AgentError, ExpertVideo
from genie_lite.config import StageConfig
from genie_lite.training.loop import fit
from genie_lite.training.losses import Losses

FRAMES = 5  # that a prediction looks at: four, and the one before them for its change
PATCH, WIDTH, HIDDEN, DROPOUT = 8, 32, 128, 0.2
STAGE = StageConfig(
    steps=500,
    clips=16,
    frames=8,
    optimizer="adamw",
    max_lr=2e-3,
    beta2=0.99,
    weight_decay=0.05,
    warmup_steps=50,
    sample_every=0,
)
PASSES = 30  # at most so many times is each labelled sample seen, where there are few


class PolicyNetwork(nn.Module):
    """p(action after frame t | frames up to t): patches, a convolution over space, one over time; 0.3 million weights.

    The paper's policy is a transformer of 12 layers that also reads the actions before (appendix E.2); this one reads
    frames alone, so that it learns no more than to look. Frames are float [B, T, H, W, C] in [0, 1].
    """

    def __init__(self, frame_size: tuple[int, int], channels: int, num_actions: int) -> None:
        super().__init__()
        height, width = frame_size
        if height % PATCH or width % PATCH:
            raise AgentError(
                f"frame_size: found {height}x{width}, wanted multiples of {PATCH} for the policy's patches"
            )
        self.num_actions = num_actions
        self.patches = nn.Linear(2 * channels * PATCH**2, WIDTH)
        self.space = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.embed = nn.Linear(WIDTH * (height // PATCH) * (width // PATCH), HIDDEN)
        self.time = nn.Conv1d(HIDDEN, HIDDEN, FRAMES - 1)
        self.dropout = nn.Dropout(DROPOUT)
        self.to_logits = nn.Linear(HIDDEN, num_actions)

    def features(self, frames: Tensor) -> Tensor:
        """What the last layer reads, [B, T, HIDDEN]."""
        change = F.pad(frames.diff(dim=1), (0, 0) * 3 + (1, 0))  # none before the first frame
        seen = torch.cat([frames - 0.5, change], dim=-1)
        patches = rearrange(seen, "b t (h p) (w q) c -> (b t) h w (p q c)", p=PATCH, q=PATCH)
        x = F.gelu(self.patches(patches))
        x = x + rearrange(F.gelu(self.space(rearrange(x, "n h w d -> n d h w"))), "n d h w -> n h w d")
        x = self.embed(self.dropout(rearrange(x, "(b t) h w d -> b t (h w d)", b=len(frames))))
        past = F.pad(rearrange(F.gelu(x), "b t d -> b d t"), (FRAMES - 2, 0))
        return F.gelu(x + rearrange(self.time(past), "b d t -> b t d"))

    def forward(self, frames: Tensor) -> Tensor:
        """Logits [B, T, actions]; entry t is about the action between frame t and the next."""
        return self.to_logits(self.dropout(self.features(frames)))

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats of targets [B, T], over those that are not UNKNOWN."""
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=UNKNOWN)


def train_policy(
    video: ExpertVideo,
    targets: np.ndarray,
    num_actions: int,
    run_dir: str | Path,
    *,
    stage: StageConfig = STAGE,
    name: str = "policy",
    prepare: Callable[[nn.Module], None] | None = None,
    progress: bool = True,
) -> PolicyNetwork:
    """Behavioural cloning: a policy that predicts `targets`, int64 [F], of the frames where they are known.

    Targets are latent actions or true ones, UNKNOWN elsewhere. Where few are known, training ends after PASSES passes
    over them, if that comes before `stage.steps`. `prepare` is called with the network before training. `run_dir`
    receives log.csv and state/ (for resuming); the loss is in nats. AgentError for targets that do not fit.
    """
    known = np.flatnonzero(targets != UNKNOWN)
    if targets.shape != (len(video.frames),) or not len(known):
        raise AgentError(
            f"targets: found {len(known)} known ones in shape {list(targets.shape)}, wanted at least one, in shape "
            f"[{len(video.frames)}], one entry for each frame"
        )
    if not 0 <= targets[known].min() <= targets[known].max() < num_actions:
        raise AgentError(f"targets: found up to {targets.max()}, wanted 0 to {num_actions - 1}, or {UNKNOWN}: unknown")
    torch.manual_seed(stage.seed)
    network = PolicyNetwork(video.dataset.frame_size, video.dataset.channels, num_actions)
    if prepare is not None:
        prepare(network)
    steps = min(stage.steps, -(-PASSES * len(known) // stage.clips))

    def losses(numbers: Tensor) -> Losses:
        rows, inside = clips_before(video, known[numbers.numpy()], stage.frames)
        wanted = torch.from_numpy(np.where(inside, targets[rows], UNKNOWN))
        logits = network(torch.from_numpy(video.frames[rows]).float() / 255).float()
        return {"loss": network.loss(logits, wanted)}

    settings = {"targets": _digest(targets), "actions": num_actions}
    limited = dataclasses.replace(stage, steps=steps, warmup_steps=min(stage.warmup_steps, steps // 4))
    fit(
        network, losses, video.dataset, limited, Path(run_dir), title=name, choices=len(known), settings=settings,
        progress=progress,
    )  # fmt: skip
    return network.eval()


def clips_before(video: ExpertVideo, last: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames of the clips that end with `last` [n], int64 [n, length], and which of them are in the episode at all.

    Before the first frame of an episode, its first frame is repeated.
    """
    rows = last[:, None] + np.arange(1 - length, 1)
    first = video.episode_starts[video.episodes[last], None]
    return np.maximum(rows, first), rows >= first


@torch.inference_mode()
def predict(network: PolicyNetwork, video: ExpertVideo, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """After each of `frames` [n], given what came before it: probabilities [n, actions] and features [n, HIDDEN]."""
    found = []
    for at in range(0, len(frames), 128):
        window = video.frames[clips_before(video, frames[at : at + 128], FRAMES)[0]]
        features = network.features(torch.from_numpy(window).float() / 255)[:, -1]
        found.append((network.to_logits(features).softmax(-1).double().numpy(), features.double().numpy()))
    return np.concatenate([part[0] for part in found]), np.concatenate([part[1] for part in found])


def _digest(targets: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(targets, np.int64).tobytes()).hexdigest()[:12]
