"""Play tested as play: the same keys from the same held-out moments in the real game and in a world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from genie_lite.evaluation.bootstrap import EvaluationError, Interval
from genie_lite.evaluation.key_scripts import SCRIPTS
from genie_lite.evaluation.play_prompts import PRESSES, PromptSource, ScriptRun
from genie_lite.evaluation.play_report import PlayTest
from genie_lite.evaluation.play_scores import CODED, LateFrames, adherence, direction, jumping, standing
from genie_lite.evaluation.real_game import RealGame

AT_ONCE = 16  # worlds played side by side
LATE = 2  # frames of the last 1 / LATE of a script are late
QUICK_PROMPTS, QUICK_FRAMES = 32, 40
STRIPS = 6  # prompts of each script that the filmstrips show
HELD = {"hold right": 1, "hold left": -1}
LATE_SCRIPTS = ("mashed keys", "run and jump")


class KeyController(Protocol):
    """What turns keys into latent actions: genie_lite.play.Controller."""

    def latent_actions(self, frames: np.ndarray, keys: Sequence[str]) -> np.ndarray: ...

    def autoplay(self, frames: np.ndarray, rng: np.random.Generator) -> np.ndarray: ...


def play_test(
    genie: Any,
    controller: KeyController,
    *,
    prompts: int | None = None,
    frames: int | None = None,
    quick: bool = False,
    scripts: Sequence[str] | None = None,
    prompt_frames: int = 4,
    maskgit_steps: int | None = None,
    temperature: float | None = None,
    min_p: float | None = None,
    seed: int = 0,
    progress: bool = True,
) -> PlayTest:
    """Press the same keys in the real game and in a world, from the same moments of held-out levels, and compare.

    Keys go through `controller`. Each script (all of SCRIPTS unless `scripts` names some) is played from `prompts`
    moments for `frames` frames; both have a smaller default when `quick`, and held keys then end after 12 presses. A
    world sees `prompt_frames` frames of the past. The game has the settings of the world's `config.data`; it is one of
    Procgen's (EvaluationError for the robot) and needs procgen (DatasetError where it is missing). One frame is
    `config.data.action_repeat` game steps.
    """
    prompts = prompts or (QUICK_PROMPTS if quick else 64)
    frames = frames or (QUICK_FRAMES if quick else 60)
    chosen = list(SCRIPTS if scripts is None else scripts)
    if unknown := set(chosen) - set(SCRIPTS):
        raise EvaluationError(f"scripts: found {sorted(unknown)}, expected some of {list(SCRIPTS)}")
    if prompts < 8 or frames < 16:
        raise EvaluationError(f"prompts, frames: found {prompts}, {frames}, expected 8 or more and 16 or more")
    game = RealGame(genie.config.data, seed)
    try:
        source = PromptSource(game, prompt_frames, genie.frame_size)
        lengths = {name: PRESSES if quick and name not in LATE_SCRIPTS else frames for name in chosen}
        others = {name: 2 * prompts if name in LATE_SCRIPTS else 0 for name in chosen}
        runs = {name: source.run(SCRIPTS[name], prompts, lengths[name], others[name]) for name in chosen}
    finally:
        game.close()

    own = genie.config.sampling
    sampling: dict[str, Any] = {
        "maskgit_steps": maskgit_steps or own.maskgit_steps,
        "temperature": own.temperature if temperature is None else temperature,
        "min_p": own.min_p if min_p is None else min_p,
        "seed": seed,
    }
    ignored = ["mashed keys"] if "mashed keys" in runs else []
    total = sum(run.game.shape[0] * run.game.shape[1] for run in [*runs.values(), *(runs[name] for name in ignored)])

    def play(run: ScriptRun, keys: Sequence[Sequence[str]] | None) -> np.ndarray:
        return play_keys(genie, controller, run.prompts, keys, length=run.game.shape[1], bar=bar, **sampling)

    with tqdm(total=total, desc="playing", unit="frame", disable=not progress) as bar:
        worlds = {name: play(run, run.keys) for name, run in runs.items()}
        ignoring = {name: play(runs[name], None) for name in ignored}

    table: dict[str, dict[str, Interval]] = {}
    curves: dict[str, dict[str, list[Interval]]] = {}
    for name in chosen:
        if name in HELD:
            curves[name], rows = direction(runs[name], worlds[name], HELD[name], seed)
            table |= rows
    if "stand still" in runs:
        table["stand still: share still, presses 5 to 12"] = standing(runs["stand still"], worlds["stand still"], seed)
    if "jump" in runs:
        table |= jumping(runs["jump"], worlds["jump"], seed)
    for name in LATE_SCRIPTS:
        if name in runs:
            made = {"world": worlds[name], "game": runs[name].game}
            if name in ignoring:
                made["keys ignored"] = ignoring[name]
            made[CODED] = _coded(genie, runs[name].game, frames // LATE)
            judge = LateFrames(runs[name].others[:, frames // LATE :], seed)
            table |= judge.rows(name, made, runs[name].prompts)
    for name in ("mashed keys", "stand still"):
        if name in runs and runs[name].game.shape[1] >= frames // LATE:
            table |= adherence(runs[name], worlds[name], frames // LATE, seed)
    return PlayTest(
        table,
        curves,
        {
            "prompts": prompts,
            "frames": frames,
            "late_from": frames // LATE,
            "prompt_frames": prompt_frames,
            "action_repeat": genie.config.data.action_repeat,
            "prior": getattr(controller, "prior", None) is not None,
            **sampling,
        },
        {name: _strip(runs[name], worlds[name]) for name in chosen},
    )


def play_keys(
    genie: Any,
    controller: KeyController,
    prompts: np.ndarray,
    keys: Sequence[Sequence[str]] | None,
    *,
    length: int = 0,
    maskgit_steps: int | None = None,
    temperature: float | None = None,
    min_p: float | None = None,
    seed: int = 0,
    bar: Any = None,
) -> np.ndarray:
    """Play keys [B][T] from prompts uint8 [B, T0, H, W, C] in a world: the T new frames of each.

    `keys` None plays `length` frames of what the controller finds plausible: a world that ignores its keys.
    """
    length = len(keys[0]) if keys is not None else length
    videos = np.empty((len(prompts), length, *prompts.shape[2:]), np.uint8)
    for first in range(0, len(prompts), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        rng = np.random.default_rng([seed, first])
        rollout = genie.rollout(
            prompts[part], maskgit_steps=maskgit_steps, temperature=temperature, min_p=min_p, seed=seed
        )
        past = prompts[part]
        for t in range(length):
            at_hand: dict[str, Any] = {"rollout": rollout} if getattr(controller, "reads_rollout", False) else {}
            if keys is None:
                actions = controller.autoplay(past, rng, **at_hand)
            else:
                if at_hand:
                    at_hand["before"] = [row[:t] for row in keys[part]]
                actions = controller.latent_actions(past, [row[t] for row in keys[part]], **at_hand)
            frame = rollout.step(actions)
            videos[part, t] = frame
            past = np.concatenate([past, frame[:, None]], axis=1)[:, -genie.context_frames :]
            if bar is not None:
                bar.update(len(frame))
    return videos


def _coded(genie: Any, videos: np.ndarray, first: int) -> np.ndarray:
    """Real late frames as the tokenizer shows them: the best that a world can look."""
    window, shown = genie.context_frames, videos[:, first:].copy()
    for clip in range(0, len(shown), AT_ONCE):
        for t in range(0, shown.shape[1], window):
            part = (slice(clip, clip + AT_ONCE), slice(t, t + window))
            shown[part] = genie.decode(genie.encode(shown[part]))
    return shown


def _strip(run: ScriptRun, world: np.ndarray) -> np.ndarray:
    """Game and world in turn, from a few prompts, uint8 [2 * STRIPS, T + 1, H, W, C]."""
    some = np.linspace(0, len(world) - 1, min(STRIPS, len(world))).astype(int)
    pairs = np.stack([run.game[some], world[some]], axis=1).reshape(-1, *world.shape[1:])
    return np.concatenate([np.repeat(run.prompts[some, -1:], 2, axis=0), pairs], axis=1)
