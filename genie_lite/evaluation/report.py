"""The result of an evaluation: every metric with its interval and chance level, as a table and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genie_lite.evaluation.bootstrap import EvaluationError, Interval
from genie_lite.storage import write_json

# metric: (section, description, unit)
LABELS: dict[str, tuple[str, str, str]] = {
    "tokenizer_psnr": ("Fidelity", "tokenizer, reconstruction", "dB"),
    "tokenizer_ssim": ("Fidelity", "tokenizer, structural similarity", ""),
    "lam_psnr": ("Fidelity", "latent action model, next frame", "dB"),
    "lam_copy_psnr": ("Fidelity", "copying the last frame, next frame", "dB"),
    "lam_gain": ("Fidelity", "latent action model over copying", "dB"),
    "rollout_psnr": ("Fidelity", "free rollout from one frame, t = {t}", "dB"),
    "rollout_copy_psnr": ("Fidelity", "copying the prompt frame, t = {t}", "dB"),
    "rollout_gain": ("Fidelity", "free rollout over copying, t = {t}", "dB"),
    "coinrun_distance": ("Fidelity", "CoinRun video distance (not FVD); real videos under chance", ""),
    "fvd": ("Fidelity", "FVD, standard I3D", ""),
    "delta_psnr": ("Control", "ΔtPSNR, inferred over random actions, t = {t}", "dB"),
    "consistency_left_right": ("Control", "same action, other prompts: same left/still/right", ""),
    "consistency_up_down": ("Control", "same action, other prompts: same up/still/down", ""),
    "action_perplexity": ("Codes", "latent actions, perplexity", "codes"),
    "action_least_share": ("Codes", "latent actions, share of the rarest", ""),
    "token_perplexity": ("Codes", "tokens, perplexity", "codes"),
    "token_used_share": ("Codes", "tokens, share of the codebook in use", ""),
}
PROBES = {
    "motion": "latent action tells the measured motion",
    "env": "latent action tells the true action",
    "env_motion": "true action tells the measured motion",
}
AXES = {"left_right": "left/still/right", "up_down": "up/still/down", "jump": "jump or not", "both": "both axes"}
MEASURES = {"accuracy": "balanced accuracy", "nmi": "normalised information", "information": "information (nats)"}


@dataclass(frozen=True)
class Report:
    """The result of an evaluation.

    `metrics` maps names to (value, low, high), with the 95 % interval over clips. `chances` holds chance levels for
    some of them: the score of codes without information, or the distance between sets of real videos. `curves` maps
    names to one interval per t = 1, 2, ... (PSNR of x_t in dB). `actions` describes each latent action, and
    `action_shares` says how often each occurs.
    """

    metrics: dict[str, Interval]
    chances: dict[str, float] = field(default_factory=dict)
    curves: dict[str, list[Interval]] = field(default_factory=dict)
    actions: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Interval:
        """The interval of one metric; EvaluationError lists the metrics if it is missing."""
        if name not in self.metrics:
            raise EvaluationError(f"metric {name!r}: not in this report, which holds {', '.join(self.metrics)}")
        return self.metrics[name]

    @property
    def action_shares(self) -> list[float]:
        """Share of each latent action, in the order of the codes."""
        return [action["share"] for action in self.actions]

    def __str__(self) -> str:
        return self.table()

    def table(self) -> str:
        """One line per metric (value, 95 % interval, chance), then the actions, the curves and the notes."""
        lines = [f"{'':58} {'value':>8}  {'95 % interval':^18} {'chance':>7}"]
        section = ""
        for name, (value, low, high) in self.metrics.items():
            heading, text, unit = self._label(name)
            if heading != section:
                section = heading
                lines += ["", section]
            chance = f"{self.chances[name]:7.3f}" if name in self.chances else ""
            digits = 2 if unit in ("dB", "codes") else 3
            ends = f"[{low:.{digits}f}, {high:.{digits}f}]"
            lines.append(f"  {text:<56} {value:8.{digits}f}  {ends:^18} {chance:>7} {unit}".rstrip())
        if self.actions:
            lines += ["", "Latent actions: share, and median motion of the agent in pixels per frame (right, down)"]
            lines += [f"  {a['action']:>3}  {a['share']:6.1%}  {a['dx']:+6.2f}  {a['dy']:+6.2f}" for a in self.actions]
        if self.curves:
            length = max(len(curve) for curve in self.curves.values())
            lines += ["", "dB at t =" + " " * 15 + "".join(f"{t:>6}" for t in range(1, length + 1))]
            for name, curve in self.curves.items():
                lines.append(f"  {name:<22}" + "".join(f"{point.value:6.1f}" for point in curve))
        if self.notes:
            lines += ["", *(f"* {note}" for note in self.notes)]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries and numbers; NaN and infinity become None."""
        tree = {
            "metrics": {name: dict(zip(Interval._fields, value, strict=True)) for name, value in self.metrics.items()},
            "chances": dict(self.chances),
            "curves": {name: [list(point) for point in curve] for name, curve in self.curves.items()},
            "actions": self.actions,
            "settings": self.settings,
            "notes": self.notes,
        }
        return _finite(tree)

    def to_json(self, path: str | Path) -> Path:
        """Write everything as JSON to `path`; returns the path."""
        path = Path(path)
        write_json(path, self.to_dict())
        return path

    @classmethod
    def from_json(cls, path: str | Path) -> Report:
        """Read a file written by `to_json`; EvaluationError for anything else."""
        try:
            tree = json.loads(Path(path).read_text(encoding="utf-8"))
            metrics = {
                n: Interval(*(_number(ends[key]) for key in Interval._fields)) for n, ends in tree["metrics"].items()
            }
            curves = {n: [Interval(*map(_number, point)) for point in curve] for n, curve in tree["curves"].items()}
            chances = {n: _number(value) for n, value in tree["chances"].items()}
            return cls(metrics, chances, curves, tree["actions"], tree["settings"], tree["notes"])
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise EvaluationError(f"{path}: not a report ({error!r}); write one with report.to_json") from error

    def _label(self, name: str) -> tuple[str, str, str]:
        if name in LABELS:
            heading, text, unit = LABELS[name]
            return heading, text.format(t=self.settings.get("t", "?")), unit
        for probe, heading in PROBES.items():
            for axis, axis_text in AXES.items():
                for measure, measure_text in MEASURES.items():
                    if name == f"{probe}_{axis}_{measure}":
                        words = axis_text.replace("still", "none") if probe == "env" else axis_text
                        return f"Probe: {heading}", f"{words}, {measure_text}", ""
        return "Other", name, ""


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
