"""What each of several GPUs would hold: nothing is lost between uneven shards, and arithmetic agrees."""

import pytest
import torch

from genie_lite import load_config
from genie_lite.api import Genie
from genie_lite.cli import main
from genie_lite.config import STAGES
from genie_lite.training.shard_sizes import shard_sizes


def gigabytes(config, stage: str) -> float:
    with torch.device("meta"):
        genie = Genie(config)
    return sum(4 * p.numel() for part in STAGES[stage] for p in getattr(genie, part).parameters()) / 2**30


@pytest.mark.parametrize("gpus", [2, 3, 40])
def test_shards_of_all_gpus_make_the_model(gpus):
    """40: more than most parameters have rows, so that many GPUs hold nothing of them."""
    config = load_config("tiny", {"training.genie.optimizer": "adamw"})
    sizes = [shard_sizes(config, "genie", gpus, rank) for rank in range(gpus)]
    whole = gigabytes(config, "genie")
    assert sum(size.parameters for size in sizes) == pytest.approx(whole)
    assert sum(size.optimizer for size in sizes) == pytest.approx(2 * whole)
    assert max(size.together for size in sizes) == sizes[0].together > whole / gpus
    assert all(size.frozen == pytest.approx(gigabytes(config, "tokenizer")) for size in sizes)


def test_the_paper_model_takes_sixteen_bytes_a_parameter(capsys):
    """10.7 billion parameters with AdamW: weight, gradient and two moments of each, in float32."""
    config = load_config("platformers")
    whole = gigabytes(config, "genie")
    assert whole == pytest.approx(10.6e9 * 4 / 2**30, rel=0.01)
    assert main(["params", "platformers", "--gpus", "8", "16", "64"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("genie")]
    assert [int(row[1]) for row in rows] == [8, 16, 64]
    for gpus, (_, _, parameters, gradients, optimizer, frozen, together) in zip((8, 16, 64), rows, strict=True):
        assert float(parameters) == float(gradients) == pytest.approx(whole / gpus, rel=0.02, abs=0.01)
        assert float(optimizer) == pytest.approx(2 * whole / gpus, rel=0.02, abs=0.01)
        assert float(frozen) == pytest.approx(gigabytes(config, "tokenizer"), abs=0.01)
        assert float(together) == pytest.approx(4 * whole / gpus + float(frozen), rel=0.02, abs=0.01)


def test_muon_keeps_half_of_what_adamw_keeps():
    sizes = [
        shard_sizes(load_config("tiny", {"training.tokenizer.optimizer": optimizer}), "tokenizer", 2)
        for optimizer in ("adamw", "muon")
    ]
    assert sizes[0].optimizer / 2 < sizes[1].optimizer < sizes[0].optimizer
