"""What the steps of a pocket build ask for: shares of questions, rates of the lessons, questions to a view."""

from __future__ import annotations

MIXTURES = {
    "0_place": {
        "classify": 0.3,
        "describe": 0.02,
        "locate": 0.36,
        "locate_all": 0.08,
        "whereabouts": 0.04,
        "count": 0.04,
        "presence": 0.04,
        "published": 0.12,
    },
    "1_pretrain": {"describe": 0.22, "classify": 0.13, "locate_all": 0.5, "whereabouts": 0.15},
    "2_sft": {
        "classify": 0.48,
        "describe": 0.02,
        "locate": 0.28,
        "locate_all": 0.02,
        "whereabouts": 0.02,
        "count": 0.025,
        "presence": 0.025,
        "published": 0.13,
    },
    "2_again": {
        "classify": 0.42,
        "describe": 0.02,
        "locate": 0.3,
        "locate_all": 0.03,
        "whereabouts": 0.03,
        "count": 0.04,
        "presence": 0.05,
        "published": 0.11,
    },
    "2_more": {
        "classify": 0.32,
        "describe": 0.02,
        "locate": 0.31,
        "locate_all": 0.02,
        "whereabouts": 0.02,
        "count": 0.04,
        "presence": 0.04,
        "published": 0.23,
    },
    "3_cot_sft": {
        "classify": 0.3,
        "describe": 0.02,
        "locate": 0.38,
        "whereabouts": 0.02,
        "count": 0.04,
        "presence": 0.04,
        "published": 0.2,
    },
    "4_grpo": {"classify": 0.25, "locate": 0.5, "presence": 0.1, "published": 0.1, "count": 0.05},
}
"""Shares of the rows of each stage (makers of training.pocket.questions). A label is three tokens and a row of boxes fifty, and
every token counts the same: half the rows of S ask for a label so that labels are a fifth of what it learns from."""

LESSONS = {"0_place": (1e-3, 7), "2_again": (8e-4, 107), "2_more": (4e-4, 207)}
"""The lots of lessons (training/pocket/place.py): their highest rate, and what is added to the seed for their views."""


TOGETHER = 4
"""Questions about one view of a picture in a row of the stages P and S. Reasoning is long, and what attention costs grows with
the square of it: in C four questions in one row cost what they cost in four."""
