"""The one map between the literature's letters and this package's names.

A `Quantity` is a letter with its name, meaning, domain and a typical value. Formulas print with letters
(`T`, `kappa`) and are evaluated by name (`samples=1000`); a letter is understood too. One value per
eigenvalue, source or round is an array: its letter is indexed, and its length (`d`, `G`, `K`) is read off the
array that is passed.

SymPy symbols are built on first use, with the assumptions that the domain implies.

>>> quantity("samples").symbol, quantity("T") is quantity("samples")
(T, True)
>>> symbols("effective_ridge", "ridge")
(kappa, lambda)
>>> all(quantity(q.letter) is q for q in QUANTITIES.values())
True
"""

import functools
from dataclasses import dataclass
from typing import Any

from modelcollapse.theory.numbers.domains import (
    CAPACITY,
    DIMENSION,
    EFFECTIVE_RIDGE,
    ENERGY,
    GENERATIONS,
    NOISE,
    ROUNDS,
    SAMPLES,
    SOURCE_EXPONENT,
    WEIGHT,
    Domain,
)

PENALTY = Domain(low=0, high_open=True, remedy="give a finite penalty of zero or more")
POSITIVE_RIDGE = Domain(low=0, low_open=True, high_open=True, remedy="give a positive effective ridge")
POSITIVE = Domain(low=0, low_open=True, high_open=True, remedy="give a finite positive number")
SHARE = Domain(low=0, high=1, remedy="a share lies between none and all")
ORDER = Domain(low=1, high_open=True, whole=True, remedy="give 1 or 2, or a higher whole number")
DRAWS = Domain(low=2, high_open=True, whole=True, remedy="give two or more draws per generation")
EXPONENT = Domain(low=0, high_open=True, remedy="give a finite exponent of zero or more")
ANY_EXPONENT = Domain(low_open=True, high_open=True, remedy="give a finite exponent")
SURVIVAL = Domain(low=0, high=1, low_open=True, remedy="a survival probability is positive, at most 1")
INNER_SHARE = Domain(0, 1, True, True, remedy="give a share between 0 and 1")
FOUNDERS = Domain(low=0, low_open=True, high_open=True, remedy="give a positive number of draws")
BATCH = Domain(low=1, high_open=True, remedy="give one row or more for each step")
KEPT_MODES = Domain(low=1, high_open=True, whole=True, remedy="give a whole number of modes")
MODES = Domain(low=2, high_open=True, whole=True, remedy="give two modes or more")
GROWTH = Domain(low=1, low_open=True, high_open=True, remedy="give a factor above 1")
PROBABILITY = Domain(low=0, high=1, remedy="a probability lies between 0 and 1")
FLIPS = Domain(low=0, high=0.5, high_open=True, remedy="above one half the labels are the other class: give less")
ANGLE = Domain(low=0, high=3.1, low_open=True, remedy="give an angle in radians, between one and opposite directions")
IMBALANCE = Domain(low=0, high=5, low_open=True, remedy="give an offset in units of the score's deviation, up to 5")
LABELLER = Domain(low=0, high=1.5, low_open=True, remedy="give an angle in radians, below a right one")
CLIP = Domain(low=0.02, high=3, remedy="give a bound in units of the score's deviation, from 0.02 to 3")
TEACHERS = Domain(low=1, high_open=True, whole=True, remedy="give a whole number of teachers")
THRESHOLD = Domain(low=0.05, high=8, remedy="give a margin in units of the score's deviation, from 0.05 to 8")


@dataclass(frozen=True)
class Quantity:
    """A letter of the literature: our name, its LaTeX, domain, meaning, a typical value, the letter of its length."""

    name: str
    letter: str
    latex: str
    domain: Domain
    typical: object
    meaning: str
    length: str = ""

    @functools.cached_property
    def symbol(self) -> Any:
        """The SymPy symbol, or for an array the IndexedBase."""
        import sympy

        kind: Any = sympy.IndexedBase if self.length else sympy.Symbol
        return kind(self.letter, **self.domain.assumptions())


def _table(*rows):
    return {row[0]: Quantity(*row) for row in rows}


_SPECTRUM, _SIGNAL = (1.0, 0.5, 0.25, 0.1), (1.0, 0.5, 2.0, 1.5)

QUANTITIES = _table(
    # data and fits
    ("samples", "T", "T", SAMPLES, 1000, "samples of the last fit"),
    ("generator_samples", "T_0", "T_0", SAMPLES, 2000, "samples of each generator's fit"),
    ("dimension", "d", "d", DIMENSION, 100, "directions with a positive eigenvalue"),
    ("aspect", "phi", r"\varphi", POSITIVE, 0.4, "d/T"),
    ("generator_aspect", "phi_0", r"\varphi_0", POSITIVE, 0.3, "d/T_0"),
    ("ridge", "lambda", r"\lambda", PENALTY, 0.1, "ridge of the mean squared error"),
    ("effective_ridge", "kappa", r"\kappa", EFFECTIVE_RIDGE, 0.3, "effective ridge"),
    ("second_effective_ridge", "kappa_2", r"\kappa'", EFFECTIVE_RIDGE, 0.1, "that of another fit on the same rows"),
    ("noise", "sigma", r"\sigma", NOISE, 0.5, "label noise of the last fit, a standard deviation"),
    ("generator_noise", "sigma_0", r"\sigma_0", NOISE, 0.4, "label noise of each generator"),
    ("generations", "n", "n", GENERATIONS, 5, "generations of fake labels before the last fit"),
    ("rounds", "k", "k", ROUNDS, 5, "fits, one after the other"),
    # spectra
    ("eigenvalues", "s", "s", POSITIVE, _SPECTRUM, "eigenvalues of the covariance", "d"),
    ("eigenvalue", "s_e", "s", POSITIVE, 0.5, "one eigenvalue of the covariance"),
    ("signal", "theta", r"\theta", ENERGY, _SIGNAL, "signal energy w_0j^2 per eigenvalue", "d"),
    ("signal_energy", "rho2", r"\rho^2", ENERGY, 1.5, "signal energy in all, |w_0|^2"),
    ("order", "q", "q", ORDER, 2, "order of the degrees of freedom"),
    ("capacity", "beta", r"\beta", CAPACITY, 1.5, "capacity: s_j = j^-beta"),
    ("source", "r", "r", SOURCE_EXPONENT, 0.4, "source: s_j w_0j^2 = j^-(1+2 r beta)"),
    # random labels
    ("label_energy", "c", "c", ENERGY, (1.1, 0.6, 2.5, 2.0), "second moment of the label model", "d"),
    ("label_alignment", "mu", r"\mu", ANY_EXPONENT, (0.9, 0.8, 0.7, 0.5), "its mean over w_0j", "d"),
    # several sources
    ("synthetic_share", "p_2", "p_2", SHARE, 0.3, "share of the samples with synthetic labels"),
    ("real_share", "alpha", r"\alpha", SHARE, 0.4, "weight of the truth, or share of real data"),
    ("real_noise", "sigma_1", r"\sigma_1", NOISE, 0.5, "noise of the real labels"),
    ("synthetic_noise", "sigma_2", r"\sigma_2", NOISE, 0.4, "noise of the synthetic labels"),
    ("offset", "Delta", r"\Delta", ENERGY, (0.3, 0.2, 0.4, 0.1), "E (w_2 - w_0)_j^2 per eigenvalue", "d"),
    ("offset_variance", "c2", "c^2", ENERGY, 0.7, "E |w_2 - w_0|^2 under the covariance"),
    ("shares", "p_g", "p", POSITIVE, (0.6, 0.4), "share of the samples per source", "G"),
    ("weights", "omega", r"\omega", WEIGHT, (1.0, 1.5), "weight per source", "G"),
    ("correlation", "e", "e", POSITIVE, 0.6, "tr(Sigma R)/T of the resolvent R"),
    # accumulation
    ("round_samples", "T_g", "T", SAMPLES, (30, 20, 50), "samples per round", "K"),
    ("round_noise", "sigma_g", r"\sigma", NOISE, (0.5, 0.4, 0.3), "label noise per round", "K"),
    ("round_effective_ridge", "kappa_g", r"\kappa", EFFECTIVE_RIDGE, (0.3, 0.2, 0.1), "kappa per round", "K"),
    # scaling
    ("ridge_exponent", "ell", r"\ell", EXPONENT, 0.5, "lambda = T^-ell"),
    ("generations_exponent", "a", "a", EXPONENT, 0.2, "n = T^a"),
    ("generator_samples_exponent", "b", "b", ANY_EXPONENT, 0.9, "T_0 = T^b"),
    ("aspect_exponent", "f", "f", EXPONENT, 0.1, "phi_0 = d/T_0 = T^-f"),
    ("noise_exponent", "s_sigma", r"s_\sigma", EXPONENT, 0.1, "sigma^2 = T^-s_sigma"),
    ("generator_noise_exponent", "s_0", "s_0", EXPONENT, 0.2, "sigma_0^2 = T^-s_0"),
    ("margin", "nu", r"\nu", POSITIVE, 0.7, "the exponent that the noise leaves"),
    # toy chains
    ("draws", "M", "M", DRAWS, 10, "draws per generation"),
    ("deviation", "tau_0", r"\tau_0", POSITIVE, 1.2, "standard deviation of the real distribution"),
    ("probability", "p", "p", PROBABILITY, 0.01, "probability of an event"),
    ("diversity", "H_0", "H_0", PROBABILITY, 0.45, "1 - sum of squared probabilities, real distribution"),
    ("survival", "g", "g", SURVIVAL, 0.6, "survival of a Poisson branching process"),
    # rare events
    ("tail_exponent", "beta_p", r"\beta", CAPACITY, 1.5, "Zipf: symbol i has the frequency i^-beta/zeta(beta)"),
    ("generator_exponent", "beta_g", r"\beta'", CAPACITY, 2.0, "the exponent with which a generator draws"),
    ("founders", "B", "B", FOUNDERS, 40, "draws of the law that a sample goes back to"),
    ("kept_modes", "k_c", "k_c", KEPT_MODES, 100, "the most frequent symbols that a generator keeps"),
    ("kept_mass", "P_c", "P", INNER_SHARE, 0.9, "the mass of these symbols"),
    ("kept_share", "vartheta", r"\vartheta", INNER_SHARE, 0.9, "the share that is to be kept for ever"),
    ("real_part", "pi_r", r"\pi", INNER_SHARE, 0.1, "share of a learner's samples that is real"),
    ("growth", "r_g", "r", GROWTH, 1.5, "each generation's size over that of the one before"),
    ("hits", "s_h", "s", POSITIVE, 0.7, "draws per item of one round of a pool"),
    ("modes", "V", "V", MODES, 50, "symbols of equal frequency"),
    ("occurrences", "N_o", "N", POSITIVE, 10, "occurrences of one symbol in the real sample"),
    ("mislabelled", "varepsilon", r"\varepsilon", SHARE, 0.05, "chance that one labelling is wrong"),
    ("entropy", "h_0", "h_0", POSITIVE, 3.2, "entropy of the real distribution, in nats"),
    ("temper", "tau_g", r"\tau", POSITIVE, 1.2, "temperature of a generator, which draws with p^(1/tau)"),
    ("founders_variance", "v_B", "v", POSITIVE, 6.0, "variance of the number of founders"),
    ("uniform_founders", "r_u", "r", POSITIVE, 3.0, "lineages that end in draws of the uniform law"),
    ("smoothing", "s_c", "s", POSITIVE, 0.1, "count that is added to that of every symbol"),
    ("tokens", "N_t", "N_t", POSITIVE, 200, "tokens of a real sample"),
    ("square_entropy", "S_2", "S_2", POSITIVE, 0.25, "-sum of p^2 ln p"),
    # random features
    ("features", "m", "m", POSITIVE, 50, "random features"),
    ("first_degrees", "df_1", r"\mathrm{df}_1", POSITIVE, 30.0, "degrees of freedom, order 1"),
    ("second_degrees", "df_2", r"\mathrm{df}_2", POSITIVE, 20.0, "degrees of freedom, order 2"),
    ("noise_gain", "u", "u", POSITIVE, 0.4, "df_2/(T - df_2): test error per unit of label noise variance"),
    ("feature_ratio", "varrho", r"\varrho", SHARE, 0.6, "(m - df_1)/(m - df_2)"),
    # one pass of SGD
    ("descent_step", "eta", r"\eta", POSITIVE, 0.1, "step of one-pass SGD on half the squared error"),
    ("batch", "N_b", "B", BATCH, 4, "rows of each step"),
    # classes
    ("flips", "q_f", "q", FLIPS, 0.1, "share of labels that are flipped"),
    ("noise_ratio", "h", "h", POSITIVE, 0.6, "label noise over the squared gain, in units of the score's variance"),
    ("temperature", "gamma_0", r"\gamma", POSITIVE, 0.5, "temperature of labels over the deviation of the score"),
    ("imbalance", "b_0", "b", IMBALANCE, 0.5, "class offset over the deviation of the score"),
    ("angle", "varphi", r"\varphi", ANGLE, 0.6, "angle between labeller and verifier"),
    ("right", "k_r", "k_+", SURVIVAL, 0.9, "chance to keep a row whose label the verifier confirms"),
    ("wrong", "k_w", "k_-", PROBABILITY, 0.2, "chance to keep another row"),
    ("labeller_angle", "vartheta_w", r"\vartheta_w", LABELLER, 0.4, "angle between labeller and truth"),
    ("overlap", "rho_o", r"\rho", SHARE, 0.8, "cosine of the angle between student and truth"),
    ("clip", "B_c", "B", CLIP, 1.0, "bound of clipped scores, in units of their deviation"),
    ("score_deviation", "tau_s", r"\tau", POSITIVE, 0.8, "deviation of a model's score"),
    ("score_temperature", "gamma_s", r"\gamma", POSITIVE, 0.5, "temperature of labels of size one"),
    ("teachers", "K_t", "K", TEACHERS, 3, "teachers alike"),
    ("teacher_overlap", "r_t", "r", SHARE, 0.7, "overlap of two of them"),
    ("threshold", "t", "t", THRESHOLD, 0.5, "scores or residuals below are kept, in units of their deviation"),
)

_NAMES = {alias: q for q in QUANTITIES.values() for alias in (q.letter.replace("_", ""), q.letter, q.name)}


def quantity(name):
    """The quantity of a name or letter; KeyError if there is none."""
    return _NAMES[name]


def symbols(*names):
    """The SymPy symbols of some quantities."""
    return tuple(quantity(name).symbol for name in names)


def index(letter="j"):
    """The SymPy symbol of a summation index."""
    import sympy

    return sympy.Symbol(letter, integer=True, positive=True)


@functools.cache
def length(letter):
    """The SymPy symbol of an array's length: d is the dimension itself."""
    import sympy

    return quantity("dimension").symbol if letter == "d" else sympy.Symbol(letter, integer=True, positive=True)
