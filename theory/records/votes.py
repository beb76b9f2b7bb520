r"""Several teachers of the same rows: what their votes cost as label noise.

K teachers are alike: scores of one deviation τ, any two of the overlap r. However their answers are used, a student
learns their mean w̄, whose score has the variance τ²R, R = 1/K + (1 - 1/K) r; the ways differ in their noise h over the
squared gain times that variance. The sign of the mean score is a sign label, h = π/2 - 1.
"""

from sympy import acos, asin, pi

from modelcollapse.theory.formulas import Formula
from modelcollapse.theory.symbols import symbols

K, r = symbols("teachers", "teacher_overlap")
alike = 1 / K + (1 - 1 / K) * r

FORMULAS = (
    Formula(
        name="vote_share_noise_ratio",
        title="Noise-to-signal ratio of the share of votes of K teachers alike",
        left="h",
        expression=pi / 2 * (1 / K + (1 - 1 / K) * 2 / pi * asin(r)) / alike - 1,
        arguments=("teachers", "teacher_overlap"),
        regime="exact",
        source="derived here",
        derivation="g = √(2/π)/τ, E y² = 1/K + (1 - 1/K)(2/π) arcsin r: two signs agree on average by that.",
        limits=(("teachers", 1, pi / 2 - 1 + 0 * r), ("teacher_overlap", 1, pi / 2 - 1 + 0 * K)),
    ),
    Formula(
        name="majority_noise_ratio",
        title="Noise-to-signal ratio of the majority of three teachers alike",
        left="h",
        expression=pi**3 / (2 * acos(r / (1 + r)) ** 2 * (3 + 6 * r)) - 1,
        arguments=("teacher_overlap",),
        regime="exact",
        source="derived here",
        derivation="g = √(2/π) K P/τ; P, the chance that the other two disagree given that this one is undecided, is "
        "arccos(r/(1+r))/π.",
        limits=(("teacher_overlap", 1, pi / 2 - 1 + 0 * r),),
    ),
    Formula(
        name="random_teacher_noise_ratio",
        title="Noise-to-signal ratio of labels of which each is the sign of a random teacher of K alike",
        left="h",
        expression=pi / (2 * alike) - 1,
        arguments=("teachers", "teacher_overlap"),
        regime="exact",
        source="derived here",
        derivation="g = √(2/π)/τ as for shares, E y² = 1.",
        limits=(("teachers", 1, pi / 2 - 1 + 0 * r), ("teacher_overlap", 1, pi / 2 - 1 + 0 * K)),
    ),
)
