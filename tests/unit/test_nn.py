"""What the building blocks promise: causality, a window, relative time, patches that come back, living codes."""

import pytest
import torch

from genie_lite.config import CodebookConfig, TransformerConfig
from genie_lite.nn import Patches, STTransformer, VectorQuantizer, attend, k_means, perplexity, rotate

WINDOW = 4


def quantizer(num_codes: int, latent_dim: int, **settings: object) -> VectorQuantizer:
    return VectorQuantizer(CodebookConfig(num_codes=num_codes, latent_dim=latent_dim, **settings))


@pytest.fixture
def transformer() -> STTransformer:
    torch.manual_seed(0)
    model = STTransformer(TransformerConfig(num_layers=2, d_model=32, num_heads=2), WINDOW).double()
    for parameter in model.parameters():  # the blocks start as the identity; here they must do something
        torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(2, 10, 5, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_the_past_does_not_move_when_the_future_changes(transformer, x):
    changed = x.clone()
    changed[:, 6:] *= -1
    before, after = transformer(x), transformer(changed)
    assert torch.equal(before[:, :6], after[:, :6])
    assert not torch.allclose(before[:, 6:], after[:, 6:])


def test_space_and_time_both_reach_every_later_token(transformer, x):
    changed = x.clone()
    changed[:, 3, 2] *= -1  # one token of one frame
    moved = (transformer(x) - transformer(changed)).abs().amax(dim=(0, -1))
    assert (moved[:3] == 0).all()
    assert (moved[3:6] > 0).all()


def test_frames_beyond_the_window_of_every_layer_do_not_matter(transformer, x):
    changed = x.clone()
    changed[:, 0] *= -1
    moved = (transformer(x) - transformer(changed)).abs().amax(dim=(0, 2, 3))
    reach = 2 * (WINDOW - 1)  # two layers, each looks WINDOW - 1 frames back
    assert (moved[: reach + 1] > 0).all()
    assert (moved[reach + 1 :] == 0).all()


def test_scores_depend_on_how_far_apart_frames_are_only():
    q, k = torch.randn(2, 1, 8, 1, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    near = torch.einsum("btnd,bsnd->ts", rotate(q, 0), rotate(k, 0))
    far = torch.einsum("btnd,bsnd->ts", rotate(q, 100_000), rotate(k, 100_000))
    torch.testing.assert_close(near, far, atol=1e-9, rtol=0)
    assert not torch.allclose(near, torch.einsum("btnd,bsnd->ts", q, k))


@pytest.mark.parametrize("barred", [False, True])
def test_both_ways_to_attend_agree(barred):
    q, k, v = torch.randn(3, 6, 9, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(9, 9, dtype=torch.bool).triu(1) if barred else None
    fused = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=None if mask is None else ~mask)
    torch.testing.assert_close(attend(q, k, v, mask), fused)
    q, k, v = torch.randn(3, 2, 3, 130, 16, generator=torch.Generator().manual_seed(0))  # long, so the fused kernel
    mask = torch.ones(130, 130, dtype=torch.bool).triu(1) if barred else None
    plain = attend(q.double(), k.double(), v.double(), mask).float()  # float64 never takes it
    torch.testing.assert_close(attend(q, k, v, mask), plain, atol=1e-5, rtol=0)
    torch.testing.assert_close(attend(q, k, v, mask, causal=barred), plain, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("size", "patch"), [((64, 64), 8), ((90, 160), 16), ((5, 7), 4)])
def test_patches_come_back_as_frames(size, patch):
    frames = torch.rand(2, 3, *size, 3)
    patches = Patches(size, patch)
    cut = patches.cut(frames)
    assert cut.shape == (2, 3, patches.count, patch * patch * 3)
    assert torch.equal(patches.join(cut), frames)
    assert torch.equal(cut[0, 0, 0].view(patch, patch, 3), frames[0, 0, :patch, :patch])


def test_the_nearest_code_is_the_nearest():
    book = quantizer(16, 4, normalize=False).eval()
    latents = torch.randn(50, 4)
    distances = torch.cdist(latents, book.codebook)
    assert torch.equal(book.nearest(latents), distances.argmin(dim=-1))


def test_gradients_pass_straight_through_to_the_latents():
    book = quantizer(8, 4, normalize=False).eval()
    latents = torch.randn(5, 4, requires_grad=True)
    output = book(latents)
    torch.testing.assert_close(output.vectors, book.lookup(output.codes))
    weight = torch.randn(5, 4)
    (output.vectors * weight).sum().backward()
    torch.testing.assert_close(latents.grad, weight)


def test_a_gradient_codebook_moves_towards_its_latents_and_an_ema_one_has_no_gradient():
    latents = torch.randn(20, 4)
    by_gradient = quantizer(4, 4, update="gradient")
    output = by_gradient(latents)
    output.loss.backward()
    used = output.codes.unique()
    stepped = by_gradient.codebook.detach() - 0.01 * by_gradient.codebook.grad
    nearer = torch.cdist(latents, stepped)[torch.arange(20), output.codes].mean()
    assert nearer < torch.cdist(latents, by_gradient.codebook)[torch.arange(20), output.codes].mean()
    assert (by_gradient.codebook.grad[used].abs().sum(-1) > 0).all()
    assert not quantizer(4, 4, update="ema").codebook.requires_grad


def test_ema_codes_settle_on_the_means_of_their_latents():
    torch.manual_seed(0)
    centres = torch.nn.functional.normalize(torch.randn(3, 8), dim=-1)
    book = quantizer(3, 8, decay=0.9, restart_after=5)
    for _ in range(200):
        book(centres[torch.randint(3, (64,))] + 0.01 * torch.randn(64, 8))
    distances = torch.cdist(centres, book.codebook)
    assert distances.min(dim=1).values.max() < 0.05
    assert book.perplexity() > 2.8


@pytest.mark.parametrize("restart_after", [0, 3])
def test_an_idle_code_restarts_only_when_asked(restart_after):
    torch.manual_seed(0)
    book = quantizer(8, 4, decay=0.5, restart_after=restart_after)
    latents = torch.nn.functional.normalize(torch.randn(1, 4), dim=-1).repeat(32, 1)  # everything is one point
    for _ in range(10):
        book(latents + 0.001 * torch.randn(32, 4))
    near = (book.codebook @ latents[0]) > 0.99
    assert near.sum() == (8 if restart_after else 1)


def test_a_codebook_may_start_from_a_smaller_one():
    """The old codes stay where they are; the others begin near them, and share what they were used for."""
    old, new = quantizer(3, 8), quantizer(5, 8)
    old.usage.copy_(torch.tensor([0.5, 0.3, 0.2]))
    new.start_from(old)
    torch.testing.assert_close(new.codebook[:3], old.codebook)
    angles = (new.codebook @ old.codebook.T)[3:]
    assert angles.argmax(1).tolist() == [0, 1]
    assert 0.8 < angles.max(1).values.min() and angles.max() < 1 - 1e-6
    torch.testing.assert_close(new.usage, torch.tensor([0.25, 0.15, 0.2, 0.25, 0.15]))
    for other in (quantizer(6, 8), quantizer(3, 4)):
        with pytest.raises(ValueError, match=r"wanted 5 codes or fewer of 8"):
            new.start_from(other)


def test_an_evaluated_quantizer_does_not_learn():
    book = quantizer(8, 4, restart_after=1).eval()
    before = {name: value.clone() for name, value in book.state_dict().items()}
    book(torch.randn(10, 4))
    assert all(torch.equal(before[name], value) for name, value in book.state_dict().items())


def test_k_means_ends_where_each_centre_is_the_mean_of_its_points():
    points = torch.rand(2_000, 3, generator=torch.Generator().manual_seed(0))
    centres = k_means(points, 50, torch.Generator().manual_seed(1), rounds=100)
    nearest = torch.cdist(points, centres).argmin(1)
    means = torch.stack([points[nearest == k].mean(0) for k in range(50)])
    torch.testing.assert_close(centres, means)
    assert torch.equal(centres, k_means(points, 50, torch.Generator().manual_seed(1), rounds=100))


def test_k_means_finds_a_small_cluster_far_away():
    generator = torch.Generator().manual_seed(0)
    near, far = torch.randn(20_000, 2, generator=generator), 50 + torch.randn(1_000, 2, generator=generator)
    for seed in range(5):  # with every fourth seed, none of 30 centres begins in the far cluster
        centres = k_means(torch.cat([near, far]), 30, torch.Generator().manual_seed(seed), rounds=20)
        assert torch.cdist(torch.tensor([[50.0, 50.0]]), centres).min() < 2


def test_k_means_wants_as_many_distinct_points_as_centres():
    with pytest.raises(ValueError, match="found 3 distinct points, wanted 4 or more"):
        k_means(torch.eye(3).repeat(5, 1), 4)


def test_without_native_bfloat16_everything_stays_float32(monkeypatch):
    import genie_lite.nn.precision as precision

    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    assert not precision.native_bfloat16("cpu")
    with precision.autocast("cpu"):
        assert (torch.randn(2, 3) @ torch.randn(3, 2)).dtype == torch.float32
    with precision.autocast("cpu", "bfloat16"):  # asked for by name, it is used all the same
        assert (torch.randn(2, 3) @ torch.randn(3, 2)).dtype == torch.bfloat16
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    monkeypatch.setattr(precision.platform, "machine", lambda: "x86_64")
    assert precision.native_bfloat16("cpu")
    monkeypatch.setattr(precision.platform, "machine", lambda: "arm64")
    assert not precision.native_bfloat16("cpu")


@pytest.mark.parametrize("update", ["ema", "fixed"])
def test_only_a_codebook_that_learns_by_gradient_is_a_parameter(update):
    """Whatever a caller freezes and thaws: no optimiser may move codes that follow their latents."""
    model = torch.nn.ModuleDict({"book": quantizer(8, 4, update=update)})
    model.requires_grad_(False).requires_grad_(True)
    assert not model["book"].codebook.requires_grad and not list(model.parameters())
    assert "book.codebook" in model.state_dict()
    assert [name for name, _ in quantizer(8, 4, update="gradient").named_parameters()] == ["codebook"]


def test_the_loss_weight_scales_the_quantizers_whole_loss():
    latents, whole = torch.randn(20, 4), quantizer(8, 4, update="gradient", loss_weight=1.0).eval()
    part = quantizer(8, 4, update="gradient").eval()
    part.load_state_dict(whole.state_dict())
    vectors = whole.lookup(whole.nearest(latents))
    error = (torch.nn.functional.normalize(latents, dim=-1) - vectors).square().mean()
    torch.testing.assert_close(whole(latents).loss, 1.25 * error)  # the codebook's loss, and 0.25 of commitment
    torch.testing.assert_close(part(latents).loss, 0.1 * whole(latents).loss)


def test_perplexity_is_the_number_of_codes_as_hard_to_guess():
    shares = torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(perplexity(shares), torch.tensor([4.0, 2.0, 1.0]))
