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

FRAMES = 4  # that a prediction looks at
PATCH, WIDTHS, HIDDEN, DROPOUT = 4, (32, 64), 128, 0.2
STAGE = StageConfig(
    steps=3_000,
    clips=32,
    frames=FRAMES + 1,  # of which the last two have targets
    optimizer="adamw",
    max_lr=1e-3,
    min_lr=1e-5,
    beta2=0.99,
    weight_decay=0.05,
    warmup_steps=50,
    sample_every=0,
)
PASSES, FEWEST = 15, 60  # where few samples are labelled: times that each is seen, but so many steps at least


class Residual(nn.Module):
    """Two convolutions, added to what they read."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(F.relu(x))))


class PolicyNetwork(nn.Module):
    """p(action after frame t | frames t - FRAMES + 1 to t): a residual convolutional network of 0.6 million weights.

    The paper's policy is a transformer of 12 layers that also reads the actions before (appendix E.2). This one is the
    small relative of the networks that learn Procgen by reinforcement (Espeholt et al., "IMPALA", arXiv 1802.01561,
    figure 3), on patches in place of pixels. It reads frames alone, so that it learns no more than to look.

    Frames are float [B, T + FRAMES - 1, H, W, C] in [0, 1]; there is one output for each of the last T.
    """

    def __init__(self, frame_size: tuple[int, int], channels: int, num_actions: int) -> None:
        super().__init__()
        height, width = frame_size
        step = 2 * PATCH
        if height % step or width % step:
            raise AgentError(f"frame_size: found {height}x{width}, wanted multiples of {step} for the policy's patches")
        self.num_actions = num_actions
        fine, coarse = WIDTHS
        size = channels * PATCH**2
        self.patches = nn.Linear(size, fine)
        self.changes = nn.ModuleList(nn.Linear(size, fine, bias=False) for _ in range(FRAMES - 1))
        self.encoder = nn.Sequential(
            Residual(fine),
            nn.ReLU(),
            nn.Conv2d(fine, coarse, 3, stride=2, padding=1),
            Residual(coarse),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(coarse * (height // step) * (width // step), HIDDEN),
            nn.ReLU(),
        )
        self.dropout = nn.Dropout(DROPOUT)
        self.to_logits = nn.Linear(HIDDEN, num_actions)

    def features(self, frames: Tensor) -> Tensor:
        """What the last layer reads, [B, T, HIDDEN]."""
        count = frames.shape[1] - FRAMES + 1
        patches = rearrange(frames - 0.5, "b t (h p) (w q) c -> b t h w (p q c)", p=PATCH, q=PATCH)
        change = patches.diff(dim=1)
        x = self.patches(patches[:, FRAMES - 1 :])  # the last frame, and what changed from each before it to the next
        for back, layer in enumerate(self.changes):
            x = x + layer(change[:, back : back + count])
        x = rearrange(x, "b t h w d -> (b t) d h w")  # whose memory stays channels-last
        return rearrange(self.encoder(x), "(b t) d -> b t d", t=count)

    def forward(self, frames: Tensor) -> Tensor:
        """Logits [B, T, actions]; entry t is about the action between that frame and the next."""
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
    over them and FEWEST steps, if that comes before `stage.steps`. A clip has `stage.frames` frames, the first FRAMES
    - 1 of which are only looked at. `prepare` is called with the network before training. `run_dir` receives log.csv
    and state/ (for resuming); the loss is in nats. AgentError for targets or clips that do not fit.
    """
    if stage.frames < FRAMES:
        raise AgentError(f"stage.frames: found {stage.frames}, wanted {FRAMES} or more, which a prediction looks at")
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
    steps = min(stage.steps, max(FEWEST, -(-PASSES * len(known) // stage.clips)))

    def losses(numbers: Tensor) -> Losses:
        rows, inside = clips_before(video, known[numbers.numpy()], stage.frames)
        wanted = torch.from_numpy(np.where(inside, targets[rows], UNKNOWN)[:, FRAMES - 1 :])
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
def look(network: PolicyNetwork, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """After the last of frames uint8 [B, FRAMES, H, W, C]: probabilities [B, actions] and features [B, HIDDEN]."""
    features = network.features(torch.from_numpy(frames).float() / 255)[:, -1]
    return network.to_logits(features).softmax(-1).double().numpy(), features.double().numpy()


def predict(network: PolicyNetwork, video: ExpertVideo, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """After each of `frames` [n], given what came before it: probabilities [n, actions] and features [n, HIDDEN]."""
    found = []
    for at in range(0, len(frames), 128):
        found.append(look(network, video.frames[clips_before(video, frames[at : at + 128], FRAMES)[0]]))
    return np.concatenate([part[0] for part in found]), np.concatenate([part[1] for part in found])


def _digest(targets: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(targets, np.int64).tobytes()).hexdigest()[:12]
