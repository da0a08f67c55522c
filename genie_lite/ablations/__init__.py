"""One change at a time, at course size: the paper's tables 2 and 3, and choices that it makes without a table.

::

    results = run_study("tokenizer", config, seeds=[0, 1, 2], out="runs/ablation", base=base, train=videos, test=others)
    print(table("tokenizer", results))

Studies: the input of the latent action model ("latent-action", table 2), the tokenizer ("tokenizer", table 3), the past
that the dynamics model is trained on ("past"), how it reads latent actions ("actions"), their number ("codes"), and the
"temperature" of sampling.
"""

from genie_lite.ablations.comparisons import MEASURES, Comparison, comparisons, paired_difference, slim
from genie_lite.ablations.memory import count_scores, measure_step_memory, score_numbers
from genie_lite.ablations.runs import AblationError, load_results, recorded, run_study, run_variant
from genie_lite.ablations.table import PAPER, Claim, agreement, claims, table, values
from genie_lite.ablations.variants import TRAINED, VARIANTS, count_parameters, equal_ffn_ratio, variant_config

__all__ = [
    "MEASURES",
    "PAPER",
    "TRAINED",
    "VARIANTS",
    "AblationError",
    "Claim",
    "Comparison",
    "agreement",
    "claims",
    "comparisons",
    "count_parameters",
    "count_scores",
    "equal_ffn_ratio",
    "load_results",
    "measure_step_memory",
    "paired_difference",
    "recorded",
    "run_study",
    "run_variant",
    "score_numbers",
    "slim",
    "table",
    "values",
    "variant_config",
]
