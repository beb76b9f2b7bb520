"""Every public door says in one sentence where an effective ridge was not found: no wrong number comes back."""

import jax
import numpy as np
import pytest
import sympy

import modelcollapse as mc
from modelcollapse.numerics.equivalents import features, ridge_equation, sources

LAW = mc.power_law(1.5, 0.5, dim=50)
W0 = mc.truth(LAW)
RIDGE, WEIGHT = sympy.symbols("ridge weight", positive=True)
SENTENCE = r"the effective ridge was not found at \d+ of \d+ grid points"


def teacher():
    return mc.fit(W0.label(40, 0.1), ridge=0.1)


def mixed(**options):
    return mc.fit(W0.label(40, 0.1), teacher().label(60, 0.1, weight=WEIGHT), **options).subs({WEIGHT: 0.5})


DOORS = {
    "predict": lambda: mc.predict(mixed(ridge=0.1)),
    "predict a grid": lambda: mc.predict(mc.fit(W0.label(40, 0.1), ridge=np.geomspace(0.1, 1, 5))),
    "predict a surface": lambda: mc.predict(
        mc.fit(W0.label(np.arange(20, 60)[:, None], 0.1), ridge=np.geomspace(0.1, 1, 20))
    ),
    "predict a chain": lambda: mc.predict(mc.chain(W0, 3, 40, 0.1, 0.1)),
    "predict an accumulation": lambda: mc.predict(mc.accumulate(W0, 3, 40, 0.1, 0.1)),
    "predict random features": lambda: mc.predict(mc.fit(W0.label(40, 0.1), ridge=0.1, features=30)),
    "predict stopped training": lambda: mc.predict(mc.fit(W0.label(40, 0.1), filter=mc.GradientFlow(3.0))),
    "predict a curve over time": lambda: mc.predict(
        mc.fit(W0.label(40, 0.1), filter=mc.GradientFlow(np.geomspace(1, 30, 12)))
    ),
    "gradient": lambda: mc.gradient(mixed(ridge=RIDGE), {RIDGE: 0.1}),
    "gradient on a grid": lambda: mc.gradient(mixed(ridge=RIDGE), {RIDGE: np.geomspace(0.1, 1, 5)}),
    "optimal_ridge": lambda: mc.optimal_ridge(mixed()),
    "optimal_ridge of random features": lambda: mc.optimal_ridge(mc.fit(W0.label(40, 0.1), features=30)),
    "optimal_self_distillation": lambda: mc.optimal_self_distillation(mc.fit(W0.label(40, 0.1), ridge=0.1)),
    "tune": lambda: mc.tune(mixed(ridge=RIDGE), {RIDGE: (0.01, 1)}),
    "optimal_stopping": lambda: mc.optimal_stopping(mc.fit(W0.label(40, 0.1))),
    "test_error": lambda: mc.test_error(LAW, 40, 0.1, 0.1),
    "delta": lambda: mc.delta(LAW, 40, 0.1, mc.FakeData(2, 80, 0.1)),
    "effective_ridge": lambda: mc.effective_ridge(LAW, 40, 0.1),
    "compare_strategies": lambda: mc.compare_strategies(LAW, 3, 40, 0.1, 0.1),
    "largest_synthetic_share": lambda: mc.largest_synthetic_share(teacher(), 100, 0.1, noise=0.1, ridge=0.1),
    "real_rows_worth": lambda: mc.real_rows_worth(teacher(), 40, 60, noise=0.1, ridge=0.1),
    "crosscheck": lambda: mc.crosscheck(mixed(ridge=0.1), trials=4),
}


def lost(*arguments, found=ridge_equation.bracketed_root, **options):
    """The root finder answers as ever and owns up that it did not converge."""
    position, converged, passes = found(*arguments, **options)
    return position, converged & False, passes


@pytest.fixture
def no_root_is_found(monkeypatch):
    """Kernels compiled before or meanwhile know another root finder: they are forgotten."""
    jax.clear_caches()
    for module in (ridge_equation, sources, features):
        monkeypatch.setattr(module, "bracketed_root", lost)
    yield
    jax.clear_caches()


@pytest.mark.parametrize("door", DOORS)
def test_every_door_says_so(door, no_root_is_found):
    with pytest.raises(RuntimeError, match=SENTENCE):
        DOORS[door]()


def test_by_direction_says_so(monkeypatch):
    prediction = mc.predict(mixed(ridge=0.1))
    monkeypatch.setattr(sources, "bracketed_root", lost)
    with pytest.raises(RuntimeError, match=SENTENCE):
        prediction.by_direction()
