"""Routes of rare events and founders: plain sums over symbols, balls thrown one by one, recursions, roots."""

import mpmath
import numpy as np
from formula_route import route
from mpmath import mpf
from scipy.special import zeta as hurwitz

# ---- Zipf laws: sums over two million symbols, and their tail to second order. From 20,000 on a sum is its integral
# over log j, by Gauss's rule: that leaves 1e-10


def symbols_and_counts(each=20_000, last=2_000_000):
    """Numbers of symbols, and how many each stands for."""
    nodes, weights = np.polynomial.legendre.leggauss(64)
    low, high = np.log(each + 0.5), np.log(last + 0.5)
    beyond = np.exp((low + high + (high - low) * nodes) / 2)
    head = np.arange(1.0, each + 1)
    return np.concatenate([head, beyond]), np.concatenate([head**0, (high - low) / 2 * weights * beyond])


HEAD, COUNT = symbols_and_counts()
LAST = 2_000_000.5


def tail(exponent):
    return float(hurwitz(exponent, LAST + 0.5))


def zipf_sums(beta, drawn, samples):
    """(Σ q (1-p)^T, Σ 1 - (1-p)^T) for the truth q of exponent beta, drawn with another one."""
    beta, drawn, samples = float(beta), float(drawn), float(samples)
    truth, law = float(hurwitz(beta)), float(hurwitz(drawn))
    q, log = HEAD**-beta / truth, samples * np.log1p(-(HEAD**-drawn) / law)
    missing = COUNT @ (q * np.exp(log)) + tail(beta) / truth - samples * tail(beta + drawn) / truth / law
    pairs = samples * (samples - 1) / 2 * tail(2 * drawn) / law**2
    return missing, -(COUNT @ np.expm1(log)) + samples * tail(drawn) / law - pairs


def at(*rows, names):
    return tuple(dict(zip(names, row, strict=True)) for row in rows)


LAWS = at((1.2, 300), (1.5, 300), (1.5, 3000), (2.0, 1000), (2.5, 20_000), names=("tail_exponent", "samples"))
MANY = at((1.3, 1e5), (1.5, 3e5), (2.0, 1e6), (2.5, 1e6), names=("tail_exponent", "samples"))


@route("zipf_missing_mass", tolerance=1e-6, points=LAWS)
@route("zipf_missing_mass_many", tolerance=3e-5, points=MANY)
def _(tail_exponent, samples):
    return mpf(zipf_sums(tail_exponent, tail_exponent, samples)[0])


@route("zipf_modes", tolerance=1e-6, points=LAWS)
@route("zipf_modes_many", tolerance=2e-2, points=MANY)
def _(tail_exponent, samples):
    return mpf(zipf_sums(tail_exponent, tail_exponent, samples)[1])


@route("narrowed_missing_mass", tolerance=1e-6,
       points=at((1.3, 1.8, 1000), (1.5, 1.2, 1000), (2.0, 2.6, 3000), (2.5, 2.0, 500),
                  names=("tail_exponent", "generator_exponent", "samples")))  # fmt: skip
def _(tail_exponent, generator_exponent, samples):
    return mpf(zipf_sums(tail_exponent, generator_exponent, samples)[0])


CUTS = at((1.2, 1000), (1.5, 300), (2.0, 500), (3.0, 2000), names=("tail_exponent", "kept_modes"))


@route("cut_floor", tolerance=4e-3, points=CUTS)
def _(tail_exponent, kept_modes):
    return mpmath.zeta(tail_exponent, kept_modes + 1) / mpmath.zeta(tail_exponent)


def _leading(truth, drawn):
    """∫ q e^{-pT} over all ranks, drawn with an exponent, at T = 1; it falls as T^-c. By quadrature in y = (pT)^c."""
    scale, c = mpmath.zeta(drawn), (truth - 1) / drawn
    whole = mpmath.quad(lambda y: mpmath.exp(-(y ** (1 / c))), [0, 1, 2, 6, mpmath.inf])
    return scale**c / (mpmath.zeta(truth) * drawn * c) * whole


@route("cut_crossing", count=3, ranges={"tail_exponent": (1.2, 3.0), "kept_modes": (2, 200)})
def _(tail_exponent, kept_modes):
    start = mpmath.log(kept_modes)
    beyond = mpmath.quad(lambda u: mpmath.exp((1 - tail_exponent) * u), [start, start + 20, start + 100, mpmath.inf])
    floor = beyond / mpmath.zeta(tail_exponent)
    reached = _leading(tail_exponent, tail_exponent) / floor  # falls as T^(1/β - 1)
    return reached ** (1 / (1 - 1 / tail_exponent))


@route("nucleus_size", count=4, ranges={"tail_exponent": (1.5, 3.0), "kept_mass": (0.5, 0.99)})
def _(tail_exponent, kept_mass):
    scale = mpmath.zeta(tail_exponent)

    def beyond(log_rank):
        return mpmath.quad(lambda t: mpmath.exp((1 - tail_exponent) * t), [log_rank, log_rank + 5, mpmath.inf]) / scale

    return mpmath.exp(mpmath.findroot(lambda t: mpmath.log(beyond(t) / (1 - kept_mass)), (-3, 15), solver="anderson"))


@route("nucleus_repeated")
def _(kept_mass, generations):
    return mpmath.fprod([kept_mass] * int(generations))


def _plateau_points():
    rows = (1.5, 2e4, 100, 0.1), (1.5, 1e5, 100, 0.01), (2.0, 1e5, 120, 0.05), (1.3, 3e3, 90, 0.3)
    for beta, samples, cut, real in rows:
        kept = float(1 - hurwitz(beta, cut + 1) / hurwitz(beta))
        yield {"tail_exponent": beta, "samples": samples, "kept_modes": cut, "kept_mass": kept, "real_part": real}


@route("plateau_error", tolerance=3e-5, points=tuple(_plateau_points()))
def _(tail_exponent, samples, kept_modes, kept_mass, real_part):
    beta, samples, cut, kept, real = map(float, (tail_exponent, samples, kept_modes, kept_mass, real_part))
    q = HEAD**-beta / float(hurwitz(beta))
    drawn = real * q + (1 - real) * np.where(cut >= HEAD, q / kept, 0.0)
    beyond = tail(beta) / float(hurwitz(beta)) - samples * real * tail(2 * beta) / float(hurwitz(beta)) ** 2
    return mpf(COUNT @ (q * np.exp(samples * np.log1p(-drawn))) + beyond)


@route("narrowed_crossing", count=3, ranges={"tail_exponent": (1.2, 1.9), "generator_exponent": (2.2, 3.5)})
def _(tail_exponent, generator_exponent, real_part):
    c, c_narrowed = 1 - 1 / tail_exponent, (tail_exponent - 1) / generator_exponent
    real = _leading(tail_exponent, tail_exponent) * real_part**-c
    made = _leading(tail_exponent, generator_exponent) * (1 - real_part) ** -c_narrowed
    return mpmath.exp(mpmath.log(real / made) / (c - c_narrowed))


@route("finite_generator_founders", ranges={"samples": (5.0, 500.0), "generator_samples": (2.0, 500.0)})
def _(samples, generator_samples, real_part):
    thrown = (1 - real_part) * samples
    return real_part * samples + generator_samples * -mpmath.expm1(thrown * mpmath.log1p(-1 / generator_samples))


# ---- founders: balls thrown one after the other, lineages that merge


def _occupied(items, balls):
    """The law of the items hit, ball after ball."""
    law = {0: mpf(1)}
    for _ in range(balls):
        new = {}
        for hit, chance in law.items():
            new[hit] = new.get(hit, mpf(0)) + chance * hit / items
            new[hit + 1] = new.get(hit + 1, mpf(0)) + chance * (items - hit) / items
        law = new
    return law


def _moment(law, power):
    return mpmath.fsum(chance * mpf(hit) ** power for hit, chance in law.items())


THROWN = at((7, 1), (12, 5), (30, 40), (50, 21), names=("draws", "founders"))


@route("occupancy_step", points=THROWN)
def _(draws, founders):
    return _moment(_occupied(int(draws), int(founders)), 1)


@route("occupancy_variance", points=THROWN[1:])
def _(draws, founders):
    law = _occupied(int(draws), int(founders))
    return _moment(law, 2) - _moment(law, 1) ** 2


@route("mode_alive", points=at((0.2, 1), (0.03, 7), (0.5, 4), (0.01, 60), names=("probability", "founders")))
def _(probability, founders):
    """Draw by draw: a symbol that is alive stays so."""
    alive = mpf(0)
    for _ in range(int(founders)):
        alive += (1 - alive) * probability
    return alive


@route("mixture_step", points=at((7, 4, 0.5), (12, 10, 0.2), (30, 40, 0.7), (9, 20, 0.05),
                                  names=("draws", "founders", "real_share")))  # fmt: skip
def _(draws, founders, real_share):
    """The exponent (1-α) b is that many throws: a product of the chances that a bin stays empty, by squares."""
    empty = mpmath.power(draws - 1, (1 - real_share) * founders) / mpmath.power(draws, (1 - real_share) * founders)
    return draws - draws * empty


@route("mixture_founders_few")
def _(real_share):
    return mpmath.quad(lambda x: 2 * real_share / (2 * real_share + x), [0, real_share / 10, real_share, 1])


@route("founders_many_generations", count=4,
       tolerance=1e-8, ranges={"samples": (10.0, 100.0), "rounds": (5, 100), "draws": (1000, 5000)})  # fmt: skip
def _(samples, rounds, draws):
    """Kingman's equation db/dk = -b²/(2M) in two hundred Runge-Kutta steps of ln b."""

    def slope(log_b):
        return -mpmath.exp(log_b) / (2 * draws)

    y, h = mpmath.log(samples), rounds / 400
    for _ in range(400):
        k1 = slope(y)
        k2 = slope(y + h / 2 * k1)
        k3 = slope(y + h / 2 * k2)
        y += h / 6 * (k1 + 2 * k2 + 2 * k3 + slope(y + h * k3))
    return mpmath.exp(y)


@route("survival_many_generations", tolerance=7e-4,
       points=at((30,), (40,), (100,), (1000,), names=("rounds",)))  # fmt: skip
def _(rounds):
    g = mpf(1)
    for _ in range(int(rounds) - 1):
        g = -mpmath.expm1(-g)
    return g


@route("growth_survival", unknown="survival", ranges={"growth": (1.05, 4.0)})
def _(growth):
    return 1 + mpmath.lambertw(-growth * mpmath.exp(-growth)).real / growth


@route("growth_rate", ranges={"kept_share": (0.2, 0.95)})
def _(kept_share, tail_exponent):
    survival = kept_share**tail_exponent
    return mpmath.findroot(lambda r: 1 - mpmath.exp(-r * survival) - survival, (1, 3), solver="anderson")


@route("pool_step")
def _(hits, rounds):
    """The chance to be hit at all, term by term of Poisson's law."""
    hit = mpmath.exp(-hits) * mpmath.nsum(lambda i: hits**i / mpmath.factorial(i), [1, mpmath.inf])
    return hits + hit / rounds


@route("mislabelled_error", points=at((0.05, 3, 0.2, 4), (0.3, 1, 0.05, 9), (0.01, 9, 0.5, 2),
                                       names=("mislabelled", "generations", "probability", "founders")))  # fmt: skip
def _(mislabelled, generations, probability, founders):
    """One minus the chance of every label being right and of one founder at least having the symbol."""
    right = mpmath.fprod([1 - mislabelled] * int(generations))
    alive = mpmath.fsum(
        mpmath.binomial(founders, i) * probability**i * (1 - probability) ** (founders - i)
        for i in range(1, int(founders) + 1)
    )
    return 1 - right * alive


@route("diversity_real_share", ranges={"kept_share": (0.1, 0.9), "draws": (12, 400)})
def _(kept_share, draws):
    """The share at which the pair recursion of a mixture rests at ϑ of the diversity."""

    def at_rest(alpha):
        copied = (1 - 1 / draws) * (1 - alpha) ** 2
        return (1 - 1 / draws) * (1 - (1 - alpha) ** 2) / (1 - copied) - kept_share

    return mpmath.findroot(at_rest, (mpf(0), mpf(1)), solver="anderson")


@route("zipf_half_survival")
def _(kept_share, tail_exponent):
    return mpmath.exp(tail_exponent * mpmath.log(kept_share))


def _lost(wanted, draws, symbols):
    """Generations k until the chance e^{-(M/V) 2/k} of one mode's loss is the wanted one, by bisection of ln k."""
    low, high = mpf(-20), mpf(40)
    for _ in range(110):
        middle = (low + high) / 2
        chance = mpmath.exp(-2 * draws / symbols * mpmath.exp(-middle))
        low, high = (middle, high) if chance < wanted else (low, middle)
    return mpmath.exp(low)


@route("equal_modes_first_loss")
def _(draws, modes):
    return _lost(mpmath.log(2) / modes, draws, modes)


@route("equal_modes_half_loss")
def _(draws, modes):
    return _lost(mpf(1) / 2, draws, modes)


@route("symbol_half_life")
def _(occurrences):
    return _lost(mpf(1) / 2, occurrences, mpf(1))
