"""Weights and ridge of a mix: leave-one-out by leaving out, and the choice."""

import pickle

import numpy as np
import pytest

from modelcollapse.numerics.mixes import choice, evidence, moments
from modelcollapse.numerics.mixes.choice import beliefs, choose, gap, misfit, score, share_of_risk
from modelcollapse.numerics.mixes.leave_one_out import weighted_path
from modelcollapse.numerics.mixes.moments import rows_of
from modelcollapse.numerics.mixes.teachers import informed, known_teachers
from modelcollapse.numerics.provenance.corrected_risk import Provenance
from modelcollapse.validation import mix_study
from modelcollapse.validation.studies.mixes import LINEAR_TEACHERS, MixRegime, draw

REAL, FAKE, DIM = 25, 40, 6
ORIGIN = np.repeat([0, 1, 2], [REAL, FAKE, FAKE])


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((len(ORIGIN), DIM)) * np.arange(1, DIM + 1) ** -0.7 + 0.3
    w, delta = rng.standard_normal((2, DIM, 2))
    y = X @ w + 1 + 0.5 * rng.standard_normal((len(X), 2))
    y[ORIGIN == 1] = X[ORIGIN == 1] @ (0.8 * w + 0.3 * delta) + 1
    return X, y


def refitted(X, y, weights, alpha, intercept):
    """Intercept and slopes (1 + d, outputs) of weighted ridge by the normal equations."""
    Z = np.column_stack([np.full(len(X), float(intercept)), X])
    penalty = np.diag([1.0 - intercept] + [alpha] * X.shape[1])
    return np.linalg.solve(Z.T @ (weights[:, None] * Z) + penalty, Z.T @ (weights[:, None] * y))


def left_out(X, y, weights, alpha, intercept):
    """Squares of the real rows under fits without them, one by one."""
    squares = []
    for i in np.flatnonzero(ORIGIN == 0):
        kept = np.arange(len(X)) != i
        found = refitted(X[kept], y[kept], weights[kept], alpha, intercept)
        squares.append(np.mean((y[i] - np.append(float(intercept), X[i]) @ found) ** 2))
    return np.array(squares)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("counted", [True, False])
def test_leave_one_out_is_leaving_out(data, intercept, counted):
    X, y = data
    counts = np.random.default_rng(1).integers(1, 4, len(X)).astype(float) if counted else np.ones(len(X))
    weights, alpha = np.array([1.0, 0.3, 2.0]), 0.7
    rows = rows_of(X, y, ORIGIN, counts, intercept)
    path = weighted_path(rows, weights, np.array([alpha, 7.0]))
    expected = left_out(X, y, weights[ORIGIN] * counts, alpha, intercept)
    np.testing.assert_allclose(path.held_out[0], expected, rtol=1e-9)
    assert path.loss[0] == pytest.approx(np.average(expected, weights=counts[ORIGIN == 0]), rel=1e-9)
    assert not np.allclose(path.held_out[1], expected, rtol=1e-2)
    whole = refitted(X, y, weights[ORIGIN] * counts, alpha, intercept)
    np.testing.assert_allclose(rows.rotation @ path.slopes[0], whole[1:], rtol=1e-9, atol=1e-12)
    level = path.intercepts[0] - rows.offset @ rows.rotation @ path.slopes[0]
    np.testing.assert_allclose(level, whole[0] * intercept, rtol=1e-8, atol=1e-12)


def test_a_count_of_two_is_a_row_given_twice(data):
    X, y = data
    counts = np.where(np.arange(len(X)) % 3 == 0, 2, 1)
    twice = np.repeat(np.arange(len(X)), counts)
    once, again = (
        rows_of(X, y, ORIGIN, counts.astype(float)),
        rows_of(X[twice], y[twice], ORIGIN[twice]),
    )
    for one, other in zip(once.moments, again.moments, strict=True):
        np.testing.assert_allclose(one.squares, other.squares)
        np.testing.assert_allclose(abs(one.gram), abs(other.gram), atol=1e-9)  # eigenvectors have no sign


def test_chunks_change_nothing(data, monkeypatch):
    X, y = data
    whole = rows_of(X, y, ORIGIN)
    monkeypatch.setattr(moments, "CHUNK", 7)
    for one, other in zip(whole.moments, rows_of(X, y, ORIGIN).moments, strict=True):
        np.testing.assert_allclose(one.gram, other.gram, atol=1e-10)


def study(regime, real, *seed):
    """Rows of a data set of the study of mixes, and the exact error of a Scored."""
    found = draw(regime, real, np.random.default_rng(np.random.SeedSequence(seed)))
    features = mix_study._features(regime, found.X)
    rows = rows_of(features.values, found.y[:, None], found.origin)
    return rows, lambda one: mix_study._errors(found, features, rows, one.path, regime)[one.at]


@pytest.fixture
def searched_once(monkeypatch):
    """A search for a maximum that two lists of starts or of shapes share is made once."""
    search, found = evidence._best, {}

    def best(problem, theta):
        key = pickle.dumps((tuple(problem), theta))
        if key not in found:
            found[key] = search(problem, theta)
        return found[key]

    monkeypatch.setattr(evidence, "_best", best)


@pytest.mark.usefixtures("searched_once", "few_shapes")
def test_the_larger_of_two_maxima_is_found(monkeypatch):
    """Digits, four generations of ridge on a kernel: from generators that hardly shrink the search ends where real
    labels are noise, some units of log evidence too low; the choice is then far worse. A hundred directions decide, as
    where there are more real rows."""
    monkeypatch.setattr(evidence, "FEW", 0)
    rows, error = study(MixRegime("digits, RBF", "ridge", 4, 150, ridge=0.03, gamma=0.1), 20, 77, 16, 20, 3)
    evidences, errors = [], []
    for starts in (evidence.STARTS, evidence.STARTS[:1]):
        monkeypatch.setattr(evidence, "STARTS", starts)
        belief = beliefs(rows)
        evidences.append(belief.log_evidence)
        errors.append(error(choose(rows, belief).best))
    assert evidences[0] > evidences[1] + 2
    assert errors[0] < 0.7 * errors[1]


@pytest.mark.usefixtures("searched_once")
def test_what_labels_show_beside_the_shape_of_the_truth_need_not_be_error(monkeypatch):
    """Trees on a kernel, a data set on which the choice shrank too much: the fine part of their labels, half of it the
    truth's, passed for their error. A hundred directions decide, as where there are more real rows."""
    monkeypatch.setattr(evidence, "FEW", 0)
    rows, error = study(MixRegime("friedman, RBF", "trees", 1, 300, gamma=0.1), 20, 77, 26, 20, 7)
    with_fine, plain = errors_by_shapes(monkeypatch, rows, error, ("", "fine"), ("",))
    assert with_fine < 0.8 * plain


@pytest.mark.usefixtures("searched_once")
def test_what_no_teacher_can_hold_is_not_noise(monkeypatch):
    """A linear teacher of a kernel student: without a part that the teacher misses, what it leaves of the truth passes
    for noise of real labels, and its labels are trusted."""
    rows, error = study(LINEAR_TEACHERS[1], 20, 77, 1)
    with_missed, without = errors_by_shapes(monkeypatch, rows, error, ("", "fine", "missed"), ("", "fine"))
    assert with_missed < 0.6 * without


def errors_by_shapes(monkeypatch, rows, error, *kinds):
    """Errors of the choices where the truth may have a second term of some kinds."""
    every, found = evidence.SHAPES, []
    for some in kinds:
        monkeypatch.setattr(evidence, "SHAPES", [shape for shape in every if shape[2] in some])
        found.append(error(choose(rows, beliefs(rows)).best))
    return found


def drawn(rng, teacher_rows, real=30, fake=300, dim=12, noise=0.5):
    """Rows of a linear truth, real and labelled by a least-squares teacher; the exact error of fits."""
    truth = rng.standard_normal(dim) / np.sqrt(dim)
    A = rng.standard_normal((teacher_rows, dim))
    teacher = np.linalg.lstsq(A, A @ truth + noise * rng.standard_normal(teacher_rows))[0]
    X, origin = rng.standard_normal((real + fake, dim)), np.repeat([0, 1], [real, fake])
    y = np.where(origin == 0, X @ truth + noise * rng.standard_normal(real + fake), X @ teacher)
    rows = rows_of(X, y[:, None], origin)

    def errors(path):
        slopes = path.slopes[:, :, 0] @ rows.rotation.T
        return np.sum((slopes - truth) ** 2, axis=1) + (path.intercepts[:, 0] - slopes @ rows.offset) ** 2

    return rows, errors


def test_the_choice_follows_the_teacher():
    """A teacher of 13 rows is worse than 30 real rows, one of 3000 is better than any: the weight must tell them apart.

    Medians of seven data sets each, a factor of several apart from the bounds."""
    weights = {}
    for teacher_rows in (13, 3000):
        rng = np.random.default_rng(0)
        found = []
        for _ in range(7):
            rows, _ = drawn(rng, teacher_rows)
            found.append(choose(rows, beliefs(rows)).best.weights[1])
        weights[teacher_rows] = np.median(found)
    assert weights[13] < 0.1 < weights[3000]


def test_evidence_helps_where_real_rows_are_few():
    """Mean log error of choices on 16 data sets with 15 real rows: with evidence it is below that of leave-one-out by
    itself; the control, leave-one-out on labels of real rows in random order, is far above both."""
    rng, logs = np.random.default_rng(1), []
    for _ in range(16):
        rows, errors = drawn(rng, 24, real=15)
        shuffled = rows._replace(targets=rng.permutation(rows.targets))
        picks = [choose(rows, beliefs(rows)), choose(rows, None), choose(shuffled, None)]
        logs.append([np.log(errors(pick.best.path)[pick.best.at]) for pick in picks])
    ours, alone, control = np.mean(logs, axis=0)
    assert ours < alone < control - 0.1


def two_fits(real=30):
    rows, _ = drawn(np.random.default_rng(6), 24, real)
    targets = np.column_stack([rows.targets, rows.targets[::-1]])
    moments = [m._replace(cross=m.cross @ [[1, 2.0]], squares=m.squares * [1, 4]) for m in rows.moments]
    rows = rows._replace(targets=targets, moments=moments)
    belief = beliefs(rows)
    return rows, belief, score(rows, belief, np.array([1.0, 0.0])), score(rows, belief, np.array([1.0, 1.0]))


@pytest.mark.usefixtures("few_shapes")
def test_doubt_is_the_spread_of_the_difference_over_the_posterior():
    """20000 draws of the truth: relative error of a variance 0.01, bound at four of these."""
    _, belief, one, other = two_fits()
    rng, differences = np.random.default_rng(0), []
    for weight, post in zip(belief.weights, belief.posteriors, strict=True):
        root = np.linalg.cholesky(post.covariance)
        for _ in range(round(20000 * weight)):
            truth = post.mean + belief.unit * (root @ rng.standard_normal(post.mean.shape))
            errors = [np.sum((fit - truth) * (belief.metric @ (fit - truth))) / 2 for fit in (one.fit, other.fit)]
            differences.append(errors[0] - errors[1])
    assert belief.doubt(one.fit, other.fit) == pytest.approx(np.var(differences), rel=0.04)


def test_scores_count_by_their_precision(monkeypatch):
    monkeypatch.setattr(choice, "misfit", lambda *given: 1.0)  # of a model that nothing contradicts
    rows, belief, one, other = two_fits()
    squares = one.path.held_out[one.at] - other.path.held_out[other.at]
    variance = np.var(squares, ddof=1) * (1 / 30 + 1 / 29)
    mean, error = gap(rows, one, other)
    assert (mean, error) == (pytest.approx(squares.mean()), pytest.approx(np.sqrt(variance)))
    share = share_of_risk(rows, belief, one, other)
    assert share / (1 - share) == pytest.approx(variance / belief.doubt(one.fit, other.fit))
    assert share_of_risk(rows, belief, one, one) == 1
    found = choose(rows, belief)
    best = min(found.every, key=lambda scored: scored.best)
    likes = [min((scored.judged(q) for scored in found.every), key=lambda scored: scored.best) for q in (1.0, 0.0)]
    q = share_of_risk(rows, belief, *likes)
    np.testing.assert_allclose(best.score, (1 - q) * best.path.loss + q * (best.risk + best.noise), rtol=1e-12)


def test_a_model_that_leave_one_out_contradicts_counts_less():
    """One that takes the synthetic labels for the truth is found out: its variances grow until disagreements are as
    large as both scores say. The model that data come from is not."""
    rng, factors = np.random.default_rng(8), []
    for _ in range(12):
        rows, _ = drawn(rng, 24, 200)
        belief = beliefs(rows)
        taught = score(rows, belief, np.array([1.0, 100.0])).judged(0.0).fit
        wrong = [one._replace(mean=taught, covariance=one.covariance / 100) for one in belief.posteriors]
        wrong = belief._replace(posteriors=wrong)
        found = []
        for model in (belief, wrong):
            others = [score(rows, model, np.array([1.0, weight])) for weight in (0.0, 0.1, 0.35, 1.0, 3.0)]
            expected = min(others, key=lambda one: one.best)
            factor = misfit(rows, model, expected, others)
            found.append(factor)
            if factor > 1:
                ratios = []
                for one in others:
                    if one is not expected:
                        mean, error = gap(rows, one, expected)
                        doubt = factor * model.doubt(one.fit, expected.fit)
                        told = one.risk[one.at] - expected.risk[expected.at]
                        ratios.append((mean - told) ** 2 / (error**2 + doubt))
                assert np.mean(ratios) == pytest.approx(1, rel=1e-6)
            shares = [share_of_risk(rows, model, expected, others[1], given) for given in (others, ())]
            assert shares[0] < shares[1] if factor > 1 and others[1] is not expected else shares[0] == shares[1]
        factors.append(found)
    right, wrong = np.median(factors, axis=0)
    assert right < 2 < 10 < wrong


def test_posterior_expected_error_is_calibrated():
    """Where data come from the model, the mean of the true error over its posterior expectation is 1: 30 data sets,
    relative spread of one about 0.5, hence 0.09 for the mean; bounds at three of these. Half the error is refused."""
    rng, ratios = np.random.default_rng(2), []
    for _ in range(30):
        rows, errors = drawn(rng, 24)
        fits = score(rows, beliefs(rows), np.array([1.0, 0.3]))
        ratios.append(errors(fits.path)[fits.at] / fits.risk[fits.at])
    assert 0.7 < np.mean(ratios) < 1.3
    assert np.mean(ratios) / 2 < 0.7


def test_what_is_known_of_a_teacher_is_its_error():
    """Provenance of a least-squares teacher gives σ0² / (T0 - d - 1) per direction, over the variance of the inputs."""
    rows, _ = drawn(np.random.default_rng(3), 40)
    belief = beliefs(rows)
    known = known_teachers(rows, belief, {1: Provenance(2, 40, 0.5)})[1]
    expected = 2 * 0.5**2 / (40 - 12 - 1) / rows.variances / belief.unit[0] ** 2
    np.testing.assert_allclose(known.variances[1:], expected, rtol=1e-12)
    assert known_teachers(rows, belief, {1: Provenance(2, 12, 0.5)}) == {}


def test_provenance_that_the_rows_contradict_is_refused():
    """A teacher of 16 rows that is said to have had 10000: refused; the truth is not."""
    rows, _ = drawn(np.random.default_rng(3), 16, real=100)
    plain = beliefs(rows)
    assert informed(rows, plain, {1: Provenance(1, 16, 0.5)})[1:] == (True, False)
    belief, used, refused = informed(rows, plain, {1: Provenance(1, 10000, 0.5)})
    assert (used, refused, belief is plain) == (False, True, True)
    assert informed(rows, plain, {}) == (plain, False, False)


def test_more_than_a_hundred_directions_are_not_noise(monkeypatch):
    """Equal directions, 150: where the first hundred decide, what the others carry passes for noise of the labels, and
    the choice shrinks far too much, unless leave-one-out may say so: mean log error over two data sets 0.4 above, and
    more. Three pairs of shapes, for the time: on equal directions all say nearly the same."""
    monkeypatch.setattr(choice, "misfit", lambda *given: 1.0)
    monkeypatch.setattr(evidence, "FEW", 0)
    monkeypatch.setattr(evidence, "SHAPES", [(0.0, 0.0, ""), (0.5, -1.0, ""), (0.5, -1.0, "fine")])
    logs = []
    for quick in (evidence.QUICK, 0):
        monkeypatch.setattr(evidence, "QUICK", quick)
        rng, found = np.random.default_rng(7), []
        for _ in range(2):
            rows, errors = drawn(rng, 300, real=40, fake=160, dim=150, noise=0.1)
            pick = choose(rows, beliefs(rows)).best
            found.append(np.log(errors(pick.path)[pick.at]))
        logs.append(np.mean(found))
    assert logs[0] < logs[1] - 0.4


def test_smooth_labels_have_no_noise(monkeypatch):
    """A plane as labels of 400 rows, learned by a kernel with 20 real rows: where a hundred directions decide, what the
    others hold of the plane passes for noise of the labels, and the choice shrinks them. Two of the shapes."""
    rows, error = study(LINEAR_TEACHERS[5], 20, 4242, 3, 20)
    monkeypatch.setattr(evidence, "SHAPES", [(1.0, -1.0, "fine"), (0.5, -1.0, "")])
    noises, errors = [], []
    for few in (evidence.FEW, 0):
        monkeypatch.setattr(evidence, "FEW", few)
        belief = beliefs(rows)
        noises.append(np.exp(min(one.theta[3] for one in belief.posteriors)))
        errors.append(error(choose(rows, belief).best))
    assert noises[0] < 5e-3 < 0.02 < noises[1]
    assert errors[0] < 0.95 * errors[1]


def test_several_origins_are_weighed_one_by_one():
    """A good and a useless teacher in one data set."""
    rng = np.random.default_rng(4)
    truth, X = rng.standard_normal(8), rng.standard_normal((430, 8))
    origin = np.repeat([0, 1, 2], [30, 200, 200])
    y = X @ truth + np.where(origin == 0, 1.0, 0.0) * rng.standard_normal(430)
    y[origin == 2] = X[origin == 2] @ rng.standard_normal(8)
    rows = rows_of(X, y[:, None], origin)
    found = choose(rows, beliefs(rows))
    assert found.best.weights[1] > 0.3 > 0.05 > found.best.weights[2]
    assert found.best.best <= min(found.alone.best, found.pooled.best)


@pytest.mark.usefixtures("few_shapes")
def test_errors_of_labels_are_found():
    """What a teacher of 24 rows got wrong: the mean estimate of 24 data sets within a third of the exact mean (the
    relative spread of one is about 0.6, so 2.7 standard errors), that of a teacher of 200 rows far below."""
    rng, ratios, levels = np.random.default_rng(5), [], []
    for teacher_rows in [24] * 24 + [200] * 6:
        rows, _ = drawn(rng, teacher_rows)
        belief = beliefs(rows)
        (gap, V), *_ = belief.posteriors[0].errors
        estimate = np.sum(gap * (belief.metric @ gap)) + belief.unit[0] ** 2 * np.sum(belief.metric * V)
        (ratios if teacher_rows == 24 else levels).append(estimate / (0.5**2 * 12 / (24 - 12 - 1)))
    assert 0.67 < np.mean(ratios) < 1.33
    assert np.mean(levels) < 0.3
