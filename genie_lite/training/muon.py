"""Muon (Jordan, 2024): each matrix's update is replaced by the nearest orthogonal matrix."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Shard

from genie_lite.nn import native_bfloat16

# The quintic whose iteration pulls every singular value towards 1 (Jordan, 2024).
A, B, C = 3.4445, -4.7750, 2.0315


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised, for matrices [m, n]; an update is scaled by sqrt(max(1, m / n)).

    It takes the steps of torch.optim.Muon, and stays hand-written because of what those cost (docs/experiments.md).
    PyTorch's always computes in bfloat16, which without bfloat16 hardware takes longer than the rest of a training
    step; this one does so only where bfloat16 is native. PyTorch's takes one matrix after the other, this one all of
    one shape in one product each. And of sharded matrices (DTensor) PyTorch's sends pieces in each of five iterations;
    here every process receives some of the matrices whole, orthogonalises those, and sends the results back.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 0.02,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        steps: int = 5,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "steps": steps})
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim != 2:
                    raise ValueError(
                        f"Muon: found a parameter of shape {list(parameter.shape)}, wanted matrices [m, n]"
                    )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step with the gradients at hand; matrices without one stay as they are."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes[parameter.shape].append(parameter)
            for shape, parameters in shapes.items():
                stacked = torch.stack([self._update(p, group["momentum"]) for p in parameters])
                made = (
                    orthogonal_shards(stacked, group["steps"])
                    if isinstance(stacked, DTensor)
                    else orthogonal(stacked, group["steps"])
                )
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
                scale = -group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
                torch._foreach_add_(parameters, list(made.to(parameters[0].dtype).unbind()), alpha=scale)

    def _update(self, parameter: Tensor, momentum: float) -> Tensor:
        """Gradient and moving average of gradients, looked at half a step ahead (Nesterov)."""
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        average = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(average, momentum)


def orthogonal(matrices: Tensor, steps: int = 5) -> Tensor:
    """The nearest matrices [k, m, n] with singular values near 1 (0.7 to 1.2), by Newton-Schulz iteration."""
    x = matrices.to(torch.bfloat16) if native_bfloat16(matrices.device) else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    if tall := x.shape[1] > x.shape[2]:
        x = x.mT
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=B, alpha=C), x, beta=A)
    return x.mT if tall else x


def orthogonal_shards(matrices: DTensor, steps: int) -> DTensor:
    """`orthogonal` for matrices [k, m, n] whose rows are sharded: each process does k / N of them, whole."""
    whole = matrices.redistribute(placements=[Shard(0)])
    made = orthogonal(whole.to_local(), steps)
    result = DTensor.from_local(
        made, whole.device_mesh, [Shard(0)], run_check=False, shape=whole.shape, stride=whole.stride()
    )
    return result.redistribute(placements=matrices.placements)
