"""Routes of what a loop loses, and of founders with a spread: plain sums, binomial sums, small displacements."""

import mpmath
import numpy as np
from formula_route import route
from formula_routes_rare import COUNT, HEAD, LAST, at, symbols_and_counts, tail
from mpmath import mpf
from scipy.special import ive
from scipy.special import zeta as hurwitz

# ---- founders: their spread, pools, smoothing


@route("occupancy_slope", points=at((7, 1), (12, 5), (30, 40), (50, 21), names=("draws", "founders")))
def _(draws, founders):
    return mpmath.diff(lambda b: -draws * mpmath.power((draws - 1) / draws, b), founders)


@route("occupancy_gain", tolerance=1e-4,
       points=at((100, 5, 1.0), (300, 40, 9.0), (500, 600, 20.0),
                 names=("draws", "founders", "founders_variance")))  # fmt: skip
def _(draws, founders, founders_variance):
    """A number that is one deviation above or below its mean, by turns."""
    low, middle, high = (draws - draws * mpmath.power(1 - 1 / draws, founders + side * mpmath.sqrt(founders_variance))
                         for side in (-1, 0, 1))  # fmt: skip
    return (low + high) / 2 - middle


def _binomial_founders():
    for thrown, kept, p in ((5, 0.5, 0.2), (30, 0.25, 0.01), (12, 0.75, 0.4)):
        yield {"founders": thrown * kept, "founders_variance": thrown * kept * (1 - kept), "probability": p}


@route("unseen_by_variable_founders", points=tuple(_binomial_founders()))
def _(probability, founders, founders_variance):
    """Of a binomial number, term by term."""
    kept = 1 - founders_variance / founders
    thrown = int(mpmath.nint(founders / kept))
    return mpmath.fsum(
        mpmath.binomial(thrown, j) * kept**j * (1 - kept) ** (thrown - j) * (1 - probability) ** j
        for j in range(thrown + 1)
    )


@route("zipf_modes_variance", tolerance=2e-3,
       points=at((2.0, 400, 200.0), (2.5, 600, 300.0), (2.2, 900, 500.0),
                 names=("tail_exponent", "founders", "founders_variance")))  # fmt: skip
def _(tail_exponent, founders, founders_variance):
    """All pairs of symbols for two fixed numbers of founders, and how far apart their modes are."""
    symbols, count = symbols_and_counts(each=500)
    p = symbols ** -float(tail_exponent) / float(hurwitz(float(tail_exponent)))
    means, spreads = [], []
    for side in (-1, 1):
        b = float(founders + side * mpmath.sqrt(founders_variance))
        unseen = np.exp(b * np.log1p(-p))
        pairs = np.exp(b * np.log1p(-np.minimum(p[:, None] + p, 1 - 1e-16))) - unseen[:, None] * unseen
        spreads.append(count @ pairs @ count + count @ (unseen * (1 - unseen) - np.diag(pairs)))
        means.append(count @ -np.expm1(b * np.log1p(-p)))
    return mpf(np.mean(spreads) + np.var(means))


@route("pool_founders")
def _(draws, hits):
    """The chance to be hit at all, term by term of Poisson's law."""
    return draws * mpmath.exp(-hits) * mpmath.nsum(lambda i: hits**i / mpmath.factorial(i), [1, mpmath.inf])


@route("smoothing_share")
def _(draws, smoothing, modes):
    """One minus the weight that the counts keep, once every symbol has more."""
    return 1 - 1 / (1 + modes * smoothing / draws)


@route("smoothed_mode_unseen", points=at((0.2, 4, 3, 8), (0.05, 9, 1, 30), (0.5, 2, 6, 3),
                                         names=("probability", "founders", "uniform_founders", "modes")))  # fmt: skip
def _(probability, founders, uniform_founders, modes):
    """Draw by draw of both kinds."""
    alive = mpf(0)
    for chance, draws in ((probability, founders), (1 / modes, uniform_founders)):
        for _ in range(int(draws)):
            alive += (1 - alive) * chance
    return 1 - alive


# ---- the tail at the source


@route("cut_missing_mass", tolerance=1e-5,
       points=at((1.2, 3e3, 100, 0.9), (1.5, 300, 200, 0.5), (2.0, 1e5, 150, 0.995), (2.5, 2e4, 100, 0.9999),
                 names=("tail_exponent", "samples", "kept_modes", "kept_mass")))  # fmt: skip
def _(tail_exponent, samples, kept_modes, kept_mass):
    beta, samples, cut, kept = map(float, (tail_exponent, samples, kept_modes, kept_mass))
    q = HEAD[: int(cut)] ** -beta / float(hurwitz(beta))
    return mpf(np.sum(q * np.exp(samples * np.log1p(-np.minimum(q / kept, 1 - 1e-16)))) + 1 - np.sum(
        HEAD[: int(cut)] ** -beta) / float(hurwitz(beta)))  # fmt: skip


@route("tempered_exponent", ranges={"generations": (1, 6)})
def _(tail_exponent, temper, generations):
    """Temper the frequencies of the first two symbols one temperature after the other."""
    ratio = mpf(2) ** tail_exponent
    for _ in range(int(generations)):
        ratio = ratio ** (1 / temper)
    return mpmath.log(ratio) / mpmath.log(2)


# ---- entropy, total variation, loss


@route("zipf_entropy", tolerance=1e-8, points=at((1.5,), (1.8,), (2.0,), (2.5,), names=("tail_exponent",)))
def _(tail_exponent):
    """Two million symbols and ∫ p ln(1/p) beyond them."""
    beta = float(tail_exponent)
    scale = float(hurwitz(beta))
    head = COUNT @ (HEAD**-beta / scale * (beta * np.log(HEAD) + np.log(scale)))
    beyond = LAST ** (1 - beta) / (beta - 1) / scale
    return mpf(head + beyond * (beta * np.log(LAST) + beta / (beta - 1) + np.log(scale)))


@route("entropy_per_mass_first", tolerance=1e-9, count=3, ranges={"tail_exponent": (1.3, 3.0)})
def _(tail_exponent):
    """β ∫ t^-2 (t^a - (1-e^-t)^a) dt, a = 1/β, by quadrature in log t."""
    a = 1 / tail_exponent
    return tail_exponent * _over_log(lambda t: t ** (a - 1) * -mpmath.expm1(a * mpmath.log(-mpmath.expm1(-t) / t)))


def _over_log(f):
    """∫ f(t) d log t by equal steps: they leave e^{-π²/0.4}, and the ends less."""
    with mpmath.workdps(60):
        return mpf("0.4") * mpmath.fsum(f(mpmath.exp(mpf("0.4") * i)) for i in range(-200, 300))


@route("zipf_total_variation", tolerance=2e-5,
       points=at((1.3, 1e6, 3), (1.5, 1e6, 10), (1.8, 1e6, 2), names=("tail_exponent", "draws", "rounds")))  # fmt: skip
def _(tail_exponent, draws, rounds):
    """Symbol by symbol: families of exponential sizes, with the symbol's own variance."""
    beta, draws, rounds = map(float, (tail_exponent, draws, rounds))
    p, shared = HEAD**-beta / float(hurwitz(beta)), -np.expm1(rounds * np.log1p(-1 / draws))
    rate = 4 * p / (1 - p) / shared
    beyond = tail(beta) / float(hurwitz(beta)) - 2 * tail(2 * beta) / float(hurwitz(beta)) ** 2 / shared
    return mpf(COUNT @ (p * (ive(0, rate) + ive(1, rate))) + beyond)


@route("expected_log_count", points=at((10, 0.3, 0.1), (25, 0.02, 1.0), (40, 0.5, 0.01),
                                       names=("draws", "probability", "smoothing")))  # fmt: skip
def _(draws, probability, smoothing):
    return mpmath.fsum(
        mpmath.binomial(draws, n) * probability**n * (1 - probability) ** (draws - n) * mpmath.log(n + smoothing)
        for n in range(int(draws) + 1)
    )


@route("rarefied_alive", points=at((200, 10, 40), (30, 3, 5), (50, 1, 49), (9, 4, 2),
                                   names=("tokens", "occurrences", "founders")))  # fmt: skip
def _(tokens, occurrences, founders):
    """Token by token: none of the symbol's is in the part."""
    return 1 - mpmath.fprod(1 - founders / (tokens - j) for j in range(int(occurrences)))


@route("entropy_per_mass", tolerance=1e-9, count=4, ranges={"tail_exponent": (1.3, 3.0)})
def _(tail_exponent):
    a = 1 / tail_exponent
    return tail_exponent * _over_log(lambda t: t ** (a - 1) * -mpmath.expm1(-a * mpmath.log1p(t)))


@route("absolute_deviation", points=at((10, 0.23), (25, 0.5), (7, 0.9), (30, 0.011), names=("draws", "probability")))
def _(draws, probability):
    numbers = range(int(draws) + 1)
    return mpmath.fsum(
        mpmath.binomial(draws, n) * probability**n * (1 - probability) ** (draws - n) * abs(n - draws * probability)
        for n in numbers
    )


@route("rare_deviation", points=at((100, 0.02, 3), (1000, 0.0004, 9), (50, 0.3, 7), (400, 0.01, 2),
                                    names=("draws", "probability", "rounds")))  # fmt: skip
def _(draws, probability, rounds):
    """Family by family: E|Gamma(n)/a - p| of n exponential families at the rate a = 2M/k, over Poisson's law of n."""
    a = 2 * draws / rounds
    mean = a * probability

    def apart(n):
        """E|G - mean| of a Gamma(n) number, from E (mean - G)+ by incomplete gammas."""
        below = mpmath.gammainc(n, 0, mean, regularized=True)
        more = mpmath.gammainc(n + 1, 0, mean, regularized=True)
        return n - mean + 2 * (mean * below - n * more)

    terms = [mpmath.exp(-mean) * mean]
    for n in range(1, int(mean + 20 * mpmath.sqrt(mean) + 60)):
        terms.append(mpmath.exp(-mean + n * mpmath.log(mean) - mpmath.loggamma(n + 1)) * apart(n))
    return mpmath.fsum(terms) / a


def _tempered_points():
    for p in ([0.5, 0.3, 0.2], [0.7, 0.1, 0.1, 0.1], [0.4, 0.35, 0.2, 0.05]):
        p = np.array(p)
        squares, entropy = float(-np.sum(p**2 * np.log(p))), float(-np.sum(p * np.log(p)))
        yield {"diversity": float(1 - np.sum(p**2)), "draws": 10**6, "entropy": entropy, "square_entropy": squares}


@route("temperature_for_diversity", points=tuple(_tempered_points()), tolerance=4e-5)
def _(diversity, draws, entropy, square_entropy):
    """Temper the law itself until one generation has the truth's diversity."""
    laws = {0.62: [0.5, 0.3, 0.2], 0.48: [0.7, 0.1, 0.1, 0.1], 0.675: [0.4, 0.35, 0.2, 0.05]}
    p = next(law for known, law in laws.items() if abs(known - diversity) < 1e-6)

    def gap(x):
        powers = [mpf(value) ** (1 / (1 + x)) for value in p]
        total = mpmath.fsum(powers)
        after = (1 - mpmath.fsum((value / total) ** 2 for value in powers)) * (1 - 1 / draws)
        return after - (1 - mpmath.fsum(mpf(value) ** 2 for value in p))

    return mpmath.findroot(gap, (mpf(0), mpf(1) / 100), solver="anderson", tol=1e-40)
