"""Muon: what PyTorch's own does, quick on machines without bfloat16."""

import pytest
import torch
from torch import nn

from genie_lite.training.muon import Muon, orthogonal


def matrices(seed: int) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(24, 8), (8, 24), (8, 8), (24, 8)]
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


@pytest.mark.parametrize("shape", [(3, 32, 96), (3, 96, 32), (3, 32, 32)])
def test_updates_become_orthogonal(shape):
    made = orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(0))).float()
    values = torch.linalg.svdvals(made)
    assert made.shape == shape
    assert values.max() < 1.3
    assert (values > 0.5).float().mean() > 0.95  # a few directions with almost no gradient may lag


def test_steps_are_those_of_pytorchs_muon():
    ours, theirs = matrices(0), matrices(0)
    optimizers = Muon(ours, lr=0.1, weight_decay=0.1), torch.optim.Muon(theirs, lr=0.1, weight_decay=0.1)
    for step in range(4):
        gradients = matrices(10 + step)
        for parameters, optimizer in zip((ours, theirs), optimizers, strict=True):
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient.detach().clone()
            optimizer.step()
    start = matrices(0)
    for mine, other, before in zip(ours, theirs, start, strict=True):
        moved = (other - before).norm()
        assert (mine - other).norm() < 0.03 * moved  # theirs rounds to bfloat16


def test_matrices_without_a_gradient_stay():
    parameters = matrices(0)
    parameters[0].grad = torch.ones_like(parameters[0])
    before = [p.detach().clone() for p in parameters]
    Muon(parameters, lr=0.1).step()
    assert not torch.equal(parameters[0], before[0])
    assert all(torch.equal(p, q) for p, q in zip(parameters[1:], before[1:], strict=True))


def test_only_matrices_are_taken():
    with pytest.raises(ValueError, match=r"found a parameter of shape \[8\], wanted matrices"):
        Muon([nn.Parameter(torch.zeros(8))])
