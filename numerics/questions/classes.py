r"""What a fitted score is worth as a classifier: 0–1 errors, calibration and log-loss.

All follow from the angle θ between ŵ and w0 on the test inputs (`steps.angles`), the square τ² of the score and n² of
the truth's. Given the score t the truth's score is normal with mean m = (ρ n/τ) t and variance n²(1 − ρ²):

    error rate against sign(x·w0)       θ/π
    against flipped signs               q + (1 − 2q) θ/π
    against probit labels of scale γ    arccos(cos θ/√(1 + γ²/n²))/π
    P(+ | t)                            q + (1 − 2q) Φ(m/√(n²(1 − ρ²) + γ²))
    log-loss at logits B·t              E_t [P log(1 + e^{−Bt}) + (1 − P) log(1 + e^{Bt})],  t ~ N(0, τ²)

Logistic labels are averaged over by quadrature. Derived here.
"""

from typing import Any, NamedTuple

import numpy as np

from modelcollapse.numerics.evaluation.lanes import evaluate_on
from modelcollapse.numerics.evaluation.on_spectrum import OnSpectrum
from modelcollapse.numerics.evaluation.outcome import require_finite, require_found
from modelcollapse.numerics.evaluation.question import Question
from modelcollapse.numerics.evaluation.walk import last_moments
from modelcollapse.numerics.steps.angles import angle
from modelcollapse.theory.numbers.leaves import evaluate, free_symbols
from modelcollapse.theory.pipelines.links import Logistic, Probit, Sign, link_of

__all__ = ["Angles", "angles"]

_Z = np.linspace(-9, 9, 721)
_WEIGHTS = np.exp(-_Z * _Z / 2) / np.sqrt(2 * np.pi) * (_Z[1] - _Z[0])


class Angles(NamedTuple):
    """Mean angle to the truth, overlap, mean squares of the score and of the truth's score, of the grid's shape."""

    angle: np.ndarray
    overlap: np.ndarray
    square: np.ndarray
    truth: np.ndarray

    def error_rate(self, labels="sign"):
        """The share of test labels that are not sign(x·ŵ); `labels` are the truth's, through a link of two classes."""
        link, numbers = _two_classes(labels)
        rate = self.angle / np.pi
        if isinstance(link, Sign):
            return (numbers[0] + (1 - 2 * numbers[0]) * rate)[()]
        overlap = np.cos(self.angle)
        relative = np.sqrt(self.truth) / numbers[0]
        if isinstance(link, Probit):
            return (np.arccos(overlap * relative / np.sqrt(1 + relative**2)) / np.pi)[()]
        from scipy.special import expit, ndtr

        across = np.maximum(np.sqrt(1 - overlap**2), 1e-300)
        wrong = 2 * expit(-relative[..., None] * _Z) * ndtr((overlap / across)[..., None] * _Z)
        return (wrong @ _WEIGHTS)[()]

    def calibration(self, score, labels="sign"):
        """P(label = + | score of ŵ); `score` broadcasts with the grid."""
        from scipy.special import expit, ndtr

        link, numbers = _two_classes(labels)
        square = np.where(self.square > 0, self.square, 1)
        mean = self.overlap * np.sqrt(self.truth / square) * np.asarray(score, float)
        spread = np.sqrt(self.truth * (1 - self.overlap**2))
        if isinstance(link, Logistic):
            truths = np.asarray(mean)[..., None] + np.asarray(spread)[..., None] * _Z
            return (expit(truths / numbers[0]) @ _WEIGHTS)[()]
        flips, width = (numbers[0], spread) if isinstance(link, Sign) else (0.0, np.hypot(spread, numbers[0]))
        certain = width == 0
        chance = ndtr(mean / np.where(certain, 1, width))
        return (flips + (1 - 2 * flips) * np.where(certain, (np.sign(mean) + 1) / 2, chance))[()]

    def log_loss(self, slope=1.0, labels="sign"):
        """Mean of −log of the probability that logits slope·score give to the labels; `slope` broadcasts."""
        endless = np.isinf(self.square)
        deviation = np.asarray(np.sqrt(np.where(endless, 1, self.square)))
        scores = np.moveaxis(deviation[..., None] * _Z, -1, 0)
        chance = np.asarray(self.calibration(scores, labels))
        logits = np.asarray(slope, float) * scores
        loss = chance * np.logaddexp(0, -logits) + (1 - chance) * np.logaddexp(0, logits)
        return np.where(endless & (np.asarray(slope) != 0), np.inf, np.tensordot(_WEIGHTS, loss, 1))[()]


def _two_classes(labels):
    """A link of two classes without offset and its numbers; ValueError for others."""
    link: Any = link_of(labels)
    known = isinstance(link, Sign | Probit | Logistic) and not getattr(link, "soft", False)
    if not known or any(free_symbols(value) for _, value, _ in link.numbers):
        raise ValueError(
            f"labels = {labels!r} are no classes; give 'sign', mc.Sign, mc.Probit or mc.Logistic in numbers"
        )
    numbers = [np.asarray(evaluate(value, {})) for _, value, _ in link.numbers]
    if isinstance(link, Sign) and np.any(numbers[1]):
        raise ValueError(f"labels = {labels!r} have an offset, which is not supported here; give an offset of 0")
    return link, numbers


def angles(question):
    """Angles of a prepared question; RuntimeError where an effective ridge was not found."""
    if not isinstance(question, Question):
        return Angles(*question.angles())
    grid = question.grid

    def run(numbers, atoms, shifts, tested):
        population = OnSpectrum(atoms, shifts, question.exact)
        moments, flags = last_moments(question.reading.schedule, numbers, population)
        found = angle(atoms, tested, moments)
        converged = np.all([np.asarray(flag).all() for flag in flags])
        return *found, np.full(found[0].shape[0], float(converged))

    *found, converged = evaluate_on(grid, run, 5, question.alive, share=True, effort=question.effort)
    require_found(converged, grid.shape)
    require_finite(found[0], what="the angle to the truth")
    return Angles(*found)
