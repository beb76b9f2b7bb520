r"""A loop's predictions beside its simulation, with a verdict for every number.

Founders are counted by their first two moments; what that leaves out is measured against exact occupancy chains
(tests/modes/test_founders.py): below one in a thousand of every number here, a few in a thousand once most founders are
gone. So a relative deviation of 0.002 is allowed, of the diversity none, and beyond it a verdict is "disagrees" where
the interval of the simulated mean, at a confidence that keeps the whole family below `budget`, excludes the prediction.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from modelcollapse.theory.modes.loops import Loop
from modelcollapse.theory.modes.parameters import given
from modelcollapse.theory.numbers.domains import Domain
from modelcollapse.validation.modes.simulation import SimulatedLoop, simulate

__all__ = ["LoopAgreement", "crosscheck"]

ALLOWED = 2e-3
_BUDGET = Domain(0, 1, True, True, remedy="give a failure probability such as 0.01")
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class LoopAgreement:
    """Verdicts on the numbers of a loop. `str()` is a table, one line for every name and grid point.

    prediction : dict name -> array
    estimate : SimulatedLoop
    verdicts, z : dict name -> array
    verdict : "agrees", "disagrees" or "undecided", the worst of all
    """

    loop: Loop
    prediction: dict
    estimate: SimulatedLoop
    z: dict
    verdicts: dict
    verdict: str
    budget: float

    def to_dict(self):
        """Columns by name, one row for every number and grid point."""
        rows: list = []
        for name, predicted in self.prediction.items():
            found = getattr(self.estimate, name)
            for place in np.ndindex(*found.shape):
                mean, error = np.asarray(found.mean)[place], np.asarray(found.standard_error)[place]
                value = np.broadcast_to(predicted, found.shape)[place]
                verdict = np.asarray(self.verdicts[name])[place]
                rows.append((name, str(list(place)), value, mean, error, np.asarray(self.z[name])[place], verdict))
        columns = ("number", "point", "predicted", "simulated", "standard_error", "z", "verdict")
        return {name: np.array(column) for name, column in zip(columns, zip(*rows, strict=True), strict=True)}

    def __repr__(self):
        return f"LoopAgreement({self.verdict}: {sum(np.size(z) for z in self.z.values())} numbers of {self.loop!r})"

    def __str__(self):
        lines = [f"{'number':16}{'point':10}{'predicted':>12}{'simulated':>12}{'± s.e.':>10}{'z':>7}  verdict"]
        for name, point, value, mean, error, z, verdict in zip(*self.to_dict().values(), strict=True):
            lines.append(f"{name:16}{point:10}{value:12.5g}{mean:12.5g}{error:10.2g}{z:+7.1f}  {verdict}")
        return "\n".join([*lines, f"{self.verdict}; a correct theory is rejected with probability {self.budget:g}"])


def predictions(loop, samples=None, smoothing=None, size=None):
    """What `simulate` estimates, by name."""
    found = {
        "founders": loop.founders.mean,
        "alive": loop.alive,
        "missing_mass": loop.missing_mass(samples),
        "entropy": loop.entropy,
        "divergence": loop.divergence,
        "diversity": loop.diversity,
    }
    return found if smoothing is None else found | {"log_loss": loop.log_loss(samples, smoothing, size)}


def crosscheck(loop: Loop, runs=400, seed=0, *, budget=0.01, resolution=0.25, predicted: Any = None, **options):
    """Run a loop and compare every number with its prediction.

    runs, seed, options : as for `Loop.simulate` (samples, smoothing, size)
    budget : probability that a correct theory is called wrong anywhere
    resolution : a relative uncertainty above this leaves the verdict "undecided"
    predicted : dict name -> numbers to compare with instead of the loop's own

    Returns a `LoopAgreement`. Raises what `simulate` raises.

    >>> from modelcollapse.theory.modes.loops import replace, zipf
    >>> loop = replace(zipf(1.5), 5, 200)
    >>> crosscheck(loop, 200).verdict, crosscheck(loop, 200, predicted={"alive": loop.alive * 1.2}).verdict
    ('agrees', 'disagrees')
    """
    budget = given("budget", budget, _BUDGET, traceable=False)
    estimate = simulate(loop, runs, seed, **options)
    predicted = predictions(loop, **options) if predicted is None else predicted
    level = 1 - budget / sum(np.size(getattr(estimate, name).mean) for name in predicted)
    z, verdicts = {}, {}
    for name, value in predicted.items():
        found = getattr(estimate, name)
        allowed = abs(value) * (0.0 if name == "diversity" else ALLOWED) + _ROUNDING
        low, high = found.interval(level)
        apart = (low > value + allowed) | (high < value - allowed)
        blurred = (high - low) / 2 > resolution * abs(value) + _ROUNDING
        verdicts[name] = np.where(apart, "disagrees", np.where(blurred, "undecided", "agrees"))
        difference, error = np.asarray(found.mean - value), np.asarray(found.standard_error)
        z[name] = np.divide(difference, error, out=np.zeros(found.shape), where=error > 0)
    everywhere = {str(v) for verdict in verdicts.values() for v in np.ravel(verdict)}
    worst = next(v for v in ("disagrees", "undecided", "agrees") if v in everywhere)
    return LoopAgreement(loop, predicted, estimate, z, verdicts, worst, budget)
