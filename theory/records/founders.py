r"""Founders: the number of draws of the law that a sample at the end of a loop goes back to.

Trace draws back; those that copy the same item merge. B founders have seen what B draws of the law see, for every law:
P(symbol i unseen) = E(1-p_i)^B. Thrown at M items, b draws hit M(1-(1-1/M)^b) of them: one step of every loop. For M →
∞ and b = M g this is the survival of a Poisson branching process, g ← 1 - e^{-g}.

Real data with a share α, growth by a factor r, or a pool that is kept stop the loss; how much of each a share of the
modes costs is solved from the steps.
"""

from sympy import Eq, Float, Rational, exp, gamma, log, sqrt, zeta

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.records.stable import Expm1, GammaDrop, Log1m
from modelcollapse.theory.symbols import symbols

M, B, p, alpha, k, n = symbols("draws", "founders", "probability", "real_share", "rounds", "generations")
g, r, s, V, N, T = symbols("survival", "growth", "hits", "modes", "occurrences", "samples")
beta, keep, eps = symbols("tail_exponent", "kept_share", "mislabelled")
v, r_u, sm = symbols("founders_variance", "uniform_founders", "smoothing")
OWN = "derived here"
BALLS = "Balls in bins, one ball for each draw, one bin for each item that it may copy."
odds = keep / ((1 - keep) * (M - 1))
q, q_2 = (1 - 1 / M) ** B, (1 - 2 / M) ** B
thinning = 1 - v / B
c, unit = 1 - 1 / beta, zeta(beta) ** (-1 / beta)
many_more = unit * gamma(c) * (2 * B * gamma(2 * B) / gamma(c + 2 * B) - B * gamma(B) / gamma(c + B))
many_more_stable = unit * gamma(c) * (2 * B * exp(-GammaDrop(2 * B, c)) - B * exp(-GammaDrop(B, c)))

UNSURE = Condition(p < 1, "a certain symbol is always alive: lower probability")
MORE = Condition(keep > Rational(1, 1000), "so little is kept by almost no growth: raise kept_share")

FORMULAS = (
    Formula(
        name="occupancy_step",
        title="Items that b draws go back to, one generation of M items earlier",
        left="b'",
        expression=M * (1 - (1 - 1 / M) ** B),
        computed_as=-M * Expm1(B * log(1 - 1 / M)),
        arguments=("draws", "founders"),
        regime="exact",
        source=OWN,
        derivation=BALLS,
        limits=(("founders", 0, 0 * M), ("founders", 1, M / M)),
    ),
    Formula(
        name="occupancy_variance",
        title="Variance of the items that b draws go back to",
        left="o",
        expression=M * q + M * (M - 1) * q_2 - M**2 * q**2,
        arguments=("draws", "founders"),
        regime="exact",
        source=OWN,
        derivation="Two bins are both empty with chance (1-2/M)^b. With a variance v of b, v ← o + (db'/db)² v and b' "
        "gains v/2 times its second derivative.",
        conditions=(
            Condition(M > 2, "two bins need a third: raise draws"),
            Condition(B >= 1, "a draw goes back to one item: raise founders"),
        ),
    ),
    Formula(
        name="occupancy_slope",
        title="Items that one more draw goes back to",
        left="db'/db",
        expression=-M * q * log(1 - 1 / M),
        computed_as=-M * exp(B * Log1m(1 / M)) * Log1m(1 / M),
        arguments=("draws", "founders"),
        regime="exact",
        source=OWN,
        derivation="The slope of the occupancy step; its square carries a variance of b one generation on.",
    ),
    Formula(
        name="occupancy_gain",
        title="Change of the items that b draws go back to, if b has a variance v",
        left=r"\Delta b'",
        expression=-M * q * log(1 - 1 / M) ** 2 * v / 2,
        computed_as=-M * exp(B * Log1m(1 / M)) * Log1m(1 / M) ** 2 * v / 2,
        arguments=("draws", "founders", "founders_variance"),
        regime="scaling",
        source=OWN,
        derivation="To second order E f(B) = f(b) + f''(b) v/2. The package itself takes a binomial number of founders "
        "(unseen_by_variable_founders), which is right to the third factorial cumulant.",
        limits=(("founders_variance", 0, 0 * M),),
    ),
    Formula(
        name="mode_alive",
        title="Chance that a symbol of frequency p is among the symbols of B founders",
        left=r"P(\mathrm{alive})",
        expression=1 - (1 - p) ** B,
        computed_as=-Expm1(B * Log1m(p)),
        arguments=("probability", "founders"),
        regime="exact",
        source=OWN + "; Wright-Fisher and coalescent duality",
        derivation="Copying ignores content: founders are independent draws of the law.",
        conditions=(UNSURE,),
        limits=(("probability", 0, 0 * B),),
    ),
    Formula(
        name="unseen_by_variable_founders",
        title="Chance that a symbol is not among those of a number of founders with a mean and a variance",
        left=r"P(\mathrm{unseen})",
        expression=(1 - thinning * p) ** (B / thinning),
        computed_as=exp(B / thinning * Log1m(thinning * p)),
        arguments=("probability", "founders", "founders_variance"),
        regime="scaling",
        source=OWN,
        derivation="Exact for a binomial number B, for a fixed one (v = 0) and in the limit of Poisson's (v = b).",
        conditions=(UNSURE, Condition(v < B, "founders vary less than Poisson's number: lower founders_variance")),
        limits=(("founders_variance", 0, (1 - p) ** B),),
    ),
    Formula(
        name="zipf_modes_variance",
        title="Variance of the modes of a Zipf law that a variable number of founders has seen",
        left=r"\mathrm{Var}\, D",
        expression=many_more - (B - v) * (unit / beta * gamma(c) * gamma(B + 1) / gamma(c + B + 1)) ** 2,
        computed_as=many_more_stable - (B - v) * (unit / beta * gamma(c) * exp(-GammaDrop(B + 1, c))) ** 2,
        arguments=("tail_exponent", "founders", "founders_variance"),
        regime="scaling",
        source=OWN,
        derivation="D(2b) - D(b) if founders were Poisson's, less b U² for a fixed number, and v U² for its variance.",
        conditions=(Condition(v < B, "founders vary less than Poisson's number: lower founders_variance"),),
    ),
    Formula(
        name="mixture_step",
        title="Founders that are not real, one generation earlier, if a share of the draws is real",
        left="b'",
        expression=M * (1 - (1 - 1 / M) ** ((1 - alpha) * B)),
        computed_as=-M * Expm1((1 - alpha) * B * log(1 - 1 / M)),
        arguments=("draws", "founders", "real_share"),
        regime="exact",
        source=OWN,
        derivation=BALLS + " The other α b draws end in real data.",
        limits=(("real_share", 1, 0 * M),),
    ),
    Formula(
        name="mixture_founders_few",
        title="Founders per draw that a small share of real data keeps for ever",
        left=r"R(\alpha)",
        expression=2 * alpha * log(1 + 1 / (2 * alpha)),
        arguments=("real_share",),
        regime="scaling",
        source="Ewens 1972, with θ = 2αM",
        derivation="Lineages end at rate α or merge in pairs at rate 1/M: Σ_{i<M} θ/(θ+i). Low by 2 % at α = 0.001, by "
        "10 % at 0.1.",
        conditions=(Condition(alpha > 0, "without real data nothing is kept: raise real_share"),),
    ),
    Formula(
        name="founders_many_generations",
        title="Founders of T draws after k generations, few of the M of a generation",
        left="B",
        expression=1 / (1 / T + k / (2 * M)),
        arguments=("samples", "rounds", "draws"),
        regime="scaling",
        source=OWN + "; Kingman 1982",
        derivation="Pairs merge with chance 1/M a generation: db/dk = -b²/(2M) for 1 ≪ b ≪ M.",
        limits=(("rounds", 0, T),),
    ),
    Formula(
        name="survival_many_generations",
        title="Survival of a Poisson branching process after k generations",
        left="g_k",
        expression=1 / (k / 2 + log(k) / 6 + Float("0.3991")),
        arguments=("rounds",),
        regime="scaling",
        source=OWN,
        derivation="1/g_{k+1} = 1/g_k + 1/2 + g_k/12 + …; the constant is measured. Off by 4 % at k = 2, 0.4 % at 10.",
        conditions=(Condition(k > 1, "the first generation is real, g = 1: raise rounds"),),
    ),
    Formula(
        name="growth_survival",
        title="The share of founders that survive for ever if each generation is r times as large",
        left="g",
        expression=Eq(g, 1 - exp(-r * g), evaluate=False),
        computed_as=Eq(g, -Expm1(-r * g), evaluate=False),
        arguments=("survival", "growth"),
        regime="scaling",
        source="Galton-Watson, supercritical; " + OWN,
        derivation="g = 1 + W(-r e^{-r})/r. SymPy 1.14 takes the wrong limit of that form at r = 1, where g → 0.",
    ),
    Formula(
        name="growth_rate",
        title="The growth that keeps a share of the modes of a Zipf law for ever",
        left="r",
        expression=-log(1 - keep**beta) / keep**beta,
        computed_as=-Log1m(keep**beta) / keep**beta,
        arguments=("kept_share", "tail_exponent"),
        conditions=(MORE,),
        regime="scaling",
        source=OWN,
        derivation="Modes are kept as B^{1/β}, so that g = ϑ^β is to survive; solve g = 1 - e^{-rg} for r.",
    ),
    Formula(
        name="pool_step",
        title="Draws per item of a pool, one round earlier, k rounds being left",
        left="s'",
        expression=s + (1 - exp(-s)) / k,
        computed_as=s - Expm1(-s) / k,
        arguments=("hits", "rounds"),
        regime="scaling",
        source=OWN,
        derivation="The newest round's items are hit with chance 1 - e^{-s}; each is a draw of the k rounds before.",
        conditions=(Condition(k >= 1, "the first round is drawn from the law: raise rounds"),),
    ),
    Formula(
        name="pool_founders",
        title="Founders of a sample that hits each item of the first round of a pool s times",
        left="B",
        expression=M * (1 - exp(-s)),
        computed_as=-M * Expm1(-s),
        arguments=("draws", "hits"),
        regime="scaling",
        source=OWN,
        derivation="The items of the first round that are hit at all. As many draws as a round has, of an old pool: "
        "0.5337 M, by the pool's steps.",
    ),
    Formula(
        name="smoothing_share",
        title="Share of uniform draws of a generator that adds s to the count of each of V symbols",
        left="w",
        expression=sm * V / (M + sm * V),
        arguments=("draws", "smoothing", "modes"),
        regime="exact",
        source=OWN,
        derivation="(N_i + s)/(M + sV) is the share 1-w of N_i/M and w of 1/V.",
        limits=(("smoothing", 0, 0 * M),),
    ),
    Formula(
        name="smoothed_mode_unseen",
        title="Chance that a symbol is unseen if lineages end in the law or in uniform draws",
        left=r"P(\mathrm{unseen})",
        expression=(1 - p) ** B * (1 - 1 / V) ** r_u,
        computed_as=exp(B * Log1m(p) + r_u * Log1m(1 / V)),
        arguments=("probability", "founders", "uniform_founders", "modes"),
        regime="exact",
        source=OWN,
        derivation="B lineages end in draws of the law, r in those that smoothing makes of nothing.",
        conditions=(UNSURE,),
        limits=(("uniform_founders", 0, (1 - p) ** B),),
    ),
    Formula(
        name="mislabelled_error",
        title="Error of a memoriser whose labels went through n noisy labellings",
        left="E",
        expression=1 - (1 - eps) ** n + (1 - eps) ** n * (1 - p) ** B,
        computed_as=exp(B * Log1m(p) + n * Log1m(eps)) - Expm1(n * Log1m(eps)),
        arguments=("mislabelled", "generations", "probability", "founders"),
        regime="exact",
        source=OWN,
        derivation="Right if the symbol is among those of the founders and no labelling was wrong.",
        conditions=(
            UNSURE,
            Condition(eps < 1, "then no label is right: lower mislabelled"),
            Condition(n >= 1, "labels are written once at least: raise generations"),
        ),
        limits=(("mislabelled", 0, (1 - p) ** B),),
    ),
    Formula(
        name="diversity_real_share",
        title="The real share that keeps a share of the Gini diversity for ever",
        left=r"\alpha",
        expression=1 - sqrt(1 - odds),
        computed_as=odds / (1 + sqrt(1 - odds)),
        arguments=("kept_share", "draws"),
        regime="exact",
        source=OWN,
        derivation="The diversity of a mixture at rest, solved for α: about ϑ/(2(1-ϑ)) real draws a generation.",
        conditions=(
            Condition(M > 1 + keep / (1 - keep), "fresh real data have less: raise draws or lower kept_share"),
        ),
        at={"draws": 100},
    ),
    Formula(
        name="zipf_half_survival",
        title="The survival at which a share of the modes of a Zipf law is left",
        left="g",
        expression=keep**beta,
        arguments=("kept_share", "tail_exponent"),
        regime="scaling",
        source=OWN,
        derivation="Modes are as B^{1/β}. Half of them: k = 3, 4, 5, 7, 15 generations at β = 1.05, 1.2, 1.5, 2, 3.",
    ),
    Formula(
        name="equal_modes_first_loss",
        title="Generations until the first of V equal modes is lost",
        left="k",
        expression=2 * M / (V * log(V / log(2))),
        arguments=("draws", "modes"),
        regime="scaling",
        source=OWN,
        derivation="V e^{-2M/(Vk)} = ln 2, the median of a Poisson number of losses.",
    ),
    Formula(
        name="equal_modes_half_loss",
        title="Generations until half of V equal modes are lost",
        left="k",
        expression=2 * M / (V * log(2)),
        arguments=("draws", "modes"),
        regime="scaling",
        source=OWN,
        derivation="e^{-2M/(Vk)} = 1/2, with the survival g = 2/k of many generations.",
    ),
    Formula(
        name="symbol_half_life",
        title="Generations until a symbol that occurred N times is lost with chance one half",
        left="k",
        expression=2 * N / log(2),
        arguments=("occurrences",),
        regime="scaling",
        source=OWN + "; a bound in Suresh, Thangaraj, Khandavally 2024 (arXiv 2412.17646)",
        derivation="e^{-N g} = 1/2 with g = 2/k.",
    ),
)
