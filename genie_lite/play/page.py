"""What the player's page in the browser is made of: scripts, style, names of keys, previews of latent actions."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genie_lite.play.actions import ActionLabel
from genie_lite.play.pictures import to_gif
from genie_lite.play.session import PlaySession

STATIC = Path(__file__).parent / "static"
SCRIPTS = ("dom", "input", "screen", "pad", "drawing", "panels", "player")  # one module, in this order
SCRIPT = "\n".join((STATIC / f"{name}.js").read_text() for name in SCRIPTS)
STYLE = (STATIC / "player.css").read_text()
PREVIEW_FRAMES, PREVIEW_STEPS = 6, 4  # MaskGIT steps at most: a preview may be coarser than play
GLYPHS = {
    "left": "←", "up": "↑", "right": "→", "down": "↓", "none": "•",
    "up-left": "↖", "up-right": "↗", "down-left": "↙", "down-right": "↘",
}  # fmt: skip

# Colours of plain CoinRun, and of the robot's world, as frames show them; the first is the paper, and so the eraser.
COINRUN_COLOURS = [
    ["sky", "#000000"],
    ["ground", "#bbcbcc"],
    ["turf", "#ca7c44"],
    ["crate", "#a5713b"],
    ["hero", "#f1ead2"],
    ["coin", "#fbcc12"],
    ["lava", "#f26419"],
    ["saw", "#8f9da0"],
]
ROBOT_COLOURS = [
    ["table", "#787068"],
    ["tray", "#c4bcb2"],
    ["wrist", "#e76008"],
    ["arm", "#d1d1d1"],
    ["rod", "#252525"],
    ["blue object", "#1c46cb"],
    ["green object", "#17942f"],
    ["purple object", "#b51690"],
]


def setup(
    session: PlaySession, labels: Sequence[ActionLabel] | None, choices: list[tuple[str, str]], scale: int
) -> dict[str, Any]:
    """What the page is told once. `choices` are those of auto-play, `scale` the most screen pixels per frame pixel."""
    robot = session.genie.config.data.game == "robot"
    who = "arm" if robot else "hero"
    return {
        "player": secrets.token_hex(8),
        "frame_size": list(session.frame.shape[:2]),
        "scale": scale,
        "keys": list(session.controller.keys),
        "jumps": bool(getattr(session.controller, "jumps", False)),  # whether the key "up" is a jump
        "actions": [
            {
                "label": f"{action} {label.glyph}" if label else f"{action}",
                "title": f"Latent action {action}" + (f": {label.sentence(who)}" if label else ""),
            }
            for action, label in enumerate(labels or [None] * session.num_latent_actions)
        ],
        "choices": choices,
        "most_steps": max(25, session.maskgit_steps),
        "palette": ROBOT_COLOURS if robot else COINRUN_COLOURS,
    }


def caption(number: int, key: str | None, action: int | None) -> str:
    """What led to frame `number`: the key's arrow and the latent action that it took."""
    if action is None:
        return "start" if number == 0 else ""
    return f"{GLYPHS.get(key, key)} {action}" if key else str(action)


def action_loops(session: PlaySession, prompt: np.ndarray, actions: Sequence[int]) -> list[bytes]:
    """For each of these latent actions a looping GIF of it being held, from a prompt uint8 [T, H, W, C]."""
    rollout = session.genie.rollout(
        np.repeat(prompt[None], len(actions), axis=0),
        maskgit_steps=min(PREVIEW_STEPS, session.maskgit_steps),
        temperature=session.temperature,
        min_p=session.min_p,
        seed=session.seed,
    )
    videos = np.stack([rollout.step(np.array(actions)).copy() for _ in range(PREVIEW_FRAMES)], axis=1)
    return [to_gif([prompt[-1], *video], fps=5) for video in videos]
