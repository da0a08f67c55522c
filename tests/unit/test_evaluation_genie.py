"""Control and whole evaluations, on worlds whose obedience is known because they have no neural network inside."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from genie_lite.api import Genie
from genie_lite.config import Config, config_from_dict
from genie_lite.data import DatasetError
from genie_lite.evaluation import (
    PSNR_CAP,
    EvaluationError,
    action_consistency,
    delta_psnr,
    describe_actions,
    evaluate_genie,
    psnr,
    score_rollouts,
)

SIDE = 32
MOVES = np.array([[-3, 0], [3, 0], [0, -5], [0, 4], [0, 0]])  # dx, dy of the player under each latent action
LAND = np.random.default_rng(7).integers(0, 256, (64, 64, 3)).astype(np.uint8).repeat(4, 0).repeat(4, 1)
TOKENS = 4


def look(at: np.ndarray) -> np.ndarray:
    """What the camera sees around positions [..., 2] (x, y), uint8 [..., SIDE, SIDE, 3]; the land repeats for ever."""
    x, y = np.moveaxis(at, -1, 0)
    span = np.arange(SIDE)
    return LAND[(y[..., None, None] + span[:, None]) % 256, (x[..., None, None] + span) % 256]


class Walks:
    """A dataset of random walks over the land: `codes` [F] lead from each frame to the next; 20 videos of 20 frames."""

    path = "walks"
    frame_size = (SIDE, SIDE)

    def __init__(self, seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        self.codes = generator.integers(len(MOVES), size=(20, 20))
        start = generator.integers(256, size=(20, 1, 2))
        steps = np.concatenate([np.zeros((20, 1, 2), int), MOVES[self.codes[:, :-1]].cumsum(1)], axis=1)
        self.positions = (start + steps).reshape(-1, 2)

    def clip_starts(self, length: int, stride: int = 1) -> np.ndarray:
        return (np.arange(20)[:, None] * 20 + np.arange(20 - (length - 1) * stride)).reshape(-1)

    def read_clips(self, starts: np.ndarray, length: int, stride: int = 1) -> np.ndarray:
        return look(self.positions[starts[:, None] + np.arange(length) * stride])

    def env_actions(self) -> np.ndarray:
        raise DatasetError("walks: videos without env actions")


class PressedWalks(Walks):
    """Walks whose true actions are known: the arrow keys that do what the codes do."""

    def env_actions(self) -> np.ndarray:
        return np.array([1, 7, 5, 3, 4], dtype=np.uint8)[self.codes.reshape(-1)]


class LandWorld:
    """Knows the land by heart, finds where it is, and obeys: the best there can be. `noise` comes from the seed."""

    num_latent_actions = len(MOVES)
    noise = 0.0

    def __init__(self) -> None:
        codebook = dataclasses.replace(Config().model.tokenizer.codebook, num_codes=TOKENS)
        tokenizer = dataclasses.replace(Config().model.tokenizer, codebook=codebook)
        self.config = dataclasses.replace(Config(), model=dataclasses.replace(Config().model, tokenizer=tokenizer))
        every = np.stack(np.meshgrid(np.arange(256), np.arange(256)), -1).reshape(-1, 2)
        self.places = {self._key(frame): at for at, frame in zip(every, map(look, every), strict=True)}

    @staticmethod
    def _key(frame: np.ndarray) -> bytes:
        return frame[::3, ::3].tobytes()

    def where(self, frames: np.ndarray) -> np.ndarray:
        flat = [self.places[self._key(frame)] for frame in frames.reshape(-1, *frames.shape[-3:])]
        return np.array(flat).reshape(*frames.shape[:-3], 2)

    def infer_actions(self, frames: np.ndarray) -> np.ndarray:
        at = self.where(frames)
        step = (at[:, 1:] - at[:, :-1] + 128) % 256 - 128
        return (step[:, :, None] == MOVES).all(-1).argmax(-1)

    def obey(self, at: np.ndarray, latent_actions: np.ndarray) -> np.ndarray:
        return at[:, None] + MOVES[latent_actions].cumsum(1)

    def generate(self, prompt_frames, latent_actions, *, maskgit_steps=None, temperature=None, seed=0):
        frames = look(self.obey(self.where(prompt_frames[:, -1]), latent_actions)).astype(float)
        frames += np.random.default_rng(seed).normal(size=frames.shape) * self.noise
        return frames.clip(0, 255).astype(np.uint8)

    def encode(self, frames: np.ndarray) -> np.ndarray:
        return frames.reshape(*frames.shape[:2], 16, -1).mean(-1).astype(int) * TOKENS // 256

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        grey = ((tokens + 0.5) * 256 / TOKENS).astype(np.uint8)
        return (
            grey.reshape(*tokens.shape[:2], 16, 1)
            .repeat(SIDE * SIDE * 3 // 16, -1)
            .reshape(*tokens.shape[:2], SIDE, SIDE, 3)
        )

    def predict_next(self, frames: np.ndarray) -> np.ndarray:
        return look(self.where(frames[:, :-1]) + MOVES[self.infer_actions(frames)])


class DeafWorld(LandWorld):
    """Stands still, whatever is pressed."""

    noise = 20.0

    def obey(self, at: np.ndarray, latent_actions: np.ndarray) -> np.ndarray:
        return np.broadcast_to(at[:, None], (*latent_actions.shape, 2))


class LateWorld(LandWorld):
    """Hears only the third action of a rollout."""

    def obey(self, at: np.ndarray, latent_actions: np.ndarray) -> np.ndarray:
        heard = np.where(np.arange(latent_actions.shape[1]) == 2, latent_actions, 4)
        return super().obey(at, heard)


class MoodyWorld(LandWorld):
    """Every prompt gives the buttons other meanings."""

    def obey(self, at: np.ndarray, latent_actions: np.ndarray) -> np.ndarray:
        generator = np.random.default_rng(0)
        return super().obey(at, np.stack([generator.permutation(5)[actions] for actions in latent_actions]))


@pytest.fixture(scope="module")
def world() -> LandWorld:
    return LandWorld()


def like(world: LandWorld, kind: type[LandWorld]) -> LandWorld:
    """A world of another kind over the same land."""
    other = kind.__new__(kind)
    other.__dict__.update(world.__dict__)
    return other


@pytest.fixture(scope="module")
def videos() -> np.ndarray:
    return Walks().read_clips(np.arange(16) * 20, 7)


# ------------------------------------------------------------------------------------------------- ΔtPSNR


def test_delta_psnr_is_large_where_actions_rule_and_exactly_zero_where_they_do_nothing(world, videos) -> None:
    assert delta_psnr(world, videos).low > 10
    deaf = delta_psnr(like(world, DeafWorld), videos)  # noisy, but with the same noise under both sets of actions
    assert deaf == (0, 0, 0)


def test_t_counts_the_actions_taken(world, videos) -> None:
    late = like(world, LateWorld)
    assert delta_psnr(late, videos, t=2) == (0, 0, 0)
    assert score_rollouts(late, videos).delta[:, 1].tolist() == [0] * len(videos)
    assert np.abs(score_rollouts(late, videos).delta[:, 2]).max() > 1
    for t in (0, 7):
        with pytest.raises(EvaluationError, match=f"t: found {t}, wanted 1 to 6"):
            delta_psnr(world, videos, t=t)


def test_delta_psnr_is_the_difference_of_two_psnrs(world, videos) -> None:
    random_actions = np.random.default_rng(5).integers(5, size=(16, 6))
    scores = score_rollouts(world, videos, random_actions=random_actions)
    generated = [world.generate(videos[:, :1], actions) for actions in (world.infer_actions(videos), random_actions)]
    expected = psnr(videos[:, 1:], generated[0]) - psnr(videos[:, 1:], generated[1])
    np.testing.assert_allclose(scores.delta, expected)
    np.testing.assert_allclose(scores.copying[:, 2], psnr(videos[:, 3], videos[:, 0]))


# -------------------------------------------------------------------------------------------- consistency


def test_consistency_tells_obedient_from_moody_and_deaf(world, videos) -> None:
    prompts = videos[:, :1]
    obedient = action_consistency(world, prompts)
    assert obedient.left_right.value == 1 and obedient.up_down.value == 1
    assert obedient.chance_left_right < 0.6  # one of five goes left, one right: .2² + .2² + .6² = .44
    moody = action_consistency(like(world, MoodyWorld), prompts)
    assert moody.left_right.value == pytest.approx(moody.chance_left_right, abs=0.06)
    assert moody.left_right.low < moody.chance_left_right < moody.left_right.high
    deaf = action_consistency(like(world, DeafWorld), prompts)
    assert deaf.left_right.value == pytest.approx(deaf.chance_left_right)  # always alike, but no more than by chance


def test_describe_actions_finds_the_moves_without_labels(world) -> None:
    described = describe_actions(world, Walks(), clips=30)
    for action, (dx, dy) in zip(described, MOVES, strict=True):
        assert (action.dx, action.dy) == pytest.approx((dx, dy), abs=0.3)
    assert sum(action.share for action in described) == pytest.approx(1)
    assert described[2].to_dict()["action"] == 2


# ------------------------------------------------------------------------------------------ the whole report


def test_a_perfect_world_gets_perfect_numbers(world) -> None:
    report = evaluate_genie(world, PressedWalks(), clips=40, frames=6, progress=False)
    assert [report[name].value for name in ("rollout_psnr", "lam_psnr")] == pytest.approx([PSNR_CAP] * 2)
    assert report["delta_psnr"].value > 10 and report["rollout_gain"].low > 10
    for name in ("motion_both_accuracy", "env_both_accuracy", "env_motion_both_accuracy", "consistency_up_down"):
        assert report[name].value > 0.99 > report.chances[name]
    assert report["action_perplexity"].value == pytest.approx(5, abs=0.2)
    assert report["action_least_share"].value > 0.1
    assert all(len(curve) == 5 for curve in report.curves.values())
    assert report.curves["ΔtPSNR"][3] == report["delta_psnr"]
    for value, low, high in report.metrics.values():
        assert low <= value <= high
    assert "ΔtPSNR" in report.table() and "right" in report.table()


def test_a_deaf_world_is_caught(world) -> None:
    report = evaluate_genie(like(world, DeafWorld), Walks(), clips=20, frames=6, progress=False)
    assert report["delta_psnr"] == (0, 0, 0)
    assert report["rollout_gain"].high < 1
    assert report["consistency_left_right"].value == pytest.approx(report.chances["consistency_left_right"])


def test_the_same_seed_gives_the_same_report(world) -> None:
    noisy = like(world, LandWorld)
    noisy.noise = 10.0
    first, again, other = (
        evaluate_genie(noisy, Walks(), clips=8, frames=6, seed=seed, progress=False).to_dict() for seed in (1, 1, 2)
    )
    assert first == again != other


def test_env_actions_are_read_only_when_asked(world, monkeypatch) -> None:
    walks = PressedWalks()
    with_keys = evaluate_genie(world, walks, clips=8, frames=6, progress=False)

    def forbidden() -> np.ndarray:
        raise AssertionError("true actions were read")

    monkeypatch.setattr(walks, "env_actions", forbidden)
    without = evaluate_genie(world, walks, clips=8, frames=6, progress=False, env_actions=False)
    describe_actions(world, walks, clips=8)
    assert {name: value for name, value in with_keys.metrics.items() if not name.startswith("env")} == without.metrics
    assert any("no probe of true actions" in n for n in evaluate_genie(world, Walks(), clips=8, progress=False).notes)


def test_consistency_may_be_left_out_and_the_rest_stays(world) -> None:
    noisy = like(world, LandWorld)
    noisy.noise = 10.0
    whole, rest = (
        evaluate_genie(noisy, Walks(), clips=8, frames=6, progress=False, consistency=wanted).to_dict()
        for wanted in (True, False)
    )
    for part in ("metrics", "chances"):
        assert {name for name in whole[part] if name not in rest[part]} == {
            "consistency_left_right",
            "consistency_up_down",
        }
        assert rest[part] == {name: whole[part][name] for name in rest[part]}
    assert rest["curves"] == whole["curves"] and rest["notes"] == whole["notes"]


def test_videos_without_structure_give_a_report_without_motion(world: LandWorld) -> None:
    class Fog(PressedWalks):
        def read_clips(self, starts: np.ndarray, length: int, stride: int = 1) -> np.ndarray:
            return np.full((len(starts), length, SIDE, SIDE, 3), 128, np.uint8)

    class FogWorld(LandWorld):
        def infer_actions(self, frames: np.ndarray) -> np.ndarray:
            return np.zeros((len(frames), frames.shape[1] - 1), int)

        def generate(self, prompt_frames, latent_actions, **_):
            return np.repeat(prompt_frames[:, -1:], latent_actions.shape[1], axis=1)

        def predict_next(self, frames: np.ndarray) -> np.ndarray:
            return frames[:, :-1]

    report = evaluate_genie(like(world, FogWorld), Fog(), clips=8, frames=6, progress=False)
    assert np.isnan(report["consistency_left_right"].value)
    assert any("no probe of motion" in note for note in report.notes)
    assert "env_both_nmi" in report.metrics and "motion_both_nmi" not in report.metrics
    assert report.to_dict()["metrics"]["consistency_left_right"]["value"] is None
    assert "nan" in report.table()


def test_too_short_or_too_few_videos_are_refused(world) -> None:
    with pytest.raises(EvaluationError, match="t: found 4, wanted 1 to 2"):
        evaluate_genie(world, Walks(), frames=3)
    with pytest.raises(EvaluationError, match="clips: found 2"):
        evaluate_genie(world, Walks(), clips=2)


def test_the_real_models_have_the_face_that_is_asked_for() -> None:
    block = {"num_layers": 1, "d_model": 16, "num_heads": 2}
    part = {"patch_size": 16, "encoder": block, "decoder": block}
    model = {
        "frame_size": [SIDE, SIDE],
        "context_frames": 6,
        "tokenizer": part,
        "latent_action": part,
        "dynamics": {"transformer": block},
    }
    torch.manual_seed(0)
    genie = Genie(config_from_dict({"model": model, "sampling": {"maskgit_steps": 1}}))
    genie.precision = "float32"  # as a latent action model by itself computes
    report = evaluate_genie(genie, PressedWalks(), clips=8, progress=False)
    assert report.settings["frames"] == 16 and report.settings["maskgit_steps"] == 1
    assert all(np.isfinite(value) for value, _, _ in report.metrics.values())
    assert len(report.actions) == genie.num_latent_actions
    alone = describe_actions(genie.latent_action, Walks(), clips=10)
    assert alone == describe_actions(genie, Walks(), clips=10)
