"""Cost of the paper's two phases at a preset's sizes: from formulas anywhere, measured on a GPU."""

from __future__ import annotations

import dataclasses

import torch

from benchmarks.flops import peak_flops, step_flops
from benchmarks.measure import summary
from benchmarks.sections import Bench, Report, matmul
from benchmarks.stages import OurStep, precision_of, some_frames
from genie_lite.api import Genie
from genie_lite.config import PAPER_STAGES, STAGES, Config, Stage, load_config
from genie_lite.training.optim import build_optimizers
from genie_lite.training.shard_sizes import KEPT


def gpu(bench: Bench, seconds: float) -> Report:
    """The paper's two phases: FLOPs and parameters by formula; on a GPU speed, utilisation, memory, hours."""
    bench = dataclasses.replace(bench, config=load_config(bench.preset))  # nothing is compared here
    phases = {stage: _predicted(bench.config, stage) for stage in PAPER_STAGES}
    if bench.device != "cuda":
        return {"skipped": "No GPU here: the cost of each phase from formulas only.", "phases": phases}
    measured, name = matmul(bench), torch.cuda.get_device_name()
    peak = peak_flops(name) or max(measured.values())
    for stage in PAPER_STAGES:
        settings = getattr(bench.config.training, stage)
        frames = some_frames(bench.dataset, settings, bench.device)
        try:
            phases[stage] |= _measured(bench, stage, frames, seconds / len(PAPER_STAGES))
        except torch.cuda.OutOfMemoryError:
            phases[stage]["failed"] = "out of memory"
            continue
        phases[stage]["mfu"] = phases[stage]["steps_per_second"]["median"] * phases[stage]["flops_per_step"] / peak
    known = peak_flops(name) is not None
    return {
        "phases": phases,
        "matmul_flops": measured,
        "peak_flops": peak,
        "peak_from": "table" if known else "measured",
    }


def _measured(bench: Bench, stage: Stage, frames: torch.Tensor, seconds: float) -> Report:
    settings = getattr(bench.config.training, stage)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    rates = summary(bench.turns({"ours": OurStep(bench.config, stage, frames)}, seconds)["ours"])
    return {
        "precision": precision_of(settings, bench.device),
        "steps_per_second": rates,
        "gigabytes": torch.cuda.max_memory_allocated() / 2**30,
        "hours": settings.steps / rates["median"] / 3600,
    }


def _predicted(config: Config, stage: Stage) -> Report:
    """FLOPs per step and in total, parameters, and GB before any activation (no weights are allocated)."""
    settings = getattr(config.training, stage)
    with torch.device("meta"):
        genie = Genie(config)
    trained = torch.nn.ModuleDict({part: getattr(genie, part) for part in STAGES[stage]})
    optimizers = build_optimizers(trained, settings)
    kept = sum(
        KEPT[name] * sum(p.numel() for group in optimizer.param_groups for p in group["params"])
        for name, optimizer in optimizers.items()
    )
    gradients = sum(p.numel() for p in trained.parameters() if p.requires_grad)
    flops = step_flops(config, stage)
    return {
        "steps": settings.steps,
        "flops_per_step": flops,
        "flops_in_all": flops * settings.steps,
        "parameters": sum(p.numel() for p in trained.parameters()),
        "gigabytes_before_activations": 4 * (sum(p.numel() for p in genie.parameters()) + gradients + kept) / 2**30,
    }
