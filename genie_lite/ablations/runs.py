"""Train and measure one variant or a whole study; results on disk are never computed twice."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from genie_lite import storage
from genie_lite.ablations.memory import measure_step_memory
from genie_lite.ablations.variants import TRAINED, VARIANTS, count, variant_config
from genie_lite.api import Genie
from genie_lite.config import COURSE_STAGES, Config, config_to_dict
from genie_lite.data import FrameDataset, data_folder
from genie_lite.evaluation import evaluate_genie
from genie_lite.training import read_log, train_genie, train_tokenizer

logger = logging.getLogger(__name__)
Result = dict[str, Any]  # of one variant with one seed; JSON-compatible


class AblationError(ValueError):
    """An ablation that cannot be run or read: the message says what was found, what was wanted and what to do."""


def run_variant(
    study: str,
    variant: str,
    config: Config,
    *,
    base: Genie,
    train: FrameDataset,
    test: FrameDataset,
    folder: str | Path,
    seed: int = 0,
    clips: int = 200,
    frames: int = 16,
    elsewhere: Iterable[Path] = (),
    progress: bool = True,
) -> Result:
    """Train one variant of a study, then measure the world on held-out `test`.

    The study's models (TRAINED) are trained in order; the others are those of `base`, which all variants share. Where
    nothing is trained, `base` itself is measured with the variant's sampling, and `seed` draws the clips and samples.
    `clips` and `frames` are passed to `evaluate_genie`. `folder` receives the run folder of each stage and result.json;
    a finished run with the same settings is returned as it is, an unfinished one is continued. Of `elsewhere`, results
    of other studies, one with the same settings, base included, is the same run and is taken over.
    AblationError if the folder holds a run with other settings.
    """
    folder = Path(folder)
    trained = TRAINED[study]
    if "tokenizer" in trained and base.latent_action.inputs != "pixels":
        raise AblationError(
            "base: its latent action model reads the tokens of its own tokenizer, wanted one that reads pixels, "
            "which every tokenizer can be tried with; give another base"
        )
    config = variant_config(config, study, variant, seed)
    shared = [part for part in COURSE_STAGES if part not in trained]
    config = replace(config, model=replace(config.model, **{part: getattr(base.config.model, part) for part in shared}))
    settings = {
        "config": config_to_dict(config),
        "base": fingerprint(nn.ModuleDict({part: getattr(base, part) for part in shared})),
        "clips": clips,
        "frames": frames,
        "train": _videos(train),
        "test": _videos(test),
    }
    path = folder / "result.json"
    if path.is_file():
        found: Result = storage.read_json(path)
        differing = [name for name in settings if found.get("settings", {}).get(name) != settings[name]]
        if not differing:
            logger.info("%s: already finished", folder)
            return found
        raise AblationError(
            f"{path}: found a result with other settings ({', '.join(differing)}), wanted the same ones; "
            "choose another folder, or delete this one to run it anew"
        )
    told = {"study": study, "variant": variant, "name": VARIANTS[study][variant]}
    for other in elsewhere:
        found = storage.read_json(other)
        if found.get("settings") == settings:
            logger.info("%s: the same run as %s", folder, other.parent)
            storage.write_json(path, found | told)
            return found | told
    world, memory = base, {}
    for part in trained:
        if part == "tokenizer":
            world = train_tokenizer(config, train, folder / part, progress=progress)
            world.latent_action.load_state_dict(base.latent_action.state_dict())
            memory = {"as_run": measure_step_memory(config), "written_out": measure_step_memory(config, fused=False)}
        else:
            world = train_genie(config, train, folder / part, tokenizer=world, parts=(part,), progress=progress)
    logs = {part: read_log(folder / part) for part in trained}
    speed = float(logs[trained[0]]["step"][-1] / (60 * logs[trained[0]]["minutes"][-1])) if trained else None
    report = evaluate_genie(
        world,
        test,
        clips=clips,
        frames=frames,
        stride=config.training.dynamics.frame_stride,
        temperature=config.sampling.temperature,
        seed=0 if trained else seed,
        consistency=False,  # no table of a study reads it
        progress=progress,
    ).to_dict()
    report["settings"]["dataset"] = Path(report["settings"]["dataset"]).name  # results may be shared, paths not
    result: Result = {
        "format_version": storage.FORMAT_VERSION,
        **told,
        "seed": seed,
        "parameters": count(getattr(world, trained[0])) if trained else None,
        "memory": {name: None if math.isnan(value) else value for name, value in memory.items()},
        "steps": {stage: int(log["step"][-1]) for stage, log in logs.items()},
        "minutes": {stage: float(log["minutes"][-1]) for stage, log in logs.items()},
        "steps_per_second": speed,
        "report": report,
        "machine": {"device": str(world.device), "threads": torch.get_num_threads(), "torch": torch.__version__},
        "settings": settings,
    }
    storage.write_json(path, result)
    return result


def run_study(
    study: str, config: Config, *, seeds: Iterable[int], out: str | Path, variants: Iterable[str] = (), **named: Any
) -> list[Result]:
    """Run every variant (or some) with every seed under `out`/STUDY/PRESET; results go to `out`/STUDY-PRESET.json.

    All variants of one seed are finished before the next seed begins. A run that another study in `out` has finished
    with the same settings is not repeated. `named` is passed to `run_variant`.
    """
    out, preset = Path(out), config.name.replace("/", "-")
    results = []
    for seed in seeds:
        for variant in variants or VARIANTS[study]:
            folder = out / study / preset / f"{variant}-seed{seed}"
            elsewhere = sorted(out.glob(f"*/{preset}/*-seed{seed}/result.json"))
            results.append(run_variant(study, variant, config, seed=seed, folder=folder, elsewhere=elsewhere, **named))
    storage.write_json(
        out / f"{study}-{preset}.json",
        {"format_version": storage.FORMAT_VERSION, "study": study, "preset": config.name, "results": results},
    )
    return results


def load_results(path: str | Path) -> list[Result]:
    """Read the results that `run_study` wrote to a JSON file."""
    results: list[Result] = storage.read_json(Path(path)).get("results", [])
    if not results:
        raise AblationError(f"{path}: found no results, wanted a file written by tools/ablation.py")
    return results


def recorded(study: str) -> list[Result]:
    """The shipped results of long runs, data/ablations/STUDY.json; an empty list if there are none."""
    path = data_folder() / "ablations" / f"{study}.json"
    return load_results(path) if path.is_file() else []


def fingerprint(model: torch.nn.Module) -> str:
    """Twelve hexadecimal digits of a hash of the weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def _videos(dataset: FrameDataset) -> dict[str, Any]:
    """What identifies a dataset, wherever it is stored."""
    return {"frames": dataset.num_frames, "levels": dataset.attributes.get("levels")}
