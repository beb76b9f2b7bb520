"""Rare events, modes and text: what a loop forgets, counted exactly.

    import modelcollapse as mc
    law = mc.modes.zipf(1.5)
    loop = mc.modes.replace(law, generations=[1, 2, 5, 10], samples=1000)
    loop.alive, loop.missing_mass(1000), loop.divergence

Laws: `zipf`, `frequencies`, and from a real sample `counts` and `ngrams`. Loops: `replace`, `mix`, `accumulate`,
`grow`, and any other by `graph`. Answers: `half_life`, `real_share_for`, `growth_for`, `plateau`. The theory in one
sentence: draws that copy the same item merge when they are traced back, and what is left is a number of founders,
independent draws of the law, whatever the law is.

>>> law = zipf(1.5)
>>> loop = replace(law, generations=[1, 2, 5, 10], samples=1000)
>>> loop.alive.round(1), bool((abs(loop.alive / law.modes(loop.founders) - 1) < 0.01).all())
(array([140.7, 103.6,  64.5,  43.3]), True)
"""

from modelcollapse.numerics.modes.answers import growth_for, half_life, plateau, real_share_for
from modelcollapse.theory.modes.laws import Law, frequencies, zipf
from modelcollapse.theory.modes.loops import Loop, accumulate, graph, grow, mix, replace
from modelcollapse.theory.modes.samples import counts, ngrams

__all__ = [
    "Law",
    "Loop",
    "accumulate",
    "counts",
    "frequencies",
    "graph",
    "grow",
    "growth_for",
    "half_life",
    "mix",
    "ngrams",
    "plateau",
    "real_share_for",
    "replace",
    "zipf",
]
