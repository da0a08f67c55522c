"""Train the network behind the CoinRun video distance, and save it with a card.

Videos are corrupted at random in appearance and in time, and the network predicts how; for videos whose frames are in
order it also predicts the environment action and the measured motion of every transition. The network is used for
evaluation only, where true actions may be read.
"""

from __future__ import annotations

import argparse
import platform
import signal
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

import genie_lite
from genie_lite.data import FrameDataset, data_folder, open_dataset, sample_dataset
from genie_lite.evaluation import env_action_classes, measure_motion
from genie_lite.evaluation.corruptions import LOOKS, TIMES
from genie_lite.evaluation.video_network import FEATURES, FRAMES, VideoNetwork, video_network
from genie_lite.storage import FORMAT_VERSION, whole_folder, write_json, write_tensors

LONG = 2 * FRAMES - 1  # frames read: enough for a clip at double speed
LOOK_NAMES = ("clean", *LOOKS)
TIME_NAMES = ("whole", *TIMES, "fast")
MOTION_UNIT = 4.0  # pixels
RISE, FALL = 30, 0.25  # warm-up steps; share of the time over which the learning rate decays


class Questions(nn.Module):
    """The network with its training heads; only the network ships."""

    def __init__(self) -> None:
        super().__init__()
        self.network = VideoNetwork()
        self.look = nn.Sequential(nn.ReLU(), nn.Linear(FEATURES, len(LOOK_NAMES) + 1))  # and its strength
        self.time = nn.Sequential(nn.ReLU(), nn.Linear(FEATURES, len(TIME_NAMES)))
        self.moves = nn.Sequential(nn.ReLU(), nn.Linear(FEATURES, 3 + 3 + 2))  # left/right, up/down, dx and dy

    def forward(self, videos: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        transitions = self.network.transitions(videos)
        video = transitions.mean(1)
        return self.look(video), self.time(video), self.moves(transitions)


def batches(dataset: FrameDataset, clips: int, seed: int) -> Iterator[dict[str, Any]]:
    """Endless batches made by `draw`."""
    generator = np.random.default_rng(seed)
    starts, env_actions = dataset.clip_starts(LONG), dataset.env_actions().astype(np.int64)
    while True:
        chosen = generator.choice(starts, clips, replace=False)
        yield draw(dataset.read_clips(chosen, LONG), env_actions[chosen[:, None] + np.arange(FRAMES - 1)], generator)


def draw(videos: np.ndarray, env_actions: np.ndarray, generator: np.random.Generator) -> dict[str, Any]:
    """A batch of corrupted videos and their targets; half are intact in time, half in appearance."""
    clips = len(videos)
    kept, fast = videos[:, :FRAMES], videos[:, ::2]
    times = np.where(generator.random(clips) < 0.5, 0, generator.integers(1, len(TIME_NAMES), clips))
    looks = np.where(generator.random(clips) < 0.5, 0, generator.integers(1, len(LOOK_NAMES), clips))
    strength = np.where(looks > 0, generator.uniform(0.05, 1, clips), 0)
    whole = times == 0
    truth = measure_motion(kept[whole])
    across, down = env_action_classes(env_actions[whole])

    corrupted = np.where((times == len(TIME_NAMES) - 1)[:, None, None, None, None], fast, kept)
    for index, (name, change) in enumerate(TIMES.items(), start=1):
        mine = times == index
        if mine.any():
            degree = generator.uniform(0.3, 1, int(mine.sum())) if name == "freeze" else 1.0
            corrupted[mine] = change(corrupted[mine], degree, generator)
    for index, change in enumerate(LOOKS.values(), start=1):
        mine = looks == index
        if mine.any():
            corrupted[mine] = change(corrupted[mine], strength[mine], generator)
    targets = {"look": looks, "strength": strength.astype(np.float32), "time": times, "whole": whole}
    targets |= {"across": across, "down": down, "clean": (looks == 0)[whole]}
    targets["motion"] = np.stack([truth.dx, truth.dy], -1).astype(np.float32) / MOTION_UNIT
    targets["sure"] = np.stack([truth.sure_x, truth.sure_y], -1)
    return {"videos": torch.from_numpy(corrupted), **{name: torch.from_numpy(value) for name, value in targets.items()}}


def losses(answers: tuple[Tensor, Tensor, Tensor], batch: dict[str, Any]) -> dict[str, Tensor]:
    look, order, moves = answers
    told = moves[batch["whole"]]
    motion = F.smooth_l1_loss(told[..., 6:], batch["motion"], beta=0.25, reduction="none")
    return {
        "look": F.cross_entropy(look[:, :-1], batch["look"]),
        "strength": 4 * F.mse_loss(look[:, -1], batch["strength"]),
        "time": F.cross_entropy(order, batch["time"]),
        "across": 0.5 * F.cross_entropy(told[..., :3].flatten(0, 1), batch["across"].flatten()),
        "down": 0.5 * F.cross_entropy(told[..., 3:6].flatten(0, 1), batch["down"].flatten()),
        "motion": 2 * motion[batch["sure"]].mean(),
    }


def train(dataset: FrameDataset, options: argparse.Namespace) -> tuple[Questions, int]:
    """Train until the CPU time is used up; the learning rate decays to zero over the last quarter of it.

    Ctrl-C starts the decay at once.
    """
    torch.manual_seed(options.seed)
    model, supply = Questions(), batches(dataset, options.clips, options.seed)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    begin, seconds, step, smooth = time.process_time(), options.seconds, 0, {}

    def finish(*_: object) -> None:
        nonlocal seconds
        seconds = min(seconds, (time.process_time() - begin) / (1 - FALL))

    signal.signal(signal.SIGINT, finish)
    with tqdm(total=100, unit="%") as bar:
        while (done := (time.process_time() - begin) / seconds) < 1:
            batch = next(supply)
            parts = losses(model(batch["videos"]), batch)
            optimiser.zero_grad()
            torch.stack(list(parts.values())).sum().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for group in optimiser.param_groups:
                group["lr"] = options.rate * min(1.0, (step + 1) / RISE, (1 - done) / FALL)
            optimiser.step()
            step += 1
            smooth = {name: 0.95 * smooth.get(name, part.item()) + 0.05 * part.item() for name, part in parts.items()}
            bar.update(round(100 * done) - bar.n)
            bar.set_postfix_str(f"{step} steps " + " ".join(f"{name} {value:.2f}" for name, value in smooth.items()))
    return model.eval(), step


@torch.inference_mode()
def scale(network: VideoNetwork, dataset: FrameDataset, clips: int, seed: int) -> None:
    """Scale the features to mean 0 and standard deviation 1 over intact videos."""
    chosen = np.random.default_rng(seed).choice(dataset.clip_starts(FRAMES), clips, replace=False)
    found = torch.from_numpy(network.features(dataset.read_clips(chosen, FRAMES))[:, 0])
    network.mean.copy_(found.mean(0))
    network.deviation.copy_(found.std(0))


@torch.inference_mode()
def examine(model: Questions, dataset: FrameDataset, count: int, clips: int, seed: int) -> dict[str, float]:
    """Held-out accuracies; those of motion are over intact videos and balanced over the three classes."""
    found: dict[str, list[np.ndarray]] = {}
    for batch in islice(batches(dataset, clips, seed), count):
        look, order, moves = model(batch["videos"])
        told, clean = moves[batch["whole"]][batch["clean"]], batch["clean"]
        sure = batch["sure"][clean]
        results = {
            "look": (look[:, :-1].argmax(-1), batch["look"]),
            "strength": (look[:, -1], batch["strength"]),
            "time": (order.argmax(-1), batch["time"]),
            "left_right": (told[..., :3].argmax(-1), batch["across"][clean]),
            "up_down": (told[..., 3:6].argmax(-1), batch["down"][clean]),
            "motion": (told[..., 6:][sure] * MOTION_UNIT, batch["motion"][clean][sure] * MOTION_UNIT),
        }
        for name, pair in results.items():
            found.setdefault(name, []).append(np.stack([x.double().numpy().ravel() for x in pair]))
    pairs = {name: np.concatenate(parts, axis=1) for name, parts in found.items()}

    def accuracy(name: str) -> float:
        answer, truth = pairs[name]
        return float(np.mean([(answer == truth)[truth == kind].mean() for kind in np.unique(truth)]))

    scores = {f"{name}_accuracy": accuracy(name) for name in ("look", "time", "left_right", "up_down")}
    for name, kinds in (("look", LOOK_NAMES), ("time", TIME_NAMES)):
        answer, truth = pairs[name]
        scores |= {f"{name}_{kind}": float((answer == truth)[truth == k].mean()) for k, kind in enumerate(kinds)}
    errors = {name: np.abs(pairs[name][0] - pairs[name][1]).mean() for name in ("strength", "motion")}
    return scores | {"strength_error": float(errors["strength"]), "motion_error_pixels": float(errors["motion"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="CoinRun videos to train on (a dataset with env actions)")
    parser.add_argument("--seconds", type=float, default=600, help="CPU time to train for (default: 600)")
    parser.add_argument("--clips", type=int, default=24, help="clips a step (default: 24)")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate (default: 0.002)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=data_folder() / "video_network", help="(default: as ships)")
    parser.add_argument("--hardware", default=f"{platform.machine()}, {torch.get_num_threads()} threads")
    options = parser.parse_args()

    videos, held_out = open_dataset(options.data), sample_dataset("test")
    begin, used = time.time(), time.process_time()
    model, steps = train(videos, options)
    seconds, minutes = time.process_time() - used, (time.time() - begin) / 60
    scale(model.network, videos, 2000, options.seed)
    card = {
        "format_version": FORMAT_VERSION,
        "what": "features of videos for coinrun_video_distance; not comparable with FVD",
        "version": genie_lite.__version__,
        "parameters": sum(parameter.numel() for parameter in model.network.parameters()),
        "steps": steps,
        "clips_a_step": options.clips,
        "cpu_seconds": round(seconds),
        "minutes": round(minutes, 1),
        "hardware": options.hardware,
        "seed": options.seed,
        "videos": {key: videos.attributes.get(key) for key in ("game", "options", "levels", "policy", "frame_stride")},
        "frames": videos.num_frames,
        "questions": {"look": LOOK_NAMES, "time": TIME_NAMES, "moves": "env actions and measured motion"},
    }
    with whole_folder(options.folder) as draft:
        state = model.network.state_dict()
        half = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
        write_tensors(draft / "model.safetensors", half)
        write_json(draft / "card.json", card)
    model.network = video_network(options.folder)  # examine what ships: the rounded weights
    scores = examine(model.eval(), held_out, 40, 50, options.seed)
    card["held_out"] = {name: round(value, 3) for name, value in scores.items()}
    write_json(options.folder / "card.json", card)
    print(card)


if __name__ == "__main__":
    main()
