"""Which latent action a key takes, in a world that foresees how far each would move the hero. Not in the paper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genie_lite.config import PlayConfig

MOVES = 0.5  # pixels a frame, from which on the hero moves
RISES = 6.0  # pixels a frame that make a jump
LEAST = 0.06  # least probability of all actions that rise, or do not, below which a key cannot ask for them
PER_PIXEL = 8.0  # nats of plausibility that a pixel to the wanted side outweighs: any action that is left
ENOUGH = 2.0  # pixels to the wanted side, beyond which more do not count: they obey the key alike
IN_VAIN = 3  # presses to a side, of which none moved the hero, after which the next needs more plausibility in the air
REMEMBERED = 12  # presses that are looked back on


def choose_by_motion(
    motions: np.ndarray,
    plausible: np.ndarray,
    intentions: Sequence[tuple[int, bool]],
    settings: PlayConfig | None = None,
    moved: np.ndarray | None = None,
    sides: np.ndarray | None = None,
) -> np.ndarray:
    """The latent action whose motion fits each intention best, of those that are possible: int64 [B].

    motions: pixels to the right and down that each action would move the hero, [B, A, 2]. plausible: log-probabilities
    [B, A]. An intention is a direction (-1 left, 0 none, 1 right) and whether to jump. moved: pixels to the right and
    down that the hero has just moved, frame by frame, [B, t, 2]; sides: the directions of the keys that were pressed
    for it, [B, t]. Without them heroes are at rest and no key was pressed.

    First actions that rise are kept, or those that do not; the others where these are less probable than LEAST. Of
    these, actions that fall or rise otherwise than the likeliest, by more than `vertical` pixels, are left out: gravity
    is no choice, and who falls a little faster is inside the ground.

    Then actions less plausible than a share of the best of them are left out: against a wall no action that is left
    does what the key asks for. A hero at rest seldom starts, wall or not, so for him the share is small, `least_odds`,
    and smaller still in the air, where a new key shows first as a single pixel: `least_odds_airborne`. One who runs
    goes on unless a wall stops him: `least_odds_running`. Who jumps, and has pressed IN_VAIN times in vain, is beside a
    wall until the world is surer that he is above it: `least_odds_in_vain`. And whoever was stopped stays stopped until
    he goes elsewhere, though the world may forget the wall: `least_odds_stopped`.

    Of the rest the one is taken that moves furthest to the wanted side, up to ENOUGH pixels, or least of all; among
    equals plausibility decides.
    """
    settings = settings or PlayConfig()
    moved = np.zeros((len(motions), 1, 2)) if moved is None else moved
    sides = np.zeros(moved.shape[:2], int) if sides is None else sides
    odds = np.exp(plausible - plausible.max(1, keepdims=True))
    across, down = motions[..., 0], motions[..., 1]
    direction = np.array([direction for direction, _ in intentions])
    jumps = np.array([jumps for _, jumps in intentions])

    wanted = np.where(jumps[:, None], down < -RISES, down >= -RISES)
    can = (odds * wanted).sum(1, keepdims=True) >= LEAST * odds.sum(1, keepdims=True)
    odds = odds * np.where(can, wanted, ~wanted)
    likely = np.take_along_axis(down, odds.argmax(1)[:, None], 1)
    odds = odds * (np.abs(down - likely) <= settings.vertical)

    now = moved[:, -1]
    runs = direction * now[:, 0] > MOVES
    airborne = np.abs(now[:, 1]) > MOVES
    in_vain = (sides[:, -IN_VAIN:] == direction[:, None]) & (np.abs(moved[:, -IN_VAIN:, 0]) <= MOVES)
    in_vain = in_vain.all(1) & (sides.shape[1] >= IN_VAIN)
    least = np.where(in_vain, settings.least_odds_in_vain, settings.least_odds_airborne)
    least = np.where(airborne, least, settings.least_odds)
    least = np.where(runs, settings.least_odds_running, least)
    least = np.where(was_stopped(direction, moved, sides) & ~jumps, settings.least_odds_stopped, least)
    possible = odds >= least[:, None] * odds.max(1, keepdims=True)
    towards = direction[:, None]
    fit = np.where(towards == 0, -np.abs(across), np.minimum(towards * across, ENOUGH))
    return np.where(possible, PER_PIXEL * fit + plausible, -np.inf).argmax(1)


def was_stopped(direction: np.ndarray, moved: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Whether something keeps a hero from moving to the side `direction` [B], as far as the past tells: bool [B].

    He is at rest. When he last moved, it was not to the other side, and a key to this side was pressed then and at the
    next press, which moved him no more; or such keys alone were pressed for as long as is REMEMBERED, and he never
    moved. `moved` [B, t, 2] and `sides` [B, t] as in `choose_by_motion`.
    """
    count = moved.shape[1]
    worlds = np.arange(len(moved))
    moves = (np.abs(moved) > MOVES).any(-1)
    rests = np.where(moves.any(1), moves[:, ::-1].argmax(1), count)  # frames since he last moved
    last = np.clip(count - 1 - rests, 0, max(count - 2, 0))
    pressed = sides == direction[:, None]
    not_away = direction * moved[worlds, last, 0] > -MOVES
    after = pressed[worlds, last] & pressed[worlds, np.minimum(last + 1, count - 1)] & not_away
    never = (rests == count) & (count >= REMEMBERED) & pressed.all(1)
    return (direction != 0) & (rests > 0) & (np.where(rests < count, after, never))
