"""Does it help to look ahead? A cloned policy alone, and one that chooses among futures imagined in the world.

It needs expert video, latent actions and policies as tools/agents.py makes them: with the same --out it takes those
that are there, and makes what is missing. Then it trains a sign of progress on the same video, without actions, and
lets all players play the same held-out easy levels, in blocks. It can be stopped at any time: the same command
continues, and finished blocks are not repeated. OUT/planning.json holds the results.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import genie_lite
from genie_lite import agents, storage
from genie_lite.agents import planning
from genie_lite.agents.player import SEEN, draw
from genie_lite.agents.policy import clips_before, look
from genie_lite.config import config_to_dict
from genie_lite.data import collect
from genie_lite.data.procgen_games import NUM_ENV_ACTIONS, STILL, make_games
from genie_lite.evaluation import play_levels
from genie_lite.evaluation.bootstrap import bootstrap_mean

logger = logging.getLogger("planning")
LABELS = 200
EVERY = 3  # frames of play between two moments that are looked at


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", default="laptop", help="that names latent actions and imagines futures")
    parser.add_argument("--blocks", type=int, default=2, help="of levels that every player plays (default: 2)")
    parser.add_argument("--levels", type=int, default=25, help="in a block (default: 25)")
    parser.add_argument("--frames", type=int, default=30_000, help="of expert video (default: 30000)")
    parser.add_argument("--steps", type=int, default=agents.STAGE.steps, help="of training each network")
    parser.add_argument("--moments", type=int, default=40, help="at which world and game are compared (default: 40)")
    parser.add_argument("--out", type=Path, default=Path("runs/agents"))
    parser.add_argument("--no-progress", action="store_true")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    show = not options.no_progress
    genie = genie_lite.load(options.world)
    data = agents.expert_data(genie, "easy")
    folder = options.out / "easy"
    video = agents.ExpertVideo.read(collect(data, folder / "expert.zarr", frames=options.frames, progress=show))
    codes = agents.inferred(genie, video, folder, progress=show)
    stage = dataclasses.replace(agents.STAGE, steps=options.steps)
    learning, _ = agents.split_transitions(video)
    labels = agents.draw_labels(video, learning)
    seen = np.isin(np.arange(len(codes)), learning)

    def cloned(name: str, targets: np.ndarray, actions: int) -> agents.PolicyNetwork:
        return agents.train_policy(video, targets, actions, folder / name, stage=stage, name=name, progress=show)

    count = genie.num_latent_actions
    latent = cloned("latent", np.where(seen, codes, agents.UNKNOWN), count)
    oracle = cloned("oracle", agents.targets_of(labels, len(codes)), NUM_ENV_ACTIONS)
    sign = planning.train_sign(video, folder / "sign", stage=stage, progress=show)
    few = labels.first(LABELS)
    before = agents.previous_codes(codes)[few.frames]
    pairs = agents.PairLists(before, codes[few.frames], few.env_actions, count, NUM_ENV_ACTIONS)
    latest = functools.partial(agents.latest_latent_action, genie)
    shares = np.bincount(labels.env_actions, minlength=NUM_ENV_ACTIONS) / len(labels.env_actions)

    def planner(rng: np.random.Generator, futures: int) -> agents.PlanningPlayer:
        return agents.PlanningPlayer(genie, latent, sign, 1, rng, pairs, latest, futures=futures)

    players = {
        "policy alone": lambda rng: agents.ClonedPlayer(latent, 1, rng, pairs, latest),
        "one future": lambda rng: planner(rng, 1),
        "best of 16 futures": lambda rng: planner(rng, planning.FUTURES),
        "oracle": lambda rng: agents.ClonedPlayer(oracle, 1, rng),
        "blind": lambda rng: agents.BlindPlayer(shares, 1, rng),
    }
    path = options.out / "planning.json"
    settings = {"data": config_to_dict(data), "stage": config_to_dict(stage), "labels": LABELS}
    settings |= {"levels": options.levels, "horizon": planning.HORIZON, "committed": planning.COMMITTED}
    settings |= {"past": planning.PAST, "maskgit_steps": planning.MASKGIT_STEPS}
    found = {"format_version": storage.FORMAT_VERSION, "settings": settings, "rows": []}
    if path.is_file():
        found = storage.read_json(path)
        if found["settings"] != settings:
            raise agents.AgentError(f"{path}: found results of other settings; choose another folder, or delete this")
    found["sign"] = agents.sign_quality(sign, video)._asdict()
    logger.info("sign of progress: %s", found["sign"])
    if "links" not in found and options.moments:
        found["links"] = links(genie, data, latent, sign, pairs, latest, options.moments)
        storage.write_json(path, found)
    if "luck" not in found and options.moments:
        found["luck"] = luck(genie, latent, sign, video, options.moments)
        storage.write_json(path, found)
    done = {(row["player"], row["block"]) for row in found["rows"]}
    for block in range(options.blocks):
        for number, (name, player) in enumerate(players.items()):
            if (name, block) in done:
                continue
            rng = np.random.default_rng([block, number])
            played = play_levels(data, player(rng), data.test_levels, options.levels, games=1, seed=block)
            frames = iter(played.frames)
            row = {"player": name, "block": block, "seconds": round(played.seconds), "level_seeds": played.level_seeds}
            row["frames"] = [next(frames) if solved else 0 for solved in played.outcomes]  # to the coin
            found["rows"].append(row)
            logger.info("block %s, %s: %s of %s", block, name, played.solved, played.levels)
            storage.write_json(path, found)
    print(agents.planning_table(found["rows"]))
    print(found["sign"], found.get("links"))
    return 0


def links(genie, data, latent, sign, pairs, latest, moments: int) -> dict[str, Any]:
    """Which link fails? The same latent actions in the world and in the real game, from moments of the policy's play.

    At each moment the planner's futures are imagined; the same latent actions are mapped to keys and played in as many
    copies of the game. A future that ends in the game is judged by the last frames before that.
    """
    count, rng = planning.FUTURES, np.random.default_rng(0)
    game = make_games(data, data.test_levels, 1, seed=1_000)
    copies = make_games(data, data.test_levels, count, seed=0)
    player, ends, seen = agents.ClonedPlayer(latent, 1, rng, pairs, latest), True, []
    measured: list[tuple[np.ndarray, ...]] = []
    with tqdm(total=moments, desc="comparing futures", unit=" moments") as bar:
        for t in itertools.count():
            picture = game.observe()[1]["rgb"]
            seen = [picture[0].copy()] * SEEN if ends else [*seen[1:], picture[0].copy()]
            previous = np.array([agents.UNKNOWN]) if ends else latest(np.stack(seen)[None])
            if t % EVERY == 0:
                futures = agents.imagine(genie, latent, sign, np.stack(seen), rng)
                copies.callmethod("set_state", game.callmethod("get_state") * count)
                shown = np.repeat(np.stack(seen)[None], count, axis=0)
                over, solved = np.zeros(count, bool), np.zeros(count, bool)
                before = np.repeat(previous, count)
                for step in range(planning.HORIZON):
                    code = np.eye(genie.num_latent_actions)[futures.latent_actions[:, step]]
                    shares = pairs.env_action_probabilities(code, np.empty(0), before)
                    shown = hold(copies, draw(shares, rng), data.action_repeat, shown, over, solved)
                    before = latest(shown[:, -SEEN:])
                real = np.where(solved, -1, agents.expected_frames_left(look(sign, shown[:, -agents.FRAMES :])[0]))
                measured.append((futures.left, real, over & ~solved, solved))
                bar.update()
                if len(measured) == moments:
                    break
            ends = False
            key = player.choose(picture)
            for _ in range(data.action_repeat):
                game.act(key.astype(np.int32))
                ends = bool(game.observe()[2][0])
                if ends:
                    player.restart(np.zeros(1, int))
                    break
    game.close(), copies.close()
    return summary(*map(np.stack, zip(*measured, strict=True)))


def luck(genie, latent, sign, video, moments: int) -> dict[str, Any]:
    """How much of what the sign says of futures is the world's draw? The best one's latent actions, imagined anew.

    Moments are frames of held-out episodes. `kept` is the variance of frames left over as many futures with the same
    latent actions, as a share of that over futures with their own, `best` the frames left of the best future minus
    their mean, `again` the same of its latent actions, on average, when they are imagined anew.
    """
    rng, found = np.random.default_rng(0), []
    for frame in tqdm(rng.permutation(agents.split_transitions(video)[1])[:moments], desc="imagining anew"):
        seen = video.frames[clips_before(video, np.array([frame]), agents.FRAMES)[0][0]]
        futures = agents.imagine(genie, latent, sign, seen, rng)
        shown = np.repeat(seen[None], planning.FUTURES, axis=0)
        codes = np.repeat(futures.latent_actions[futures.best][None], planning.FUTURES, axis=0)
        again = genie.generate(
            shown[:, -planning.PAST :], codes, maskgit_steps=planning.MASKGIT_STEPS, seed=int(rng.integers(2**31))
        )
        left = agents.expected_frames_left(look(sign, np.concatenate([shown, again], axis=1)[:, -agents.FRAMES :])[0])
        mean = futures.left.mean()
        found.append((left.var(), futures.left.var(), futures.left.min() - mean, left.mean() - mean))
    same, own, best, replayed = np.array(found).T
    named = {"best": best, "again": replayed}
    return {"moments": len(found), "kept": round(float(same.mean() / own.mean()), 4)} | {
        name: [round(x, 4) for x in bootstrap_mean(values[:, None])[0]] for name, values in named.items()
    }


def hold(games, keys, repeat: int, shown: np.ndarray, over: np.ndarray, solved: np.ndarray) -> np.ndarray:
    """Hold a key in each game that goes on; `shown` with the frame after it, of those that are over the last before."""
    for _ in range(repeat):
        games.act(np.where(over, STILL, keys).astype(np.int32))
        first = games.observe()[2].astype(bool) & ~over
        if first.any():
            info = games.get_info()
            solved |= first & np.array([one["prev_level_complete"] for one in info], bool)
            over |= first
    after = np.concatenate([shown[:, 1:], games.observe()[1]["rgb"][:, None]], axis=1)
    return np.where(over[:, None, None, None, None], shown, after)


def summary(imagined: np.ndarray, real: np.ndarray, died: np.ndarray, solved: np.ndarray) -> dict[str, Any]:
    """Of frames left and ends of futures, each [moments, n]: intervals over moments, [value, low, high]."""
    alive = [~row.any() for row in died | solved]
    same = [planning.rank_correlation(a, b) for a, b in zip(imagined[alive], real[alive], strict=True)]
    mixed = died.any(1) & (~died & ~solved).any(1)
    gap = [
        row[d].mean() - row[~d & ~s].mean() for row, d, s in zip(real[mixed], died[mixed], solved[mixed], strict=True)
    ]
    seen = [
        row[d].mean() - row[~d & ~s].mean()
        for row, d, s in zip(imagined[mixed], died[mixed], solved[mixed], strict=True)
    ]
    at = np.arange(len(died))
    die = {
        "at random": died.mean(1),
        "best imagined": died[at, imagined.argmin(1)],
        "best real": died[at, real.argmin(1)],
    }
    found = {"moments": len(died), "moments_alive": int(sum(alive)), "moments_mixed": int(mixed.sum())}
    named = {"agreement": same, "gap_real": gap, "gap_imagined": seen}
    named |= {f"died, {name}": values for name, values in die.items()}
    named |= {f"died, {name} minus at random": die[name] - die["at random"] for name in ("best imagined", "best real")}
    return found | {
        name: [round(x, 4) for x in bootstrap_mean(np.asarray(v, float)[:, None])[0]] for name, v in named.items()
    }


if __name__ == "__main__":
    sys.exit(main())
