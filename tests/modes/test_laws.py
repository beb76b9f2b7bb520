"""Missing mass and modes of a law: panels against mpmath and against plain sums, their regimes, their inputs."""

import mpmath
import numpy as np
import pytest
from scipy.special import betaln, gammaln, zeta

import modelcollapse as mc
from modelcollapse.theory.modes.samples import counts

modes = mc.modes


def summed_by_mpmath(beta, term, head=400):
    """Σ_i term(i^-β/ζ(β)) over all i by Euler and Maclaurin, 20 digits."""
    with mpmath.workdps(20):
        beta = mpmath.mpf(beta)
        scale = mpmath.zeta(beta)

        def f(i):
            return term(mpmath.mpf(i) ** -beta / scale)

        total = mpmath.fsum(f(i) for i in range(1, head)) + f(head) / 2
        start = mpmath.log(head)
        total += mpmath.quad(lambda u: f(mpmath.exp(u)) * mpmath.exp(u), [start + 4 * k for k in range(10)] + [400])
        return float(total - mpmath.diff(f, head) / 12 + mpmath.diff(f, head, 3) / 720)


@pytest.mark.parametrize("beta", [1.2, 1.5, 2.5])
@pytest.mark.parametrize("samples", [100, 1e5])
def test_zipf_sums_are_those_of_mpmath(beta, samples):
    law = modes.zipf(beta)
    missing = summed_by_mpmath(beta, lambda p: p * (1 - p) ** samples)
    seen = summed_by_mpmath(beta, lambda p: -mpmath.expm1(samples * mpmath.log1p(-p)))
    assert abs(law.missing_mass(samples) / missing - 1) < 1e-9
    assert abs(law.modes(samples) / seen - 1) < 1e-9
    assert abs(modes.zipf(beta + 1e-6).modes(samples) / seen - 1) > 1e-8  # the comparison is that sharp


RANKS = np.arange(1.0, 2e6 + 1)


@pytest.mark.parametrize("beta", [1.1, 1.5, 2.0, 3.5])
def test_zipf_sums_are_plain_ones(beta):
    p, scale = RANKS**-beta / zeta(beta), zeta(beta)
    mass, squares = zeta(beta, 2e6 + 1) / scale, zeta(2 * beta, 2e6 + 1) / scale**2
    law = modes.zipf(beta)
    for samples in (10.0, 100.5, 1000.0):
        unseen = np.sum(p * np.exp(samples * np.log1p(-p))) + mass - samples * squares
        assert abs(law.missing_mass(samples) / unseen - 1) < 2e-12
    assert abs(law.entropy / (np.log(scale) + beta * summed_log(beta) / scale) - 1) < 1e-12
    assert abs(law.diversity - (1 - zeta(2 * beta) / scale**2)) < 1e-14


def summed_log(beta):
    """-ζ'(β)."""
    return float(-mpmath.zeta(beta, derivative=1))


CLOSED = [(1.1, 10, 1.4e-2), (3.5, 10, 1.4e-2), (1.5, 100, 8.5e-6), (2.0, 100, 8.5e-6), (3.5, 100, 4.2e-3),
          (3.5, 1000, 4.4e-6), (1.1, 1e5, 4.4e-6), (2.0, 1e5, 4.4e-6), (3.5, 1e5, 4.4e-6)]  # fmt: skip


@pytest.mark.parametrize(("beta", "samples", "budget"), CLOSED)
def test_the_closed_forms_have_no_power_corrections(beta, samples, budget):
    c, scale = 1 - 1 / beta, zeta(beta) ** (-1 / beta)
    law = modes.zipf(beta)
    assert abs(scale / beta * np.exp(betaln(c, samples + 1)) / law.missing_mass(samples) - 1) < budget
    assert abs((scale * samples * np.exp(betaln(c, samples)) - 0.5) / law.modes(samples) - 1) < budget
    if samples > 10:
        without_half = scale * samples * np.exp(betaln(c, samples))
        assert abs(without_half / law.modes(samples) - 1) > budget


def test_one_more_draw_shows_a_new_mode_by_the_missing_mass():
    for law in (modes.zipf(1.3), modes.zipf(0.8, size=10**6), modes.frequencies([0.5, 0.3, 0.2])):
        samples = np.array([0.0, 1.0, 7.5, 300.0])
        np.testing.assert_allclose(law.missing_mass(samples), law.modes(samples + 1) - law.modes(samples), atol=1e-10)


@pytest.mark.parametrize(
    ("size", "cut"), [(5, None), (5, 3), (90, 70), (4000, None), (4000, 3), (4000, 70), (4000, 130)]
)
def test_a_finite_zipf_law_is_its_frequencies(size, cut):
    q = np.arange(1.0, size + 1) ** -1.4
    law, plain = modes.zipf(1.4, size=size, cut=cut), modes.frequencies(q / q.sum())
    plain = plain if cut is None else plain.cut(cut)
    for name in ("entropy", "diversity"):
        assert abs(getattr(law, name) - getattr(plain, name)) < 1e-12
    np.testing.assert_allclose(law.missing_mass([3, 50.5]), plain.missing_mass([3, 50.5]), rtol=1e-12)
    np.testing.assert_allclose(law.missing_mass(50, real_share=0.2), plain.missing_mass(50, real_share=0.2), rtol=1e-12)


@pytest.mark.parametrize("beta", [1.2, 1.5, 2.0, 3.0])
def test_a_cut_generator_never_gets_below_what_it_dropped(beta):
    cut, scale = 100, zeta(beta)
    law, floor = modes.zipf(beta, cut=cut), zeta(beta, cut + 1) / scale
    p = RANKS**-beta / scale
    kept = p[:cut].sum()
    direct = np.sum(p[:cut] * (1 - p[:cut] / kept) ** 500) + floor
    assert abs(law.missing_mass(500) / direct - 1) < 1e-12
    crossing = np.exp(gammaln(2 - 1 / beta) * beta / (beta - 1)) * scale * cut**beta
    share = law.missing_mass(crossing) / floor
    assert abs(share - {1.2: 1.04, 1.5: 1.13, 2.0: 1.21, 3.0: 1.26}[beta]) < 0.015
    larger = max(floor, scale ** (-1 / beta) / beta * np.exp(gammaln(1 - 1 / beta)) * crossing ** (1 / beta - 1))
    assert -0.08 < law.missing_mass(crossing) / larger - 1 < 0.27


def test_a_narrowed_generator_has_a_slower_law():
    beta, narrow, samples = 1.5, 2.0, 1e4
    c = (beta - 1) / narrow
    expected = zeta(narrow) ** c / (narrow * zeta(beta)) * np.exp(betaln(c, samples + 1))
    assert abs(modes.zipf(beta, exponent=narrow).missing_mass(samples) / expected - 1) < 1e-9
    assert modes.zipf(beta, exponent=beta).missing_mass(samples) == modes.zipf(beta).missing_mass(samples)


def test_the_best_temperature_of_a_memoriser():
    """Above 1, where labels stay right: the minimum of the leading term."""
    beta = 1.5
    for samples, best, gain in ((1e2, 1.13, 0.96), (1e4, 1.31, 0.67), (1e6, 1.38, 0.39)):
        temperatures = np.linspace(1.01, 1.45, 441)
        narrow = beta / temperatures
        c = (beta - 1) / narrow
        errors = zeta(narrow) ** c / (narrow * zeta(beta)) * np.exp(gammaln(c)) * samples**-c
        plain = zeta(beta) ** (-1 / beta) / beta * np.exp(gammaln(1 - 1 / beta)) * samples ** (1 / beta - 1)
        assert abs(temperatures[np.argmin(errors)] - best) < 0.02
        assert abs(errors.min() / plain - gain) < 0.02
    law = modes.zipf(beta)
    assert law.tempered(1.3).missing_mass(1e6) < 0.5 * law.missing_mass(1e6)


def test_a_grid_of_temperatures_and_cuts_is_its_points():
    law, hot = modes.frequencies([0.5, 0.3, 0.15, 0.05]), np.array([[0.5], [1.0], [2.0]])
    grid = law.tempered(hot).cut([2, 3])
    assert grid.shape == grid.entropy.shape == (3, 2)
    assert grid.missing_mass([[[5.0]], [[50.0]]]).shape == (2, 3, 2)
    for i, j in np.ndindex(3, 2):
        one = law.tempered(hot[i, 0]).cut(j + 2)
        for name in ("entropy", "diversity"):
            assert abs(getattr(grid, name)[i, j] - getattr(one, name)) < 1e-14
        assert abs(grid.missing_mass(9)[i, j] - one.missing_mass(9)) < 1e-14
    loop = modes.mix(law.tempered([0.8, 1.3]), 4, 60, 0.1)
    assert loop.shape == loop.alive.shape == (2,)
    assert (loop.crosscheck(200, 1, budget=0.001).verdicts["alive"] == "agrees").all()
    with pytest.raises(ValueError, match="grids have shapes"):
        law.tempered([1.0, 2.0]).tempered([1.0, 2.0, 3.0])


def test_a_finite_generator_stops_at_its_own_missing_mass():
    law, own = modes.zipf(1.5), 1000
    curve = law.missing_mass([1e3, 1e5, 1e7], generator_samples=own, real_share=0.01)
    no_real = law.missing_mass(1e7, generator_samples=own)
    assert abs(no_real / law.missing_mass(own) - 1) < 1e-6
    assert curve[1] > 0.6 * law.missing_mass(own) > curve[2]
    rng = np.random.default_rng(0)
    p = modes.frequencies(np.arange(1.0, 400) ** -1.5 / np.sum(np.arange(1.0, 400) ** -1.5))
    runs = [mass_after(p.probabilities, own=100, samples=500, rng=rng) for _ in range(2000)]
    predicted = p.missing_mass(500, generator_samples=100, real_share=0.2)
    assert abs(np.mean(runs) - predicted) < 5 * np.std(runs) / np.sqrt(2000) < 0.01 * predicted * 5


def mass_after(p, own, samples, rng):
    generator = rng.multinomial(own, p)
    seen = rng.multinomial(int(0.8 * samples), generator / own) + rng.multinomial(int(0.2 * samples), p)
    return p[seen == 0].sum()


def test_rarefaction_is_unbiased_and_good_turing_at_the_end():
    rng, p = np.random.default_rng(1), np.arange(1.0, 300) ** -1.3
    p /= p.sum()
    law, found = modes.frequencies(p), []
    for _ in range(1200):
        sample = counts(rng.multinomial(200, p))
        found.append([sample.rarefied_modes(60), sample.rarefied_missing_mass(60), sample.rarefied_missing_mass(200)])
    mean, error = np.mean(found, 0), np.std(found, 0) / np.sqrt(1200)
    expected = np.array([law.modes(60), law.missing_mass(60), law.missing_mass(199)])
    assert (abs(mean - expected) < 4.5 * error).all()
    assert (abs(mean * 1.04 - expected) > 4.5 * error).all()
    assert abs(counts([7, 2, 1]).rarefied_modes(1) - 1) < 1e-14


@pytest.mark.parametrize(("wrong", "error", "words"), [
    (lambda: modes.zipf(1.0), ValueError, r"beta = 1.* is outside \(1, inf\); .*summable"),
    (lambda: modes.zipf("1.5"), TypeError, "beta"),
    (lambda: modes.zipf(1.5, cut=0), ValueError, "cut = 0"),
    (lambda: modes.zipf(1.5, cut=2.5), ValueError, "cut = 2.5"),
    (lambda: modes.zipf(1.5, exponent=0.9), ValueError, "exponent = 0.9"),
    (lambda: modes.zipf(1.5).tempered(1.6), ValueError, "temperature = 1.6 .*below beta"),
    (lambda: modes.zipf(1.5, size=2e20), ValueError, "size = 2e\\+20"),
    (lambda: modes.frequencies([0.5, 0.6]), ValueError, "p has the sum 1.1; .*counts"),
    (lambda: modes.frequencies([[0.5, 0.5]]), ValueError, "p has shape"),
    (lambda: modes.frequencies([1.5, -0.5]), ValueError, r"p\[1\] = -0.5"),
    (lambda: modes.counts([1.5, 2]), ValueError, r"n\[0\] = 1.5"),
    (lambda: modes.counts([0, 0]), ValueError, "sum 0"),
    (lambda: modes.ngrams("word", 2), ValueError, "text has 1 tokens"),
    (lambda: modes.zipf(1.5).modes(-1), ValueError, "samples = -1"),
    (lambda: modes.zipf(1.5).missing_mass(10, real_share=2), ValueError, "real_share = 2"),
    (lambda: modes.zipf([1.5, 2.0, 3.0], cut=[10, 20]), ValueError, "grids have shapes"),
])  # fmt: skip
def test_bad_input_gets_one_sentence(wrong, error, words):
    with pytest.raises(error, match=words):
        wrong()
