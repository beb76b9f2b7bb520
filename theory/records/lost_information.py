r"""Information that a loop loses: entropy, total variation, the loss of a learner that smooths its counts.

The mean of every frequency is kept, so that the divergence to the truth is the entropy lost, H_0 - E H. For a Zipf law
it is a multiple ρ of the missing mass: ρ_1 after one generation, ρ after many.

ρ_1 = Σ_n [ln n - ψ(n) + ψ(n)] Γ(n-a)/(Γ(1-a) Γ(n)), a = 1/β, continued from a > 1: the counts N of generation 1 are
Poisson numbers, and Σ_i E (N_i ln N_i - M p_i ln M p_i) over ranks is that sum. ψ(n) and 1/(2n) are summed in closed
form, β/(β-1) and β/2; what is left converges.
"""

from sympy import (
    Derivative,
    Integral,
    Rational,
    Symbol,
    besseli,
    binomial,
    exp,
    floor,
    gamma,
    log,
    oo,
    pi,
    sqrt,
    zeta,
)

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.records.stable import BesselPair, Expm1, GammaDrop, Log1m, LogGapSum, RootFrequencies
from modelcollapse.theory.symbols import symbols

M, p, k, B, s = symbols("draws", "probability", "rounds", "founders", "smoothing")
beta, N_t, N_o = symbols("tail_exponent", "tokens", "occurrences")
H_0, h, S_2 = symbols("diversity", "entropy", "square_entropy")
OWN = "derived here"
families = 4 * M * p / k
c, Z, half = 1 - 1 / beta, zeta(beta), Rational(1, 2)
t = Symbol("t", positive=True)
shared = 1 - (1 - 1 / M) ** k
rare = Z ** (-1 / beta) / beta * (8 / shared) ** -c * gamma(half - c) * gamma(c) / (sqrt(pi) * gamma(2 - c))

shared_stable = -Expm1(k * Log1m(1 / M))
rare_stable = rare.subs(shared, shared_stable)

FORMULAS = (
    Formula(
        name="zipf_entropy",
        title="Entropy of a Zipf law",
        left="H_0",
        expression=log(Z) - beta * Derivative(Z, beta) / Z,
        arguments=("tail_exponent",),
        regime="exact",
        source="Σ p ln(1/p)",
    ),
    Formula(
        name="entropy_per_mass_first",
        title="Entropy lost per missing mass in one generation of many draws",
        left=r"\rho_1",
        expression=beta / (beta - 1) + beta / 2 + LogGapSum(1 / beta).plain(),
        computed_as=beta / (beta - 1) + beta / 2 + LogGapSum(1 / beta),
        arguments=("tail_exponent",),
        regime="scaling",
        source=OWN,
        derivation="β ∫ t^{-2} (t^{1/β} - (1-e^{-t})^{1/β}) dt as a series over Poisson counts: 6.68, 3.84, 3.10 and "
        "3.10 at β = 1.2, 1.5, 2, 3.",
        conditions=(Condition(beta < 20, "then one symbol is nearly all: lower tail_exponent"),),
    ),
    Formula(
        name="entropy_per_mass",
        title="Entropy lost per missing mass after many generations",
        left=r"\rho",
        expression=beta**2 / (beta - 1),
        arguments=("tail_exponent",),
        regime="scaling",
        source=OWN,
        derivation="H_0 - H = Σ_m (new modes)/m, founders 1/(1/m + k/2M): β ∫ t^{-2} (t^{1/β} - (t/(1+t))^{1/β}) dt.",
    ),
    Formula(
        name="absolute_deviation",
        title="Mean absolute deviation of a binomial number",
        left=r"E|N - Mp|",
        expression=2
        * (floor(M * p) + 1)
        * binomial(M, floor(M * p) + 1)
        * p ** (floor(M * p) + 1)
        * (1 - p) ** (M - floor(M * p)),
        arguments=("draws", "probability"),
        regime="exact",
        source="de Moivre 1730",
        derivation="Half the sum over symbols, divided by M, is the total variation of generation 1.",
        conditions=(Condition(p < 1, "a certain event has no deviation: lower probability"),),
    ),
    Formula(
        name="rare_deviation",
        title="Mean absolute deviation of the frequency of a rare symbol after k generations",
        left=r"E|X_k - p|",
        expression=2 * p * exp(-families) * (besseli(0, families) + besseli(1, families)),
        computed_as=2 * p * BesselPair(families),
        arguments=("draws", "probability", "rounds"),
        regime="scaling",
        source=OWN,
        derivation="A Poisson number of families, 2Mp/k in the mean, each exponential (Feller's limit of branching). "
        "Half the sum over symbols is the total variation.",
        conditions=(Condition(k >= 1, "count the real generation as the first: raise rounds"),),
    ),
    Formula(
        name="zipf_total_variation",
        title="Total variation between a Zipf law and generation k of a loop that replaces",
        left=r"E\,\mathrm{TV}",
        expression=rare + sqrt(shared / (2 * pi)) * RootFrequencies(beta).plain(),
        computed_as=rare_stable + sqrt(shared_stable / (2 * pi)) * RootFrequencies(beta),
        arguments=("tail_exponent", "draws", "rounds"),
        regime="scaling",
        source=OWN + "; the exponent min(c, 1/2) in Dohmatob et al. 2024 (arXiv 2402.07043)",
        derivation="Half the deviation of rare symbols (Feller's limit) over ranks, and of common ones (normal), k ≪ "
        "M; both poles of Mellin's transform count. Low by 4 % at k = 1, by 1 to 2 % later. Beyond β = 2 it holds too; "
        "at 2 both terms have a pole, and the mean of β ± 0.01 is right.",
        conditions=(
            Condition(beta < Rational(39, 20), "both terms have a pole at 2, and cancel: lower tail_exponent"),
            Condition(k >= 1, "count the real generation as the first: raise rounds"),
        ),
        at={"draws": 1000},
    ),
    Formula(
        name="expected_log_count",
        title="Mean logarithm of a binomial count to which s is added",
        left=r"E \ln(N + s)",
        expression=Integral((exp(-t) - exp(-s * t) * (1 - p * (1 - exp(-t))) ** M) / t, (t, 0, oo)),
        arguments=("draws", "probability", "smoothing"),
        regime="exact",
        source=OWN,
        derivation="ln x = ∫ (e^{-t} - e^{-xt}) dt/t. A smoothing learner has the loss ln(M + sV) - Σ p E ln(N + s). "
        "Over generations (1-pz)^M gives way to the missing mass of draws thinned by z = 1 - e^{-t}.",
    ),
    Formula(
        name="rarefied_alive",
        title="Chance that a symbol of N occurrences is in a part of b tokens of its sample",
        left=r"P(\mathrm{alive})",
        expression=1 - binomial(N_t - N_o, B) / binomial(N_t, B),
        computed_as=-Expm1(GammaDrop(N_t - N_o - B + 1, B) - GammaDrop(N_t - B + 1, B)),
        arguments=("tokens", "occurrences", "founders"),
        regime="exact",
        source="Rarefaction (hypergeometric counts)",
        derivation="Summed over symbols, D(b) without bias and without a law. Its step from N_t - 1 to N_t is Good "
        "and Turing's singletons over tokens.",
        conditions=(
            Condition(N_o < N_t, "the sample has other symbols too: raise tokens"),
            Condition(B <= N_t - N_o, "more tokens than that hold the symbol for sure: lower founders"),
        ),
    ),
    Formula(
        name="temperature_for_diversity",
        title="The temperature, less 1, that gives back the Gini diversity lost in one generation",
        left=r"\tau - 1",
        expression=H_0 / (2 * M * ((1 - H_0) * h - S_2)),
        arguments=("diversity", "draws", "entropy", "square_entropy"),
        regime="scaling",
        source=OWN,
        derivation="dF/dτ = -2(F h_0 - S_2) at τ = 1 against the gain (1-F)/M of F = 1 - H_0.",
        conditions=(Condition(S_2 < (1 - H_0) * h, "a law has S_2 ≤ F h_0: lower square_entropy or raise entropy"),),
    ),
)
