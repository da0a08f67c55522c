"""The paper's ablations at course size: the input of the latent action model (table 2), the tokenizer (table 3).

::

    results = run_study("tokenizer", config, seeds=[0, 1, 2], out="runs/ablation", base=base, train=videos, test=others)
    print(table("tokenizer", results))
"""

from genie_lite.ablations.memory import count_scores, measure_step_memory, score_numbers
from genie_lite.ablations.runs import AblationError, load_results, recorded, run_study, run_variant
from genie_lite.ablations.table import PAPER, Claim, agreement, claims, table, values
from genie_lite.ablations.variants import VARIANTS, count_parameters, equal_ffn_ratio, variant_config

__all__ = [
    "PAPER",
    "VARIANTS",
    "AblationError",
    "Claim",
    "agreement",
    "claims",
    "count_parameters",
    "count_scores",
    "equal_ffn_ratio",
    "load_results",
    "measure_step_memory",
    "recorded",
    "run_study",
    "run_variant",
    "score_numbers",
    "table",
    "values",
    "variant_config",
]
