"""What the latent actions of a robot world do: to arm and object in real videos, and when they are held in play.

The keys of the player, which choose among them, are held too.

Prints tables for docs/experiments.md and saves the consistency grid: each latent action held from the same prompts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import genie_lite
from genie_lite.data import open_dataset, sample_dataset
from genie_lite.evaluation import measure_marker, pick_clips, read_env_actions
from genie_lite.evaluation.markers import LEAST_PIXELS, marker_pixels
from genie_lite.evaluation.play_test import play_keys
from genie_lite.play import Controller

HELD = 4  # frames for which each latent action is held
LENGTH = 9  # frames of the clips that are generated anew
PRESSES = (3, 8, 20)  # of a held key, after which the arm's motion is measured, or whether the arm is still there
PUSHED, RESTS, ALIKE = 4.0, 0.5, 0.7  # pixels over a clip: pushed, at rest; cosine of motions in the same direction
ARROWS = ("↙", "←", "↖", "↓", "•", "↑", "↘", "→", "↗")  # of the env actions, as seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", help="a shipped name, or a checkpoint folder")
    parser.add_argument("--data", default=None, help="held-out videos (default: the shipped sample's)")
    parser.add_argument("--clips", type=int, default=96)
    parser.add_argument("--prompts", type=int, default=24, help="from which each latent action is held")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png", help="the consistency grid")
    options = parser.parse_args()

    genie = genie_lite.load(options.world)
    dataset = open_dataset(options.data) if options.data else sample_dataset("test", game="robot")
    starts, notes = pick_clips(dataset, options.clips, LENGTH)
    videos = dataset.read_clips(starts, LENGTH)
    print(*notes, sep="\n")

    codes = genie.infer_actions(videos)
    prompts = videos[:: max(1, len(videos) // options.prompts), :1][: options.prompts]
    held = np.stack(
        [genie.generate(prompts, np.full((len(prompts), HELD), code)) for code in range(genie.num_latent_actions)]
    )
    print_actions(codes, videos, read_env_actions(dataset, starts, LENGTH), prompts, held)
    print_keys(genie, prompts)
    print_objects(videos, np.concatenate([videos[:, :1], genie.generate(videos[:, :1], codes)], axis=1))
    save_grid(options.out, prompts, held)


def print_actions(
    codes: np.ndarray, videos: np.ndarray, env_actions: np.ndarray, prompts: np.ndarray, held: np.ndarray
) -> None:
    """A row for each latent action. `codes`, `env_actions` [B, T-1]; `held` [A, P, HELD, H, W, C] from `prompts`."""
    real = measure_marker(videos)
    print("\n| latent action | share | most often the key | arm, real videos, px | arm, held in play, px | same way |")
    print("|---|---|---|---|---|---|")
    for code in range(len(held)):
        own = codes == code
        keys = np.bincount(env_actions[own], minlength=9)
        motion = measure_marker(np.concatenate([prompts, held[code]], axis=1))
        steps = [np.median(axis[motion.sure_x]) for axis in (motion.dx, motion.dy)]
        typical = [np.median(axis[own & real.sure_x]) for axis in (real.dx, real.dy)]
        whole = np.stack([(axis * motion.sure_x).sum(1) for axis in (motion.dx, motion.dy)], -1)[motion.sure_x.any(1)]
        alike = (cosines(whole, np.array(typical)) > ALIKE) if np.hypot(*typical) > 1 else np.hypot(*whole.T) < HELD
        print(
            f"| {code} | {own.mean():.2f} | {ARROWS[keys.argmax()]} {keys.max() / max(1, keys.sum()):.2f} | "
            f"{typical[0]:+.1f}, {typical[1]:+.1f} | {steps[0]:+.1f}, {steps[1]:+.1f} | {alike.mean():.2f} |"
        )


def print_keys(genie: genie_lite.Genie, prompts: np.ndarray) -> None:
    """A row for each key of the player, held from `prompts` [P, 1, H, W, C]."""
    controller, (early, late, last) = Controller(genie), PRESSES
    print(
        f"\n| key | arm, presses 1 to {early}, px | arm seen after {late} presses | after {last} |\n|---|---|---|---|"
    )
    for key in controller.keys:
        video = play_keys(genie, controller, prompts, [[key] * last] * len(prompts))
        motion = measure_marker(np.concatenate([prompts, video[:, :early]], axis=1))
        moved = [axis[motion.sure_x].mean() for axis in (motion.dx, motion.dy)]
        seen = [(marker_pixels(video[:, t - 1], "arm").sum((-1, -2)) >= LEAST_PIXELS).mean() for t in (late, last)]
        print(f"| {key} | {moved[0]:+.1f}, {moved[1]:+.1f} | {seen[0]:.2f} | {seen[1]:.2f} |", flush=True)


def print_objects(real: np.ndarray, generated: np.ndarray) -> None:
    """How the object moves over whole clips [B, T, H, W, C]: in the real ones, and regenerated with their actions."""
    ends = [measure_marker(videos[:, [0, -1]], "object") for videos in (real, generated)]
    sure = ends[0].sure_x[:, 0] & ends[1].sure_x[:, 0]
    true, found = (np.stack([end.dx[sure, 0], end.dy[sure, 0]], -1) for end in ends)
    moved, still = np.hypot(*true.T) > PUSHED, np.hypot(*true.T) < RESTS
    follows = (np.hypot(*found[moved].T) > PUSHED / 2) & (np.diag(cosines(found[moved], true[moved])) > ALIKE)
    print(f"\nobject seen whole at both ends: {sure.sum()} of {len(sure)} clips of {real.shape[1]} frames")
    print(f"pushed in the real video, {moved.sum()}: goes the same way in {follows.mean():.2f}")
    print(f"at rest in the real video, {still.sum()}: rests in {(np.hypot(*found[still].T) < PUSHED / 2).mean():.2f}")


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosines of the angles between vectors [n, 2] and a vector [2], or all pairs of two lists of vectors."""
    lengths = np.linalg.norm(first, axis=-1)
    lengths = lengths[:, None] * np.linalg.norm(second, axis=-1) if second.ndim == 2 else lengths * np.hypot(*second)
    return first @ second.T / np.maximum(lengths, 1e-9)


def save_grid(path: Path, prompts: np.ndarray, held: np.ndarray, rows: int = 3, scale: int = 2) -> None:
    """For each of three prompts a row: the prompt, then what each latent action makes of it."""
    chosen = np.linspace(0, len(prompts) - 1, rows + 2).astype(int)[1:-1]
    gap = np.full((prompts.shape[2], 4, 3), 255, np.uint8)
    lines = []
    for prompt in chosen:
        parts = [prompts[prompt, 0], gap]
        for code in range(len(held)):
            parts += [gap, held[code, prompt, -1]]
        lines.append(np.concatenate(parts, axis=1))
    picture = Image.fromarray(np.concatenate(lines, axis=0))
    picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST).save(path)
    print(f"{path}: {rows} prompts, then each latent action held for {HELD} frames")


if __name__ == "__main__":
    main()
