"""The next order of fits on rows: against all subsets of a small data set, one by one."""

import itertools

import numpy as np
import pytest

import modelcollapse as mc
from modelcollapse.numerics.duals import Dual
from modelcollapse.numerics.equivalents import next_order, rows
from modelcollapse.numerics.equivalents.next_order import NextOrder

COUNT, NOISE = 12, 0.3
RNG = np.random.default_rng(3)
INPUTS = RNG.standard_normal((COUNT, 3))
TARGETS = np.sin(INPUTS[:, 0]) + 0.2 * RNG.standard_normal(COUNT)
HALVES = {"real": np.arange(6), "fake": np.arange(6, 12)}
KERNELS = {
    "rbf": {"kernel": "rbf", "gamma": 0.3},
    "linear": {"kernel": "linear"},
    "cubic": {"kernel": "polynomial", "degree": 3, "gamma": 0.3},
}


class Exact:
    """Fits on every subset: so many rows of each pool, with their weights, at a ridge."""

    def __init__(self, gram, drawn, ridge):
        self.gram = gram
        samples = sum(count for _, count, _ in drawn)
        penalty = np.full(len(gram), np.inf)
        for pool, _, weight in drawn:
            penalty[pool] = samples * ridge / weight
        self.maps, self.seen = [], []
        for parts in itertools.product(*(itertools.combinations(pool, count) for pool, count, _ in drawn)):
            subset = np.concatenate(parts).astype(int)
            found = np.zeros_like(gram)
            system = gram[np.ix_(subset, subset)] + np.diag(penalty[subset])
            found[:, subset] = gram[:, subset] @ np.linalg.inv(system)
            self.maps.append(found)
            self.seen.append(np.isin(np.arange(len(gram)), subset))
        self.maps, self.seen = np.array(self.maps), np.array(self.seen)

    def moments(self, mean, second, noise):
        """E f̂ and E f̂f̂ᵀ for labels of these moments and independent noise."""
        whole = second + noise**2 * np.eye(len(mean))
        return self.maps.mean(0) @ mean, np.mean([hat @ whole @ hat.T for hat in self.maps], 0)

    def unseen(self, mean, second, noise):
        """The mean squared error on rows of the pools that a fit has not seen."""
        whole = second + noise**2 * np.eye(len(mean))
        errors = [
            np.mean((TARGETS**2 - 2 * TARGETS * (hat @ mean) + np.einsum("ij,jk,ik->i", hat, whole, hat))[~seen])
            for hat, seen in zip(self.maps, self.seen, strict=True)
        ]
        return np.mean(errors)


def both(monkeypatch, model, **asked):
    """The prediction, and that of the equivalent alone."""
    found = mc.predict(model, **asked)
    with monkeypatch.context() as without:
        without.setattr(rows, "_further", lambda *arguments: None)
        return found, mc.predict(model, **asked)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("count", [6, 8, 10])
def test_one_fit_and_two(kernel, count, monkeypatch):
    """What is left is at most a third of what the equivalent leaves, or a part in two hundred."""
    data = mc.rows(INPUTS, TARGETS, **KERNELS[kernel])
    exact = Exact(data.kernel_matrix, [(np.arange(COUNT), count, 1.0)], 0.1)
    w0, truth = mc.truth(data), (TARGETS, np.outer(TARGETS, TARGETS))
    teacher = mc.fit(w0.label(count, NOISE), ridge=0.1)
    student = mc.fit(teacher.label(count, NOISE), ridge=0.1)
    for model, moments in ((teacher, truth), (student, exact.moments(*truth, NOISE))):
        expected = exact.unseen(*moments, NOISE)
        further, alone = (np.abs(found.test_error / expected - 1) for found in both(monkeypatch, model))
        assert further <= max(alone / 3, 0.005), (further, alone)


@pytest.mark.parametrize("weight", [1.0, 0.2])
def test_two_pools(weight, monkeypatch):
    data = mc.rows(INPUTS, TARGETS, **KERNELS["rbf"], pools=HALVES)
    exact = Exact(data.kernel_matrix, [(HALVES["real"], 4, 1.0), (HALVES["fake"], 3, weight)], 0.05)
    w0 = mc.truth(data)
    model = mc.fit(w0.label(4, NOISE, inputs="real"), w0.label(3, NOISE, weight=weight, inputs="fake"), ridge=0.05)
    for pool, places in HALVES.items():
        out = ~exact.seen[:, places]
        values = np.einsum(
            "sij,jk,sik->si", exact.maps, np.outer(TARGETS, TARGETS) + NOISE**2 * np.eye(COUNT), exact.maps
        )
        errors = (values - 2 * TARGETS * (exact.maps @ TARGETS) + TARGETS**2)[:, places]
        expected = (errors * out).sum() / out.sum()
        further, alone = (np.abs(found.test_error / expected - 1) for found in both(monkeypatch, model, inputs=pool))
        assert further <= max(alone / 3, 0.005), (pool, further, alone)


def test_rows_of_a_third_pool(monkeypatch):
    """The covariance of what a fit says on other rows."""
    pools = {"fitted": np.arange(9), "test": np.arange(9, 12)}
    data = mc.rows(INPUTS, TARGETS, **KERNELS["rbf"], pools=pools)
    exact = Exact(data.kernel_matrix, [(pools["fitted"], 5, 1.0)], 0.1)
    mean, second = exact.moments(TARGETS, np.outer(TARGETS, TARGETS), NOISE)
    model = mc.fit(mc.truth(data).label(5, NOISE, inputs="fitted"), ridge=0.1)
    expected = (TARGETS - mean)[9:] ** 2, (np.diag(second) - mean**2)[9:]
    found, alone = both(monkeypatch, model, inputs="test")
    for name, value in zip(("bias", "variance"), expected, strict=True):
        misses = [abs(getattr(one, name) / value.mean() - 1) for one in (found, alone)]
        assert misses[0] <= max(misses[1] / 3, 0.005), (name, misses)


def medium_of(chance, seed=0):
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((COUNT, 5))
    return np.linalg.inv(factor @ factor.T / 5 + np.eye(COUNT)), np.asarray(chance)


HALF = np.arange(COUNT) < 6
CHANCES = {
    "one pool": np.full(COUNT, 0.4),
    "two": np.where(HALF, 0.3, 0.7),
    "one drawn for certain": np.where(HALF, 0.3, 1),
}


@pytest.mark.parametrize("name", CHANCES)
def test_slopes(name):
    """D'[·] is the derivative of D: by differences, and by dual numbers."""
    gamma, chance = medium_of(CHANCES[name])
    pools = [np.arange(COUNT)] if name == "one pool" else list(HALVES.values())
    moved = np.random.default_rng(1).standard_normal((COUNT, COUNT))
    moved = moved + moved.T
    known = NextOrder(gamma, chance, pools).shifted(moved)
    ends = [NextOrder(gamma + step * moved, chance, pools).shift() for step in (1e-6, -1e-6)]
    assert np.allclose((ends[0] - ends[1]) / 2e-6, known, rtol=1e-6, atol=1e-8 * np.abs(known).max())
    dual = NextOrder(Dual(gamma, moved[None]), chance, pools).shift()
    assert np.allclose(dual.tangents[0], known, rtol=1e-12, atol=1e-13 * np.abs(known).max())


def test_rows_that_are_drawn_for_certain_stand_still():
    gamma, chance = medium_of(CHANCES["one drawn for certain"])
    assert np.all(NextOrder(gamma, chance, list(HALVES.values())).shift()[6:, 6:] == 0)


def test_all_rows_but_one_leave_one_out(monkeypatch):
    data = mc.rows(INPUTS, TARGETS, **KERNELS["rbf"])
    hat = data.kernel_matrix @ np.linalg.inv(data.kernel_matrix + 1.1 * np.eye(COUNT))
    expected = np.mean(((TARGETS - hat @ TARGETS) / (1 - np.diag(hat))) ** 2)
    found, alone = both(monkeypatch, mc.fit(mc.truth(data).label(COUNT - 1), ridge=0.1))
    misses = [abs(one.test_error / expected - 1) for one in (found, alone)]
    assert misses[0] <= misses[1] / 3, misses


@pytest.mark.parametrize("part", ["rings", "counts"])
def test_neither_part_can_be_left_out(part, monkeypatch):
    """The control of the comparisons with all subsets."""
    data = mc.rows(INPUTS, TARGETS, **KERNELS["rbf"])
    expected = Exact(data.kernel_matrix, [(np.arange(COUNT), 6, 1.0)], 0.01).unseen(
        TARGETS, np.outer(TARGETS, TARGETS), 0
    )
    model = mc.fit(mc.truth(data).label(6), ridge=0.01)
    right = abs(mc.predict(model).test_error / expected - 1)
    if part == "counts":
        monkeypatch.setattr(next_order._Count, "push", lambda self: 0.0)
        monkeypatch.setattr(next_order._Count, "pushed", lambda self, moved: 0.0)
    else:
        monkeypatch.setattr(NextOrder, "_scattered", lambda self, matrix: 0 * matrix)
    assert abs(mc.predict(model).test_error / expected - 1) > 3 * right
