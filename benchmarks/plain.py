"""The reference that speeds are compared with: Genie on one page (notebook 09), with the package's weights.

Separate q, k and v layers, scaled_dot_product_attention, logits of every token, float32 throughout, AdamW for every
parameter, and no cache: what open reproductions of Genie do. The code, benchmarks/one_page.py, is the notebook's;
tests/unit/test_benchmarks.py checks that it computes the same function as the package.

The page has one way to do each thing. So every comparison uses settings that are those of the page (`COMPARED`), on
both sides.
"""

from __future__ import annotations

import functools
import re

from torch import Tensor

from benchmarks import one_page
from genie_lite.api import Genie
from genie_lite.nn.attention import Attention

# Settings under which both sides have the same models, whatever the preset says.
COMPARED = {
    "model.pad_frames": False,
    "model.tokenizer.attention": "st",
    "model.tokenizer.codes": "learned",
    "model.tokenizer.codebook.normalize": True,
    "model.tokenizer.codebook.update": "ema",
    "model.latent_action.codebook.normalize": True,
    "model.latent_action.codebook.update": "ema",
    "model.latent_action.difference_input": True,
    "model.latent_action.residual_output": True,
    "model.latent_action.inputs": "pixels",
    "model.latent_action.loss": "squared",
    "model.latent_action.shift": 0,
    "model.latent_action.motion_input": False,
    "model.dynamics.mask_rate": (0.5, 1.0),
    "model.dynamics.corruption": 0.0,
    "model.dynamics.previous_input": False,
    "model.dynamics.loss_share": 1.0,
    "model.dynamics.past": "masked",
    "model.dynamics.first_guess": False,
}
# The package's names of parameters and buffers, and the page's.
NAMES = {
    r"^tokenizer\.patch_embedding": "tokenizer.encoder.inputs",
    r"^tokenizer\.to_latent": "tokenizer.encoder.outputs",
    r"^tokenizer\.from_latent": "tokenizer.decoder.inputs",
    r"^latent_action\.encoder_positions": "latent_action.encoder.transformer.positions",
    r"^latent_action\.encoder_patches": "latent_action.encoder.transformer.inputs",
    r"^latent_action\.encoder\.blocks": "latent_action.encoder.transformer.blocks",
    r"^latent_action\.to_latent": "latent_action.encoder.transformer.outputs",
    r"^latent_action\.decoder_patches": "latent_action.decoder.inputs",
    r"(encoder|decoder)_positions$": r"\1.positions",
    r"to_patch": "decoder.outputs",
    r"^dynamics\.token_embedding": "dynamics.transformer.inputs",
    r"^dynamics\.positions": "dynamics.transformer.positions",
    r"^dynamics\.to_logits": "dynamics.transformer.outputs",
    r"quantizer\.codebook$": "quantizer.codebook.vectors",
    r"quantizer\.latent_sums$": "quantizer.codebook.sums",
    r"quantizer\.usage$": "quantizer.codebook.usage",
    r"quantizer\.idle_steps$": "quantizer.codebook.idle",
}


def plain_copy(genie: Genie) -> one_page.Genie:
    """The page's Genie with the weights of `genie`, on its device.

    Raises ValueError for a setting that the page does not have.
    """
    for key, wanted in COMPARED.items():
        found = functools.reduce(getattr, key.split("."), genie.config)
        if found != wanted:
            raise ValueError(f"{key}: found {found!r}, wanted {wanted!r}: the plain reference has nothing else")
    plain = one_page.Genie(genie.config.model)
    plain.load_state_dict(plain_weights(genie))
    return plain.to(genie.device).train(genie.training)


def plain_weights(genie: Genie) -> dict[str, Tensor]:
    """The weights of `genie` by the names of the page, which keeps queries, keys and values apart."""
    weights: dict[str, Tensor] = {}
    for name, value in genie.state_dict().items():
        for ours, theirs in NAMES.items():
            name = re.sub(ours, theirs, name)
        if not name.endswith(".qkv.weight"):
            weights[name] = value
            continue
        part = genie.get_submodule(name.removesuffix(".qkv.weight").replace("encoder.transformer.", "encoder."))
        assert isinstance(part, Attention)
        queries_and_keys, values = part.widths
        shares = value.split([queries_and_keys // 2, queries_and_keys // 2, values])
        weights |= {name.replace(".qkv.", f".{letter}."): share for letter, share in zip("qkv", shares, strict=True)}
    return weights
