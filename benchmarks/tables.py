"""A benchmark report as Markdown, and its insertion into README."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

START, END = "<!-- bench:start -->", "<!-- bench:end -->"
Report = dict[str, Any]


def markdown(report: Report) -> str:
    """Tables of all measured sections, below one line about the machine."""
    writers = {
        "training": _training, "play": _play, "reading": _reading,
        "collecting": _collecting, "memory": _memory, "gpu": _gpu,
    }  # fmt: skip
    parts = [_hardware(report)]
    for name, write in writers.items():
        found = report.get(name)
        if found is not None:
            parts += [found["skipped"]] if "skipped" in found else []
            parts += [write(found)] if "skipped" not in found or name == "gpu" else []
    return "\n\n".join(parts) + "\n"


def fill_readme(path: Path, text: str) -> None:
    """Replace the text between the markers; ValueError, and no change, if they are missing."""
    before, start, rest = path.read_text().partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"{path}: found no {START} … {END}, wanted both in this order; add the two lines")
    path.write_text(f"{before}{START}\n{text}{END}{after}")


def _hardware(report: Report) -> str:
    about = report["hardware"]
    bfloat16 = "with" if about["cpu_bfloat16"] else "without"
    where = f"{about['cores']} cores of {about['cpu']} ({bfloat16} native bfloat16, threads: {about['threads']})"
    where = f"{about['gpu']}, {where}" if about["gpu"] else f"{where}, no GPU"
    return (
        f"Preset `{report['preset']}`, {where}, PyTorch {about['torch']}, {about['date']}. "
        "Medians; quartiles in brackets. Contenders took turns in one run, in the paper's form: without `shift`, "
        "`motion_input`, `first_guess` and `past: complete`."
    )


def _training(found: Report) -> str:
    rows = []
    for stage, numbers in found["stages"].items():
        ours, plain = (numbers["steps_per_second"][who] for who in ("ours", "plain"))
        share = ours["median"] * numbers["flops_per_step"] / found["matmul_flops"][numbers["precision"]]
        rows.append((
            _words(stage), _spread(ours), _number(numbers["frames_per_second"]["ours"]["median"]), _spread(plain),
            _spread(numbers["ratio"]), _spread(numbers["same_optimizer"]["ratio"]),
            f"{_number(numbers['flops_per_step'] / 1e9)}", f"{100 * share:.0f} %",
        ))  # fmt: skip
    speeds = ", ".join(f"{_number(rate / 1e9)} GFLOP/s in {name}" for name, rate in found["matmul_flops"].items())
    head = ("training", "steps/s", "frames/s", "plain, steps/s", "speed-up", "with AdamW too", "GFLOP per step",
            "of matmul speed")  # fmt: skip
    return _table(head, rows) + f"\n\nA large matrix product runs at {speeds} here."


def _play(found: Report) -> str:
    rows = [
        (steps, *(_spread(numbers["frames_per_second"][who]) for who in ("ours", "plain")), _spread(numbers["ratio"]))
        for steps, numbers in found["by_steps"].items()
    ]
    (early, first), (late, last) = found["over_time"]["frames_per_second"].items()
    head = ("play, MaskGIT steps", "frames/s", "without a cache, frames/s", "speed-up")
    before, after = _number(first["median"]), _number(last["median"])
    return _table(head, rows) + (
        f"\n\nThe table's world is untrained. In {found['world']}, with all of its options and {found['history']} "
        f"frames of history, {before} frames/s from frame {early} on and {after} from frame {late} on: a ratio of "
        f"{_spread(found['over_time']['ratio'])}."
    )


def _reading(found: Report) -> str:
    rows = [
        (
            _words(stage),
            *(_spread(numbers["frames_per_second"][w]) for w in ("read", "train")),
            _spread(numbers["ratio"]),
        )
        for stage, numbers in found["stages"].items()
    ]
    table = _table(("reading", "frames/s read", "frames/s trained on", "read / trained"), rows)
    return f"{table}\n\nOne thread, the batches of each stage, from {found['dataset']}."


def _collecting(found: Report) -> str:
    rates = found["game_steps_per_second"]
    rows = [(name, _spread(rate)) for name, rate in rates.items()]
    rows.append((f"collect over {found['against']}", _spread(found["ratio"])))
    return (
        _table(("collecting", "game steps/s"), rows) + f"\n\nOne stored frame is {found['action_repeat']} game steps."
    )


def _memory(found: Report) -> str:
    rows = [
        (_words(stage), *(f"{numbers['gigabytes'][who]:.2f}" for who in ("ours", "plain", "nothing")))
        for stage, numbers in found["stages"].items()
    ]
    return _table((f"peak memory of {found['of']}, GB", "ours", "plain", "before the first step"), rows)


def _gpu(found: Report) -> str:
    head = ["phase", "parameters", "TFLOP per step", "EFLOP in total", "GB before activations"]
    measured = "peak_flops" in found
    if measured:
        head += ["steps/s", "MFU", "peak GB", "hours"]
    rows = []
    for stage, numbers in found["phases"].items():
        row = [
            "latent action + dynamics" if stage == "genie" else stage, f"{numbers['parameters'] / 1e6:.1f} M",
            _number(numbers["flops_per_step"] / 1e12), _number(numbers["flops_in_all"] / 1e18),
            f"{numbers['gigabytes_before_activations']:.2f}",
        ]  # fmt: skip
        if "failed" in numbers:
            row += [numbers["failed"], "", "", ""]
        elif measured:
            speed = f"{_spread(numbers['steps_per_second'])} {numbers['precision']}"
            row += [speed, f"{100 * numbers['mfu']:.0f} %", f"{numbers['gigabytes']:.1f}", _number(numbers["hours"])]
        rows.append(row)
    if not measured:
        return _table(head, rows)
    speeds = ", ".join(f"{_number(rate / 1e12)} in {name}" for name, rate in found["matmul_flops"].items())
    return _table(head, rows) + (
        f"\n\nUtilisation is relative to {_number(found['peak_flops'] / 1e12)} TFLOP/s (dense bfloat16, "
        f"{found['peak_from']}); a large matrix product runs at {speeds}."
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *[list(row) for row in rows]]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _spread(numbers: Report) -> str:
    return f"{_number(numbers['median'])} [{_number(numbers['low'])}, {_number(numbers['high'])}]"


def _number(value: float) -> str:
    """Three digits: 0.0123, 1.23, 123, 12,300."""
    if value >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:#.3g}".rstrip(".")


def _words(stage: str) -> str:
    return stage.replace("_", " ")
