"""Which optimiser moves what, in the trainings before stage P: Muon (Jordan et al. 2024) the matrices inside a transformer, AdamW the rest.

Muon makes the step of a matrix equally large in all directions; torch's scales it to the size of AdamW's (Liu et al. 2025), so that
one rate serves both. How much sooner the tower learns by it is in dev/LOG.md.
"""

from __future__ import annotations

from torch import nn, optim

BETAS = (0.9, 0.98)


def optimisers(learner: nn.Module, hidden: str, decay: float = 0.05) -> list[optim.Optimizer]:
    """Optimisers of all parameters of `learner` that learn; of those whose name begins with `hidden`, matrices are Muon's. The rates
    are for the training's loop to set. `decay` is AdamW's weight decay of what is no vector, which decays by nothing."""
    learning = {name: each for name, each in learner.named_parameters() if each.requires_grad}
    inside = {name: each for name, each in learning.items() if name.startswith(hidden) and each.ndim == 2}
    others = [each for name, each in learning.items() if name not in inside]
    return [
        optim.Muon(inside.values(), weight_decay=0.02, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        optim.AdamW(
            [
                {"params": [each for each in others if each.ndim >= 2], "weight_decay": decay},
                {"params": [each for each in others if each.ndim < 2], "weight_decay": 0.0},
            ],
            betas=BETAS,
        ),
    ]
