"""Rows of a data set: tables that do not fit and questions without an answer are refused in a sentence."""

import numpy as np
import pytest
from table_of_rows import INPUTS, POOLS, TARGETS

import modelcollapse as mc
from modelcollapse.theory import closed_form

REFUSED = {
    "is no pool": lambda w0: w0.label(5, inputs="reel"),
    "give the name of a pool": lambda w0: w0.label(5, inputs=lambda s: s),
    "inputs is missing": lambda w0: w0.label(5),
    "which has 40 rows": lambda w0: mc.predict(mc.fit(w0.label(41, inputs="real"), ridge=0.1)),
    "equal weights": lambda w0: mc.predict(
        mc.fit(w0.label(4, inputs="real"), w0.label(4, inputs="real", weight=2), ridge=0.1)
    ),
    "filter": lambda w0: mc.fit(w0.label(5, inputs="real"), filter=mc.GradientFlow(1.0)),
    "features": lambda w0: mc.fit(w0.label(5, inputs="real"), features=4),
    "accumulate": lambda w0: mc.accumulate(w0, 3, 5, 0.1),
    "no closed form": lambda w0: closed_form(mc.fit(w0.label(5, inputs="real"), ridge=0.1)),
    "leaves none to measure": lambda w0: mc.simulate(mc.fit(w0.label(40, inputs="real"), ridge=0.1), 2),
    "parts of the mixture": lambda w0: mc.predict(
        0.5 * mc.fit(w0.label(5, inputs="real"), ridge=0.1) + 0.5 * w0, inputs="real"
    ),
    "distribution": lambda w0: mc.simulate(mc.fit(w0.label(4, inputs="real")), 2, distribution="uniform"),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_asked_is_refused_in_a_sentence(message):
    w0 = mc.truth(mc.rows(INPUTS, TARGETS, gamma=0.2, pools=POOLS))
    with pytest.raises((ValueError, TypeError), match=message):
        REFUSED[message](w0)


BAD = {
    "repeats rows": {"pools": {"a": [0, 1], "b": [1, 2]}},
    "not empty": {"pools": {"a": []}},
    "rows are numbered": {"pools": {"a": [90]}},
    "method = 'fast'": {"method": "fast"},
    "takes one": {"pools": {"a": [0, 1], "b": [2]}, "method": "spectrum"},
    "is unknown": {"kernel": "rbg"},
}


@pytest.mark.parametrize("message", BAD)
def test_a_data_set_that_does_not_fit_is_refused(message):
    with pytest.raises((ValueError, TypeError), match=message):
        mc.rows(INPUTS, TARGETS, **BAD[message])


def test_rows_that_come_twice_are_said():
    """A fit that has seen a row's twin knows the row: the prediction is too low, and says so beforehand."""
    twice = np.concatenate([np.arange(45), np.arange(45)])
    with pytest.warns(UserWarning, match="45 of the 90 rows repeat others"):
        data = mc.rows(INPUTS[twice], TARGETS[twice], gamma=0.2)
    model = mc.fit(mc.truth(data).label(60, 0.1), ridge=1e-3)
    found = mc.simulate(model, 200, progress=False)
    assert 0.4 < mc.predict(model).test_error / found.mean < 1


def test_a_kernel_matrix_must_be_positive_semidefinite():
    gram = np.eye(5)
    gram[0, 1] = gram[1, 0] = 2
    with pytest.raises(ValueError, match="positive semidefinite"):
        mc.rows(gram, np.ones(5), "precomputed")
    with pytest.raises(ValueError, match="zero everywhere"):
        mc.rows(np.zeros((5, 2)), np.ones(5), "linear")
    with pytest.raises(ValueError, match="more than the 6000"):
        mc.rows(np.zeros((6001, 1)), np.zeros(6001))


def test_a_mixture_of_fits_is_refused_on_their_own_rows_only():
    w0 = mc.truth(mc.rows(INPUTS, TARGETS, gamma=0.2, method="spectrum"))
    mixed = 0.5 * mc.fit(w0.label(30), ridge=0.1) + 0.5 * mc.fit(w0.label(30), ridge=0.1)
    for model in (mixed, mc.chain(mixed, [0, 2], 30, 0.1, 0.1)):
        with pytest.raises(ValueError, match="is a pool that parts of the mixture were fitted on"):
            mc.predict(model)
        assert np.all(mc.predict(mc.fit(model.label(30), ridge=0.1)).test_error > 0)


@pytest.mark.parametrize("read", [mc.predict, lambda model: mc.simulate(model, trials=2)])
@pytest.mark.parametrize("population", [mc.rows(INPUTS, TARGETS), mc.gaussian(np.eye(3), np.ones(3)), mc.isotropic(9)])
def test_grids_that_do_not_fit_are_refused_by_every_reader(read, population):
    model = mc.fit(mc.truth(population).label([10, 20], 0.1), ridge=[0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match=r"do not broadcast together: ridge .*samples"):
        read(model)
