"""Closed forms of tails at the source, against the sums over all symbols that laws take, and how far orders are off."""

import numpy as np
import pytest
from scipy.special import gamma, zeta

import modelcollapse as mc
from modelcollapse.theory import catalogue

modes = mc.modes
BETAS = (1.2, 1.5, 2.0, 3.0)


def closed(name, beta, **rest):
    import jax

    function = jax.jit(catalogue[name].function())
    with jax.enable_x64(True):
        return float(function(tail_exponent=beta, **{key: float(value) for key, value in rest.items()}))


def kept_mass(beta, cut):
    return 1 - zeta(beta, cut + 1) / zeta(beta)


@pytest.mark.parametrize(("cut", "budget"), [(10, 4e-3), (100, 5e-6)])
@pytest.mark.parametrize("beta", BETAS)
def test_a_cut_law(beta, cut, budget):
    law = modes.zipf(beta, cut=cut)
    for samples in (100 * cut**beta, 3000 * cut**beta) if cut == 10 else (3000.0, 1e5, 1e7):
        found = closed("cut_missing_mass", beta, samples=samples, kept_modes=cut, kept_mass=kept_mass(beta, cut))
        assert abs(found / law.missing_mass(samples) - 1) < budget
    late = closed("cut_missing_mass", beta, samples=samples, kept_modes=cut + 1, kept_mass=kept_mass(beta, cut + 1))
    assert abs(late / law.missing_mass(samples) - 1) > budget


@pytest.mark.parametrize(("cut", "budget"), [(10, 2.5e-3), (100, 2.5e-5)])
@pytest.mark.parametrize("real", [0.1, 0.01])
@pytest.mark.parametrize("beta", BETAS)
def test_a_plateau(beta, real, cut, budget):
    """From its middle on; four times as far off where it begins, as e^(-pT) is not yet (1-p)^T."""
    law = modes.zipf(beta, cut=cut)
    samples = catalogue["cut_crossing"].evaluate(tail_exponent=beta, kept_modes=cut)
    at = {"kept_modes": cut, "kept_mass": kept_mass(beta, cut), "real_part": real}
    for size in (1.0, real**-0.5, 1 / real, 10 / real):
        allowed = 4 * budget if size == 1 else budget
        exact = law.missing_mass(float(samples) * size, real_share=real)
        assert abs(closed("plateau_error", beta, samples=float(samples) * size, **at) / exact - 1) < allowed
    wrong = closed("plateau_error", beta, samples=float(samples) * size, **at | {"real_part": 1.2 * real})
    assert abs(wrong / exact - 1) > budget


def test_the_larger_asymptote_is_an_order():
    """The error is 8 % below to 27 % above it for k ≥ 100, 25 % below to 19 % above for k = 10."""
    for cut, low, high in ((10, -0.25, 0.28), (100, -0.085, 0.28), (1000, -0.085, 0.28)):
        found = []
        for beta in np.linspace(1.2, 3.0, 7):
            c, scale = 1 - 1 / beta, zeta(beta)
            samples = np.geomspace(0.01, 100, 60) * float(
                catalogue["cut_crossing"].evaluate(tail_exponent=beta, kept_modes=cut)
            )
            learning = scale ** (-1 / beta) / beta * gamma(c) * samples**-c
            floor = cut ** (1 - beta) / (beta - 1) / scale
            found.append(modes.zipf(beta, cut=cut).missing_mass(samples) / np.maximum(learning, floor) - 1)
        assert low < np.min(found)
        assert 0.15 < np.max(found) < high
        assert cut > 10 or np.min(found) < -0.085


def test_a_narrowed_generator_at_its_crossing():
    """0.75 to 0.87 of either branch, farther below the closer the exponents."""
    for beta, narrow, real in ((1.3, 1.8, 0.01), (1.5, 2.5, 0.01), (1.8, 3.0, 0.1)):
        samples = float(
            catalogue["narrowed_crossing"].evaluate(tail_exponent=beta, generator_exponent=narrow, real_part=real)
        )
        branch = modes.zipf(beta).missing_mass(real * samples)
        at = modes.zipf(beta, exponent=narrow).missing_mass(samples, real_share=real) / branch
        assert 0.75 < at < 0.88


def test_entropy_of_the_records():
    """H_0 and ρ_1 of the records are those of laws and of their first generation, of many draws."""
    for beta in (1.2, 1.5, 2.0, 3.0):
        law = modes.zipf(beta)
        assert abs(closed("zipf_entropy", beta) / law.entropy - 1) < 1e-12
        loop = modes.replace(law, 1, 1e9)
        ratio = loop.divergence / loop.missing_mass()
        assert abs(closed("entropy_per_mass_first", beta) / ratio - 1) < 2e-3
        assert abs(closed("entropy_per_mass", beta) / ratio - 1) > 0.05


def test_the_variance_of_modes_is_that_of_draws():
    """4000 samples of 300 draws: a sample variance is known to 2.2 %, three of these; the fixed number is 8 % of it."""
    p, rng = np.arange(1.0, 20_001) ** -2.0, np.random.default_rng(0)
    p /= p.sum()
    seen = [np.unique(rng.choice(len(p), 300, p=p)).size for _ in range(4000)]
    fixed, poisson = (closed("zipf_modes_variance", 2.0, founders=300, founders_variance=v) for v in (1e-4, 299.99))
    assert abs(np.var(seen) / fixed - 1) < 0.067
    assert abs(fixed / poisson - 1) > 0.03
