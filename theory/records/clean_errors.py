r"""The test error of ridge regression on clean data, and of one fit on labels of any random model.

With p_j = s_j/(s_j+κ) a fit maps the moments of its label model, m_j = E w_j and c_j = E w_j², to

    m_j ← p_j m_j,     c_j ← p_j² c_j + v s_j/(s_j+κ)²,     v = [κ² Σ_i c_i s_i/(s_i+κ)² + σ²]/(T - df_2(κ)),

and its test error against the truth is Σ_j s_j (c_j - 2 m_j w_0j + w_0j²). Only w_0j² is known: the mean is
given as μ_j = m_j/w_0j. For clean labels, c_j = w_0j² and μ_j = 1, this is E_clean.
"""

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.records.effective_ridges import isotropic, isotropic_stable
from modelcollapse.theory.records.sums import RESOLVED, T, df_2, j, kappa, missed, s, total
from modelcollapse.theory.symbols import symbols

sigma, theta, rho2, d, lam = symbols("noise", "signal", "signal_energy", "dimension", "ridge")
c, mu = symbols("label_energy", "label_alignment")

clean = (missed(theta) + sigma**2 * df_2 / T) / (1 - df_2 / T)
noise_level = (missed(c) + sigma**2) / (T - df_2)
p = s[j] / (s[j] + kappa)


def isotropic_clean(k):
    """E_clean for Σ = I at effective ridge k."""
    return (k**2 * rho2 + sigma**2 * d / T) / ((1 + k) ** 2 - d / T)


def isotropic_clean_stable(k):
    """The same with 1 - d/T formed before κ is added."""
    return (k**2 * rho2 + sigma**2 * d / T) / ((T - d) / T + k * (2 + k))


FORMULAS = (
    Formula(
        name="clean_error",
        title="Test error on clean data",
        left=r"E_{\mathrm{clean}}",
        expression=clean,
        arguments=("effective_ridge", "samples", "noise", "eigenvalues", "signal"),
        regime="proportional limit",
        source="Dohmatob, Feng, Kempe 2024 (arXiv 2402.07712); Cui et al., NeurIPS 2021",
        conditions=(RESOLVED,),
        limits=(("effective_ridge", 0, sigma**2 * (d / T) / (1 - d / T)),),
    ),
    Formula(
        name="clean_error_isotropic",
        title="Test error on clean data, isotropic inputs",
        left=r"E_{\mathrm{clean}}",
        expression=isotropic_clean(isotropic(lam, d / T - 1)),
        computed_as=isotropic_clean_stable(isotropic_stable(lam, (d - T) / T)),
        arguments=("ridge", "samples", "dimension", "noise", "signal_energy"),
        regime="proportional limit",
        source="Dohmatob, Feng, Kempe 2024 (arXiv 2402.07712)",
        derivation="The clean error with df_2 = d/(1+κ)² and the isotropic effective ridge put in.",
        limits=(("ridge", 0, sigma**2 * d / (T - d)),),
    ),
    Formula(
        name="clean_error_isotropic_kappa",
        title="Test error on clean data, isotropic inputs, in terms of the effective ridge",
        left=r"E_{\mathrm{clean}}",
        expression=isotropic_clean(kappa),
        computed_as=isotropic_clean_stable(kappa),
        arguments=("effective_ridge", "samples", "dimension", "noise", "signal_energy"),
        regime="proportional limit",
        source="Dohmatob, Feng, Kempe 2024 (arXiv 2402.07712)",
        conditions=(Condition(T > d / (1 + kappa), RESOLVED.sentence),),
        limits=(("effective_ridge", 0, sigma**2 * d / (T - d)),),
    ),
    Formula(
        name="generation_noise_level",
        title="What one fit on random labels adds to the second moments",
        left="v",
        expression=noise_level,
        arguments=("effective_ridge", "samples", "noise", "eigenvalues", "label_energy"),
        regime="proportional limit",
        source="derived here",
        derivation="v T is the out-of-sample mean squared error of the fit on its own noisy labels, what generalised "
        "cross-validation estimates: E|y - xŵ|² = [κ² Σ c s/(s+κ)² + σ²]/(1 - df_2/T).",
        conditions=(RESOLVED,),
    ),
    Formula(
        name="generation_error",
        title="Test error of one fit on labels of a random model",
        left=r"E_{\mathrm{test}}",
        expression=total(s[j] * (p**2 * c[j] - 2 * p * mu[j] * theta[j] + theta[j])) + noise_level * df_2,
        arguments=("effective_ridge", "samples", "noise", "eigenvalues", "signal", "label_energy", "label_alignment"),
        regime="proportional limit",
        source="derived here",
        derivation="Σ s (c' - 2 m' w_0 + w_0²) after the map above; Σ_j s_j · v s_j/(s_j+κ)² = v df_2.",
        conditions=(RESOLVED,),
    ),
)
