"""Models that are given: closed forms, simulation, and what is refused."""

import numpy as np
import pytest
import sympy

import modelcollapse as mc
from modelcollapse.theory import closed_form
from modelcollapse.theory.pipelines import ancestry
from modelcollapse.validation.listings import listing

RHO, DELTA = sympy.symbols("rho delta", positive=True)
LAW = mc.power_law(1.5, 0.5, dim=30)
LISTED = mc.Spectrum(np.arange(1.0, 31) ** -1.2, np.linspace(2, 0.1, 30))


def test_many_rows_learn_the_surrogate_itself():
    """Its own error stays: (1 − ρ)² of the label variance, plus the variance of its error."""
    given = mc.surrogate(LISTED, correlation=0.7, error=0.2)
    floor = 0.09 * LISTED.label_variance + 0.2
    assert np.isclose(mc.predict(given).test_error, floor, rtol=1e-12)
    assert np.isclose(mc.predict(mc.fit(given.label(1e9, 0.1))).test_error, floor, rtol=1e-6)


def test_energies_by_atom_are_the_number_that_is_spread_like_the_signal():
    share = 0.2 * LISTED.signal / LISTED.label_variance
    errors = [
        mc.predict(mc.fit(mc.surrogate(LISTED, error=error).label(40, 0.1), mc.truth(LISTED).label(9), ridge=0.01))
        for error in (0.2, share)
    ]
    assert np.isclose(errors[0].test_error, errors[1].test_error, rtol=1e-12)


def test_symbols_and_the_closed_form():
    spectrum = mc.isotropic(40)
    given = mc.surrogate(spectrum, correlation=RHO, error=DELTA)
    model = mc.fit(given.label(60, 0.1), mc.truth(spectrum).label(30, 0.2), ridge=0.05)
    at = {RHO: 0.6, DELTA: 0.3}
    found = mc.predict(model, at).test_error
    assert np.isclose(float(closed_form(model).subs(at)), found, rtol=1e-10)
    slope = mc.gradient(model, at)
    for symbol, value in at.items():
        ends = [mc.predict(model, {**at, symbol: value + sign * 1e-5}).test_error for sign in (1, -1)]
        assert np.isclose(slope[symbol], (ends[0] - ends[1]) / 2e-5, rtol=1e-6)


def test_two_sources_of_one_surrogate_share_its_error():
    given, twin = (mc.surrogate(LISTED, correlation=0.8, error=0.5) for _ in range(2))
    once = mc.fit(given.label(30, 0.1), given.label(30, 0.1, weight=0.5), ridge=0.01)
    apart = mc.fit(given.label(30, 0.1), twin.label(30, 0.1, weight=0.5), ridge=0.01)
    assert mc.predict(once).variance > 1.2 * mc.predict(apart).variance
    for model in (once, apart):
        assert mc.crosscheck(model, trials=300, progress=False).verdict == "agrees"


def test_simulation_agrees_and_a_forgotten_error_does_not():
    w0 = mc.truth(LAW)
    models = [
        mc.fit(mc.chain(mc.surrogate(LAW, correlation=1.2, error=0.4), 2, 60, 0.2).label(50, 0.1), ridge=0.02),
        mc.fit(mc.surrogate(LAW, correlation=0.5, error=0.1).label(60, 0.1), w0.label(20, 0.3), ridge=0.02),
    ]
    agreement = mc.crosscheck(models, trials=2000, progress=False)
    assert agreement.verdict == "agrees", str(agreement)
    silent = mc.fit(mc.chain(mc.surrogate(LAW, correlation=1.2), 2, 60, 0.2).label(50, 0.1), ridge=0.02)
    low, _ = agreement.estimate[0].interval(0.99)
    assert low > mc.predict(silent).test_error * (1 + agreement.allowance[0])


def test_a_surrogate_is_compared_by_content():
    energies = np.full(30, 0.1)
    assert mc.surrogate(LISTED, error=energies) == mc.surrogate(LISTED, error=energies.copy())
    assert mc.surrogate(LISTED, error=energies) != mc.surrogate(LISTED, error=2 * energies)
    assert repr(mc.surrogate(LISTED, correlation=RHO, error=energies)) == "surrogate(correlation=rho, error=by atom)"
    assert mc.surrogate(LISTED, correlation=RHO).subs({RHO: 0.5}) == mc.surrogate(LISTED, correlation=0.5)
    model = mc.fit(mc.surrogate(LISTED, correlation=0.5).label(9))
    assert len(ancestry(model)) == 2


def test_a_listing_names_what_cannot_be_written_down():
    data = mc.rows(np.arange(12.0)[:, None], np.arange(12.0), gamma=0.1)
    model = mc.fit(mc.surrogate(data, labels=np.ones(12)).label(5), mc.truth(data).label(4), ridge=0.1)
    assert "<surrogate(12 given numbers)>" in listing(model)
    assert "<rows(12 rows" in listing(model)


BAD = {
    "error = -1": lambda: mc.surrogate(LISTED, error=-1.0),
    "one per atom": lambda: mc.surrogate(LISTED, correlation=np.ones(29)),
    "labels on a population": lambda: mc.surrogate(LISTED, labels=np.ones(30)),
    "population is a int": lambda: mc.surrogate(3),
    "weights is missing": lambda: mc.surrogate(mc.gaussian(np.eye(3), np.ones(3))),
    "give an array of 3 numbers": lambda: mc.surrogate(mc.gaussian(np.eye(3), np.ones(3)), weights=np.ones(2)),
}


@pytest.mark.parametrize("message", BAD)
def test_what_does_not_fit_is_refused(message):
    with pytest.raises((ValueError, TypeError), match=message):
        BAD[message]()
