"""A small network trained on CoinRun videos; `coinrun_video_distance` compares its features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genie_lite.data import data_folder
from genie_lite.evaluation.bootstrap import EvaluationError
from genie_lite.storage import load_into, read_tensors

FRAMES = 8  # frames per window
SIDE = 64  # pixels
FEATURES = 64  # few: the bias of a Fréchet distance grows with features per video
AT_ONCE = 32


class SpaceTime(nn.Module):
    """A strided convolution within each frame, then one along time ("R(2+1)D", Tran et al., 2018)."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.space = nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=False)
        self.space_norm = nn.BatchNorm2d(out)
        self.time = nn.Conv1d(out, out, 3, padding=1, bias=False)
        self.time_norm = nn.BatchNorm1d(out)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, channels, H, W] to [B, T, out, H/2, W/2]."""
        clips, height = len(x), x.shape[-2] // 2
        x = self.space_norm(self.space(rearrange(x, "b t c h w -> (b t) c h w"))).relu()
        x = rearrange(x, "(b t) c h w -> (b h w) c t", b=clips)
        x = x + self.time_norm(self.time(x)).relu()
        return rearrange(x, "(b h w) c t -> b t c h w", b=clips, h=height)


class VideoNetwork(nn.Module):
    """Maps 8 frames of 64x64 to 64 features, each with mean 0 and standard deviation 1 over real CoinRun videos.

    The features of a window are the means over its seven transitions. Trained by tools/video_network.py.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3 * 4, 32, 3, stride=2, padding=1, bias=False)  # three frames of four channels
        self.stem_norm = nn.BatchNorm2d(32)
        self.blocks = nn.Sequential(SpaceTime(32, 64), SpaceTime(64, 128), SpaceTime(128, 160))
        self.head = nn.Conv1d(160, FEATURES, 2)
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("deviation", torch.ones(FEATURES))

    def transitions(self, videos: Tensor) -> Tensor:
        """Unscaled features of each transition, [B, T-1, FEATURES], of videos uint8 [B, T, H, W, C]."""
        clips = len(videos)
        x = rearrange(videos, "b t h w c -> (b t) c h w").float() / 255
        small = F.avg_pool2d(x, 2)
        grain = (F.avg_pool2d(x.square(), 2) - small.square()).mean(1, keepdim=True).clamp(min=0).sqrt()
        # The grain keeps what halving the sides would lose: noise and sharp edges.
        x = rearrange(torch.cat([2 * small - 1, 10 * grain], dim=1), "(b t) c h w -> b t c h w", b=clips)
        x = torch.cat([x[:, :1], x, x[:, -1:]], dim=1)
        x = torch.cat([x[:, :-2], x[:, 1:-1], x[:, 2:]], dim=2)  # each frame with its two neighbours
        x = self.stem_norm(self.stem(rearrange(x, "b t c h w -> (b t) c h w"))).relu()
        x = self.blocks(rearrange(x, "(b t) c h w -> b t c h w", b=clips))
        return rearrange(self.head(rearrange(x.mean((-2, -1)), "b t c -> b c t")), "b c t -> b t c")

    def forward(self, videos: Tensor) -> Tensor:
        """Features [B, FEATURES] of videos uint8 [B, 8, 64, 64, 3]."""
        return (self.transitions(videos).mean(1) - self.mean) / self.deviation

    @torch.inference_mode()
    def features(self, videos: np.ndarray) -> np.ndarray:
        """Features float32 [B, windows, FEATURES] of videos uint8 [B, T, 64, 64, 3] of 8 or more frames.

        A video of T frames is covered by ceil(T / 8) evenly spread windows. EvaluationError for other videos.
        """
        videos = np.asarray(videos)
        if (
            videos.ndim != 5
            or videos.dtype != np.uint8
            or videos.shape[1] < FRAMES
            or videos.shape[2:] != (SIDE, SIDE, 3)
        ):
            raise EvaluationError(
                f"videos: found {videos.dtype} {list(videos.shape)}, wanted uint8 [B, T, {SIDE}, {SIDE}, 3] of "
                f"{FRAMES} or more frames; give longer videos, or read them with dataset.resized(({SIDE}, {SIDE}))"
            )
        length = videos.shape[1]
        starts = np.rint(np.linspace(0, length - FRAMES, -(-length // FRAMES))).astype(int)
        windows = videos[:, starts[:, None] + np.arange(FRAMES)].reshape(-1, FRAMES, SIDE, SIDE, 3)
        parts = [self(torch.from_numpy(windows[i : i + AT_ONCE])) for i in range(0, len(windows), AT_ONCE)]
        return torch.cat(parts).numpy().reshape(len(videos), len(starts), FEATURES)


def video_network(folder: Path | str | None = None) -> VideoNetwork:
    """The shipped network (data/video_network), or the one in `folder`; EvaluationError if there is none."""
    path = Path(folder or data_folder() / "video_network") / "model.safetensors"
    if not path.is_file():
        raise EvaluationError(
            f"{path}: the network of the CoinRun video distance is not there; clone the repository and install it "
            "with `pip install -e .`, or point the environment variable GENIE_LITE_DATA at its data folder"
        )
    network = VideoNetwork()
    load_into(network, read_tensors(path), path)  # float16 in the file, float32 here
    return network.eval()
