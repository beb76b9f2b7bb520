"""The sums over eigenvalues that the formulas share, as finite symbolic sums over j = 1..d.

df_q(κ) = Σ_j (s_j/(s_j+κ))^q        bias(w) = κ² Σ_j s_j w_j/(s_j+κ)²
"""

from sympy import Sum

from modelcollapse.theory.formulas import Condition
from modelcollapse.theory.symbols import index, length, symbols

s, kappa, T, m = symbols("eigenvalues", "effective_ridge", "samples", "features")
j, d = index("j"), length("d")


def total(term):
    """Σ_{j=1}^d term."""
    return Sum(term, (j, 1, d))


def degrees(order):
    """df_q(κ)."""
    return total((s[j] / (s[j] + kappa)) ** order)


df_1, df_2 = degrees(1), degrees(2)


def missed(energy):
    """κ² Σ_j s_j energy_j/(s_j+κ)²: what the first-order shrinkage leaves of a signal."""
    return kappa**2 * total(s[j] * energy[j] / (s[j] + kappa) ** 2)


RESOLVED = Condition(
    T > df_1,
    "the ridge is not negative only for more samples than degrees of freedom: raise samples or effective_ridge",
)
