r"""Rare events of a Zipf law: what T draws miss, and what a generator that cut, narrowed or forgot the tail costs.

Symbol i has the frequency p_i = i^{-β}/Z, Z = ζ(β), and c = 1 - 1/β. A learner who is right on exactly what it has seen
has the missing mass U(T) = Σ p_i (1-p_i)^T as its error; D(T) = Σ [1 - (1-p_i)^T] modes were seen. Euler and Maclaurin
turn both into Beta functions up to exp(-const T^{1/(1+β)}), with no power corrections.

A generator cut at rank k has the floor of what it dropped; with a share π of real samples the error stands on it from
T_× to T_×/π. One that draws with β' > β has c' = (β-1)/β' for c.
"""

from sympy import Rational, betainc, exp, gamma, lowergamma, uppergamma, zeta

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.records.stable import BetaAbove, GammaDrop
from modelcollapse.theory.symbols import symbols

T, T_0, B = symbols("samples", "generator_samples", "founders")
beta, narrow = symbols("tail_exponent", "generator_exponent")
(tau,) = symbols("temper")
k_c, P, pi_r, n = symbols("kept_modes", "kept_mass", "real_part", "generations")
OWN = "derived here"
HUTTER = "Hutter 2021 (arXiv 2102.04074), the leading term; the rest derived here"
TALE = "derived here; orders in Dohmatob, Feng, Yang, Charton, Kempe 2024 (arXiv 2402.07043)"
MELLIN = "Σ_i f(i) = ∫ f + corrections at both ends; all powers of T cancel (Mellin transform)."
NARROWED = Condition(
    narrow > beta + Rational(1, 10), "nearer to the truth both hardly differ: raise generator_exponent"
)
REAL = Condition(pi_r > Rational(1, 1000), "fewer real samples never catch up within reach: raise real_part")

c, c_n = 1 - 1 / beta, (beta - 1) / narrow
Z = zeta(beta)
unit = Z ** (-1 / beta)
first = unit * gamma(c) / beta
first_narrowed = zeta(narrow) ** c_n * gamma(c_n) / (narrow * Z)
last = (k_c + Rational(1, 2)) ** -beta / Z
floor = k_c ** (1 - beta) / ((beta - 1) * Z)

FORMULAS = (
    Formula(
        name="zipf_missing_mass",
        title="Missing mass after T draws of a Zipf law",
        left="U(T)",
        expression=unit / beta * gamma(c) * gamma(T + 1) / gamma(c + T + 1),
        computed_as=unit / beta * gamma(c) * exp(-GammaDrop(T + 1, c)),
        arguments=("tail_exponent", "samples"),
        regime="scaling",
        source=HUTTER,
        derivation=MELLIN,
    ),
    Formula(
        name="zipf_modes",
        title="Modes seen in T draws of a Zipf law",
        left="D(T)",
        expression=unit * T * gamma(c) * gamma(T) / gamma(c + T) - Rational(1, 2),
        computed_as=unit * T * gamma(c) * exp(-GammaDrop(T, c)) - Rational(1, 2),
        arguments=("tail_exponent", "samples"),
        regime="scaling",
        source=OWN,
        derivation=MELLIN + " The half is ζ(0).",
    ),
    Formula(
        name="zipf_missing_mass_many",
        title="Missing mass after many draws of a Zipf law",
        left="U(T)",
        expression=first * T**-c,
        arguments=("tail_exponent", "samples"),
        regime="scaling",
        source="Hutter 2021 (arXiv 2102.04074)",
    ),
    Formula(
        name="zipf_modes_many",
        title="Modes seen in many draws of a Zipf law",
        left="D(T)",
        expression=unit * gamma(c) * T ** (1 / beta),
        arguments=("tail_exponent", "samples"),
        regime="scaling",
        source="Karlin 1967",
    ),
    Formula(
        name="cut_missing_mass",
        title="Missing mass after T draws of a Zipf law that is cut at rank k",
        left="U(T)",
        expression=unit / beta * P**c * betainc(c, T + 1, last / P, 1) + zeta(beta, k_c + 1) / Z,
        computed_as=unit / beta * P**c * BetaAbove(c, T + 1, last / P) + zeta(beta, k_c + 1) / Z,
        arguments=("tail_exponent", "samples", "kept_modes", "kept_mass"),
        regime="scaling",
        source=TALE,
        derivation="The kept symbols are drawn with p_i/P; their sum is an integral cut at k + 1/2. P = 1: a learner "
        "that can store k symbols only.",
        conditions=(Condition(P > last, "the kept symbols hold more than one of them: raise kept_mass"),),
    ),
    Formula(
        name="cut_floor",
        title="The mass that a cut at rank k drops",
        left=r"U_\infty",
        expression=floor,
        arguments=("tail_exponent", "kept_modes"),
        regime="scaling",
        source=TALE,
        derivation="ζ(β, k+1)/Z for k ≫ 1.",
    ),
    Formula(
        name="cut_crossing",
        title="The samples at which learning meets the floor of a cut generator",
        left=r"T_\times",
        expression=gamma(1 + c) ** (1 / c) * Z * k_c**beta,
        arguments=("tail_exponent", "kept_modes"),
        regime="scaling",
        source=TALE,
        derivation="The leading missing mass equals the floor. The error is 1.04 to 1.26 times the floor there, not "
        "twice: the sum of both is an order, not a value.",
    ),
    Formula(
        name="nucleus_size",
        title="The modes that hold the mass P (top-p)",
        left="k",
        expression=((1 - P) * (beta - 1) * Z) ** (1 / (1 - beta)),
        arguments=("tail_exponent", "kept_mass"),
        regime="scaling",
        source=OWN,
        derivation="The floor of a cut at k is 1 - P.",
    ),
    Formula(
        name="nucleus_repeated",
        title="The mass kept by n cuts to the share P, one after the other",
        left="P_n",
        expression=P**n,
        arguments=("kept_mass", "generations"),
        regime="scaling",
        source=OWN,
        derivation="Each cut keeps P of what is left, or more: a mode is kept whole. It stops where one mode holds P.",
        limits=(("generations", 0, P**0),),
    ),
    Formula(
        name="plateau_error",
        title="Missing mass with a cut generator and a share of real samples",
        left="U(T)",
        expression=unit
        / beta
        * (
            ((pi_r + (1 - pi_r) / P) * T) ** -c * uppergamma(c, (pi_r + (1 - pi_r) / P) * T * last)
            + (pi_r * T) ** -c * lowergamma(c, pi_r * T * last)
        ),
        arguments=("tail_exponent", "samples", "kept_modes", "kept_mass", "real_part"),
        regime="scaling",
        source=TALE,
        derivation="Kept symbols are drawn with (π + (1-π)/P) p_i, the others with π p_i; (1-p)^T = e^{-pT}, the sum "
        "over ranks an integral cut at k + 1/2.",
        conditions=(
            Condition(P > Rational(1, 1000), "a generator that keeps next to nothing has no plateau: raise kept_mass"),
            Condition(pi_r > Rational(1, 10**8), "without real samples the plateau has no end: raise real_part"),
        ),
    ),
    Formula(
        name="narrowed_missing_mass",
        title="Missing mass when a Zipf law is drawn with another exponent",
        left="U(T)",
        expression=zeta(narrow) ** c_n / (narrow * Z) * gamma(c_n) * gamma(T + 1) / gamma(c_n + T + 1),
        computed_as=zeta(narrow) ** c_n / (narrow * Z) * gamma(c_n) * exp(-GammaDrop(T + 1, c_n)),
        arguments=("tail_exponent", "generator_exponent", "samples"),
        regime="scaling",
        source=TALE,
        derivation=MELLIN + " A temperature τ is the exponent β/τ.",
    ),
    Formula(
        name="tempered_exponent",
        title="The exponent of a Zipf law after n temperatures, one after the other",
        left=r"\beta'",
        expression=beta / tau**n,
        arguments=("tail_exponent", "temper", "generations"),
        regime="exact",
        source=OWN,
        derivation="p^{1/τ} of i^{-β}, normalised. β/τ in place of β': τ = β'/β undoes a narrowed generator.",
        conditions=(
            Condition(n >= 1, "one temperature at least: raise generations"),
            Condition(tau < beta ** (1 / n), "hotter laws cannot be summed: lower temper"),
        ),
        at={"temper": Rational(21, 20)},
    ),
    Formula(
        name="narrowed_crossing",
        title="The samples from which real ones beat those of a narrowed generator",
        left="T",
        expression=(first * pi_r**-c * (1 - pi_r) ** c_n / first_narrowed) ** (1 / (c - c_n)),
        arguments=("tail_exponent", "generator_exponent", "real_part"),
        regime="scaling",
        source=OWN,
        derivation="The leading errors of π T real and of (1-π) T generated samples are equal.",
        conditions=(NARROWED, REAL),
    ),
    Formula(
        name="finite_generator_founders",
        title="Founders of T samples, a share real, the others of a generator with T_0 samples of its own",
        left="B",
        expression=pi_r * T + T_0 * (1 - (1 - 1 / T_0) ** ((1 - pi_r) * T)),
        arguments=("samples", "generator_samples", "real_part"),
        regime="exact",
        source=OWN,
        derivation="Balls in bins. The error U(B) stands at U(T_0) from T_0 to T_0/π samples.",
        conditions=(Condition(T_0 > 1, "a generator learns from more than one sample: raise generator_samples"),),
    ),
)
