"""The shipped worlds are small, documented and obedient: on held-out videos they beat copying and random actions."""

import numpy as np
import pytest
import torch

import genie_lite
from genie_lite.data import FrameDataset, data_folder, sample_dataset, sample_game
from genie_lite.evaluation import LEFT_RIGHT, code_usage, motion_measure, pick_clips, score_rollouts
from genie_lite.inference import KVCache
from genie_lite.inference.one_frame import frame_features
from genie_lite.play import read_labels

BYTES = {"laptop": 15e6, "coinrun": 40e6, "robot": 8e6}
LEAST_SHARE = {"laptop": 0.03, "coinrun": 0.03, "robot": 0.03}  # of eight actions each


@pytest.fixture(scope="module", params=BYTES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def genie(name):
    return genie_lite.load(name, device="cpu")


@pytest.fixture(scope="module")
def dataset(genie) -> FrameDataset:
    return sample_dataset("test", game=sample_game(genie.config))


@pytest.fixture(scope="module")
def videos(dataset) -> np.ndarray:
    starts, _ = pick_clips(dataset, 40, 9, seed=0)
    return dataset.read_clips(starts, 9)


def test_it_is_small_and_holds_no_pickle(name):
    folder = data_folder() / "checkpoints" / name
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".json", ".safetensors"]
    assert sum(path.stat().st_size for path in folder.iterdir()) < BYTES[name]


def test_its_preset_is_the_one_in_the_package(name, genie):
    assert genie.config.model == genie_lite.load_config(name).model
    assert genie.config.sampling == genie_lite.load_config(name).sampling
    assert genie.config.play == genie_lite.load_config(name).play


def test_its_card_says_how_it_was_made_and_what_its_buttons_do(genie):
    assert genie.card["trained"] == ["dynamics", "latent_action", "tokenizer"]
    assert {"minutes", "steps", "hardware", "videos", "metrics"} <= set(genie.card)
    assert len(read_labels(genie.card["actions"], genie.num_latent_actions)) == genie.num_latent_actions


def test_every_action_is_alive_on_held_out_videos(name, genie, videos):
    assert code_usage(genie.infer_actions(videos), genie.num_latent_actions).shares.min() > LEAST_SHARE[name]


def test_what_the_buttons_say_is_what_they_do(genie, dataset, videos):
    """The leftmost and the rightmost arrow of the card move the generated player apart, from the same prompts."""
    labels = read_labels(genie.card["actions"], genie.num_latent_actions)
    order = np.argsort([label.dx for label in labels])
    across = []
    for action in (order[0], order[-1]):
        held = np.full((20, 4), action)
        video = genie.generate(videos[:20, :1], held, maskgit_steps=4)
        motion = motion_measure(dataset)(np.concatenate([videos[:20, :1], video], axis=1))
        across.append(motion.dx[motion.sure_x].mean())
    assert across[0] < 0 < across[1], f"{LEFT_RIGHT[0]} {across[0]:.1f} px, {LEFT_RIGHT[2]} {across[1]:.1f} px"


def test_it_beats_copying_and_random_actions(genie, videos):
    scores = score_rollouts(genie, videos, maskgit_steps=8, seed=0)
    assert scores.delta[:, 3].mean() > 1.5
    for t in (2, 4, 5, 8):  # at t = 2 a few clips decide: the standard error of `coinrun` is 1.5 dB there
        gain = scores.gain[:, t - 1]
        assert gain.mean() > (-gain.std() / len(gain) ** 0.5 if t == 2 else 0), t


def test_the_cache_is_as_exact_in_bfloat16_as_the_whole_video_is(genie, videos):
    """Quick machines play in bfloat16: a frame played alone must not lose more to rounding than one in its video."""
    tokens = torch.as_tensor(genie.encode(videos[:2, :6]))
    vectors = genie.latent_action.quantizer.lookup(torch.as_tensor(genie.infer_actions(videos[:2, :6]))).detach()
    found = {}
    try:
        for genie.precision in ("float32", "bfloat16"):
            cache, model = KVCache(genie.context_frames), genie.dynamics
            with genie.inference():
                found[genie.precision, "whole"] = genie.dynamics.logits(tokens, vectors)[:, -1].float()
                for t in range(6):
                    past = tokens[:, t - 1 : t] if t else None
                    context = model.context(vectors[:, max(t - 1, 0) : t], 1, past)
                    features = frame_features(model, tokens[:, t], context, cache)
                    cache.advance()
                found[genie.precision, "alone"] = model.to_logits(features).unflatten(0, (2, -1)).float()
    finally:
        genie.precision = "auto"
    exact = found["float32", "whole"]
    torch.testing.assert_close(found["float32", "alone"], exact, atol=1e-4, rtol=0)
    error = {way: (found["bfloat16", way] - exact).abs().mean() for way in ("whole", "alone")}
    assert 0 < error["alone"] < 1.5 * error["whole"]


def shares(curve: list[list[float]]) -> str:
    return " ".join(f"{value:.2f}".lstrip("0") if value < 0.995 else "1.0" for value, _, _ in curve[:8])


def apart(table: dict, who: str) -> str:
    """How far from the real hero's place heroes are after a key was held to the right, and to the left: pixels."""
    rows = (table[f"hold {side}: distance from where the game ends"] for side in ("right", "left"))
    return ", ".join(f"{row[who][0]:.1f}" for row in rows)


def readme_rows(card: dict) -> list[str]:
    """Rows of README's tables on the laptop world, as its card has them."""
    metrics, played = card["metrics"], card["play_test"]
    table, curves = played["table"], played["curves"]

    def spread(values: list[float], digits: int) -> str:
        value, low, high = (f"{number:.{digits}f}" for number in values)
        return f"{value} [{low}, {high}]"

    flat, noisy = (table[f"mashed keys: late frames, {kind}"] for kind in ("flat", "noisy"))
    return [
        f"| tokenizer, 64 tokens per frame | {spread(metrics['tokenizer_psnr'], 1).replace(' [', ' dB [')} | |",
        f"| ΔtPSNR, t = 4 | {spread(metrics['delta_psnr'], 1).replace(' [', ' dB [')} | a world that ignores its",
        f"| jumps that take off | {spread(table['jump: share that takes off']['world'], 2)} | 1.00 |",
        "| of these, back on the ground in time | "
        f"{spread(table['jump: of these, back on the ground in time']['world'], 2)} | 1.00 |",
        "| no key held: share of frames that stand still | "
        f"{spread(table['stand still: share still, presses 5 to 12']['world'], 2)} | 1.00 |",
        *(
            f"| hold {side}: share that moves {side}, presses 1 to 8 | {shares(curves[f'hold {side}']['world'])} | "
            f"{shares(curves[f'hold {side}']['game'])} |"
            for side in ("right", "left")
        ),
        f"| pixels from where the real hero is after 12 presses: hold right, left | {apart(table, 'world')} | "
        f"0, 0; if nobody moved: {apart(table, 'standing still')} |",
        f"| frames 30 to 60 of mashed keys: empty; noisy | {flat['world'][0]:.2f}, {noisy['world'][0]:.2f} | "
        f"{flat['game'][0]:.2f}, {noisy['game'][0]:.2f} |",
    ]


def coinrun_rows(card: dict) -> list[str]:
    """Rows of README's table on the coinrun world that can change with its weights or its sampling."""
    metrics, curves, played = card["metrics"], card["curves"], card["play_test"]
    table, held = played["table"], played["curves"]
    flat, noisy = (table[f"mashed keys: late frames, {kind}"] for kind in ("flat", "noisy"))
    off, back = (table[f"jump: {what}"] for what in ("share that takes off", "of these, back on the ground in time"))
    value, low, high = metrics["delta_psnr"]
    rollout = ", ".join(f"{curves['free rollout'][t - 1]:.1f}" for t in (2, 4, 8))
    return [
        f"| free rollout from one frame, t = 2, 4, 8 | {rollout} dB |",
        f"| ΔtPSNR, t = 4 | {value:.1f} dB [{low:.1f}, {high:.1f}] |",
        f"| rarest of the eight latent actions | {100 * metrics['action_least_share'][0]:.1f} % of the time |",
        "| jumps that take off; of these, back on the ground in time | "
        f"{off['world'][0]:.2f}, {back['world'][0]:.2f} |",
        *(
            f"| hold {side}: share that moves {side}, presses 1 to 8 | {shares(held[f'hold {side}']['world'])} | "
            f"real game: {shares(held[f'hold {side}']['game'])} |"
            for side in ("right", "left")
        ),
        f"| pixels from where the real hero is after 12 presses: hold right, left | {apart(table, 'world')} | "
        f"if nobody moved: {apart(table, 'standing still')} |",
        f"| frames 20 to 40 of mashed keys: empty; noisy | {flat['world'][0]:.2f}, {noisy['world'][0]:.2f} | "
        f"real game: {flat['game'][0]:.2f}, {noisy['game'][0]:.2f} |",
    ]


def test_the_readme_says_what_the_card_of_coinrun_says():
    readme = (data_folder().parent / "README.md").read_text()
    for row in coinrun_rows(genie_lite.load("coinrun", device="cpu").card):
        assert row in readme


def test_the_readme_says_what_the_card_says():
    readme = (data_folder().parent / "README.md").read_text()
    for row in readme_rows(genie_lite.load("laptop", device="cpu").card):
        assert row in readme
