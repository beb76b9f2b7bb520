"""The fast paths say the same as the slow ones: tables in log κ, shared lanes, remembered spectra. Nothing is timed."""

from decimal import Decimal, localcontext

import jax
import numpy as np
import pytest

import modelcollapse as mc
from modelcollapse.numerics import arrays
from modelcollapse.numerics.compilation_cache import keep_compiled_kernels
from modelcollapse.numerics.equivalents import sources
from modelcollapse.numerics.evaluation import surfaces, tables

SAMPLES = np.geomspace(3, 300, 30)[:, None]
RIDGES = np.geomspace(1e-9, 3, 25)
POWER_LAW = mc.power_law(1.5, 0.5, dim=200)


@pytest.fixture
def look_ups(monkeypatch):
    """Counts the look-ups, so that no test passes for want of a table."""
    used = []

    def counted(*arguments, look_up=tables.look_up):
        used.append(arguments)
        return look_up(*arguments)

    monkeypatch.setattr(tables, "look_up", counted)
    return used


def directly(monkeypatch, model, **options):
    with monkeypatch.context() as patch:
        patch.setattr(surfaces, "FEWEST_POINTS", np.inf)
        return mc.predict(model, **options)


def named(value):
    return value if isinstance(value, str) else ""


def pipelines():
    w0 = mc.truth(POWER_LAW)
    teacher = mc.fit(w0.label(120, 0.3, inputs=np.sqrt), w0.label(50, 0.1), ridge=1e-3)
    n = np.array([0, 1, 7])[:, None, None]
    few = mc.truth(mc.isotropic(200, signal=2.0))
    yield "clean", mc.fit(w0.label(SAMPLES, 0.1), ridge=RIDGES), {}
    yield "no noise", mc.fit(w0.label(SAMPLES), ridge=RIDGES), {}
    yield "least-squares chain", mc.fit(mc.chain(w0, 5, 4000, 0.2).label(SAMPLES, 0.1), ridge=RIDGES), {}
    yield "exact chain", mc.fit(mc.chain(w0, 5, 250, 0.2).label(SAMPLES, 0.1), ridge=RIDGES), {"finite_size": True}
    yield "several chains", mc.fit(mc.chain(w0, n, 90, 0.2, 0.01).label(SAMPLES, 0.1), ridge=RIDGES), {}
    yield "shifted teacher", mc.fit(teacher.label(SAMPLES, 0.1), ridge=RIDGES), {}
    yield "weights", mc.fit(teacher.label(SAMPLES, 0.1, weight=2.5), ridge=RIDGES), {}
    yield "shifted test", mc.fit(teacher.label(SAMPLES, 0.1), ridge=RIDGES), {"inputs": lambda s: s**0.7}
    yield "mixed labels", mc.fit((1.5 * teacher - 0.5 * w0).label(SAMPLES, 0.1), ridge=RIDGES), {}
    yield "isotropic", mc.fit(mc.accumulate(few, 3, 90, 0.2, 0.5).label(SAMPLES, 0.1), ridge=RIDGES), {}
    yield "noise as a grid", mc.fit(w0.label(50, SAMPLES / 300), ridge=RIDGES), {}


@pytest.mark.parametrize(("name", "model", "options"), list(pipelines()), ids=named)
def test_tables_agree_with_direct_evaluation(name, model, options, look_ups, monkeypatch):
    direct = directly(monkeypatch, model, **options)
    assert not look_ups
    surface = mc.predict(model, **options)
    assert look_ups
    for part, value in surface.to_dict().items():
        scale = direct.test_error if part == "collapse" else direct.to_dict()[part]
        assert np.all(np.abs(value - direct.to_dict()[part]) <= 1e-12 * scale), part


def test_a_planted_error_in_a_table_is_seen(monkeypatch):
    model = mc.fit(mc.truth(POWER_LAW).label(SAMPLES, 0.1), ridge=RIDGES)
    direct = directly(monkeypatch, model).test_error

    def wrong(*arguments, tabulate=tables.tabulate):
        table = tabulate(*arguments)
        return table._replace(coefficients=table.coefficients * (1 + 1e-11))

    monkeypatch.setattr(tables, "tabulate", wrong)
    assert np.max(np.abs(mc.predict(model).test_error / direct - 1)) > 1e-12


def test_points_that_tables_do_not_serve(look_ups, monkeypatch):
    """λ = 0 on both sides of T = d and at it, and λ = ∞, in one grid with points that tables do serve."""
    samples = np.concatenate([np.geomspace(3, 80, 27), [99, 100, 101]])[:, None]
    ridges = np.concatenate([[0.0, np.inf], np.geomspace(1e-9, 3, 23)])
    w0 = mc.truth(mc.power_law(1.5, 0.5, dim=100))
    model = mc.fit(mc.chain(w0, 2, 400, 0.1).label(samples, 0.1), ridge=ridges)
    surface, direct = mc.predict(model), directly(monkeypatch, model)
    assert look_ups
    np.testing.assert_allclose(surface.test_error, direct.test_error, rtol=1e-12)
    assert surface.test_error[28, 0] == np.inf
    assert np.all(np.isfinite(np.delete(surface.test_error.ravel(), 28 * 25)))


# --- hard problems, in 60 digits ----------------------------------------------------------------------------------

INDEX = np.arange(1.0, 61)


def hard_problems():
    """Eigenvalues, samples and ridges; every grid has more points than make tables pay."""
    near = np.array([0.5, 30, 58, 59, 60 - 1e-9, 60 + 1e-9, 60.5, 61, 62, 120, 6000.0])[:, None]
    ridges = np.concatenate([[0.0], np.geomspace(1e-14, 1, 60)])
    yield "power law around T = d", INDEX**-1.5, near, ridges
    yield "exponential", np.exp(-INDEX), near, ridges
    yield "kernel scaled by 1e-10", 1e-10 * INDEX**-1.5, near, 1e-10 * ridges
    yield "kernel scaled by 1e12", 1e12 * INDEX**-1.5, near, 1e12 * ridges
    yield "zero eigenvalues", np.append(INDEX**-1.5, np.zeros(40)), near, ridges
    yield "one eigenvalue of 1e-30", np.append(INDEX[:-1] ** -1.5, 1e-30), near, ridges


def reference(s, signal, samples, noise, ridge, generations, rows, start):
    """E_clean + n·Δ from its formulas; κ by bisection between signs that 60 digits decide."""
    with localcontext(prec=60):
        s, signal = [Decimal(float(x)) for x in s], [Decimal(float(x)) for x in signal]
        T, ridge, noise = Decimal(float(samples)), Decimal(float(ridge)), Decimal(noise)
        d = sum(x > 0 for x in s)

        def excess(kappa):
            return T - sum(x / (x + kappa) for x in s) - T * ridge / kappa

        kappa = Decimal(0)
        if ridge > 0 or T < d:
            low, high = start / Decimal("1.5"), start * Decimal("1.5")
            assert excess(low) < 0 < excess(high)
            for _ in range(50):
                middle = (low * high).sqrt()
                low, high = (low, middle) if excess(middle) > 0 else (middle, high)
            kappa = low
        pairs = [(x / (x + kappa), x * w, kappa / (x + kappa)) for x, w in zip(s, signal, strict=True) if x > 0]
        two = sum(p**2 for p, _, _ in pairs)
        bias = sum(energy * q**2 for _, energy, q in pairs)
        left = T - two
        clean = (bias + noise**2 * two / T) / (1 - two / T)
        delta = noise**2 / (rows - d) * (two + sum(q**2 for _, _, q in pairs) * two / left)
        return float(clean + generations * delta)


@pytest.mark.parametrize(("name", "s", "samples", "ridges"), list(hard_problems()), ids=named)
def test_hard_problems_in_sixty_digits(name, s, samples, ridges, look_ups):
    """Relative error 1e-9 throughout; T itself is rounded at T = d ∓ 1e-9, which moves the exact error by 7e-6."""
    signal = np.ones_like(s)
    model = mc.fit(mc.chain(mc.truth(mc.Spectrum(s, signal)), 10, 1200, 0.1).label(samples, 0.1), ridge=ridges)
    errors = mc.predict(model).test_error
    assert look_ups
    kappa = mc.effective_ridge(mc.Spectrum(s, signal), samples, ridges)
    for i in range(len(samples)):
        for j in (0, 1, 23, 60)[i % 2 :: 2]:
            expected = reference(s, signal, samples[i, 0], 0.1, ridges[j], 10, 1200, Decimal(float(kappa[i, j])))
            assert errors[i, j] == pytest.approx(expected, rel=1e-9), (samples[i, 0], ridges[j])


def test_one_hundred_thousand_eigenvalues_of_a_steep_power_law(look_ups):
    """j^-4, the atoms of the tables against the plain sum over all directions, at κ certified by its equation."""
    s = np.arange(1.0, 100_001) ** -4
    samples, ridges = np.geomspace(10, 5e4, 30)[:, None], np.geomspace(1e-16, 1, 30)
    spectrum = mc.Spectrum(s, np.ones_like(s))
    errors = mc.predict(mc.fit(mc.truth(spectrum).label(samples, 0.1), ridge=ridges)).test_error
    assert look_ups
    kappa = mc.effective_ridge(spectrum, samples, ridges)
    for i, j in [(0, 0), (0, 29), (15, 10), (29, 0), (29, 29)]:
        T, k = samples[i, 0], kappa[i, j]
        p = s / (s + k)
        assert k - ridges[j] == pytest.approx(k * p.sum() / T, rel=1e-10)
        expected = (np.sum(s * (1 - p) ** 2) + 0.01 * np.sum(p**2) / T) / (1 - np.sum(p**2) / T)
        assert errors[i, j] == pytest.approx(expected, rel=1e-9)


# --- what is shared and remembered --------------------------------------------------------------------------------


def test_generations_are_computed_once_for_a_grid_of_last_fits(monkeypatch):
    """On a grid too small for tables, the chain runs on one lane."""
    from modelcollapse.numerics.evaluation import on_spectrum
    from modelcollapse.theory.pipelines.steps import ChainStep

    lanes, (kernel, looped) = [], on_spectrum._KERNELS[ChainStep]

    def watched(atoms, *arguments, **options):
        lanes.append(len(arguments[0]))
        return kernel(atoms, *arguments, **options)

    monkeypatch.setitem(on_spectrum._KERNELS, ChainStep, (watched, looped))
    model = mc.fit(mc.chain(mc.truth(POWER_LAW), 3, 90, 0.2, 0.1).label(SAMPLES, 0.1), ridge=0.1)
    errors = mc.predict(model).test_error
    assert lanes == [1]
    point = mc.fit(mc.chain(mc.truth(POWER_LAW), 3, 90, 0.2, 0.1).label(float(SAMPLES[7, 0]), 0.1), ridge=0.1)
    assert errors[7, 0] == pytest.approx(mc.predict(point).test_error, rel=1e-13)


@pytest.fixture
def compiled():
    """The names of what JAX has compiled since."""
    names = []

    def listen(event, seconds, fun_name="", **_):
        if event.endswith("backend_compile_duration"):
            names.append(fun_name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


def test_numbers_and_grid_sizes_do_not_compile(compiled):
    """New numbers, another pipeline and another size of grid on a spectrum of as many atoms compile no table kernel."""
    jax.clear_caches()
    w0 = mc.truth(POWER_LAW)
    mc.predict(mc.fit(mc.chain(w0, 3, 400, 0.2).label(SAMPLES, 0.1), ridge=RIDGES))
    assert {"jit(tabulate)", "jit(look_up)"} <= set(compiled)
    compiled.clear()
    other = mc.accumulate(w0, 2, 90, 0.1, 0.3)
    mc.predict(mc.fit(other.label(np.geomspace(3, 290, 41)[:, None], 0.3), ridge=RIDGES * 0.9))
    assert not {"jit(tabulate)", "jit(look_up)"} & set(compiled)


def test_kernels_compile_by_options_of_their_own_only_where_xla_has_them(monkeypatch):
    """A kernel within a caller's jit takes the caller's options, which JAX demands."""
    assert arrays._accepted({"xla_cpu_nonsense": False}) is None
    options = {"xla_backend_optimization_level": 1}
    assert arrays._accepted(options) is options
    asked = []
    monkeypatch.setattr(arrays, "_compiler_options", lambda: asked.append(True) or options)
    double = arrays.jit(lambda x: 2 * x)
    assert jax.jit(double)(1.0) == 2
    assert jax.vmap(jax.jit(jax.grad(double)))(np.ones(3)).tolist() == [2, 2, 2]
    assert jax.grad(double)(1.0) == 2
    assert jax.grad(lambda x: jax.jvp(double, (x,), (x,))[1])(1.0) == 2
    assert jax.jit(lambda: double(np.ones(2)))().tolist() == [2, 2]
    assert not asked
    assert double(1.0) == 2
    assert jax.jvp(double, (1.0,), (3.0,)) == (2, 6)
    assert asked == [True]


def test_options_of_the_environment_go_before_those_of_kernels(monkeypatch):
    """The tests' own do; as users compile it, a kernel gives the same numbers as NumPy."""
    found = arrays._compiler_options.__wrapped__
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")
    assert found() == {"xla_cpu_use_fusion_emitters": False}
    monkeypatch.delenv("XLA_FLAGS")
    assert found() == {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 1}
    monkeypatch.setattr(arrays, "_compiler_options", found)
    given = np.geomspace(1, 1e-4, 50)[None], np.ones((1, 50)), np.array([90.0]), np.ones(1), np.array([0.5])
    with jax.enable_x64(True):
        kernel = arrays.jit(sources.one_source)(*map(jax.numpy.asarray, given))
    for one, other in zip(kernel, sources.one_source(*given), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_a_spectrum_is_compressed_once_and_forgotten_with_its_last_user(monkeypatch):
    import gc

    from modelcollapse.numerics.evaluation import grid

    calls = []

    def counted(self, *arguments, compress=mc.Spectrum.compress):
        calls.append(1)
        return compress(self, *arguments)

    monkeypatch.setattr(mc.Spectrum, "compress", counted)
    gc.collect()
    before = len(grid._compressed)
    spectrum = mc.Spectrum(np.arange(1.0, 5001) ** -1.1, 1.0)
    one, two = (mc.predict(mc.fit(mc.truth(spectrum).label(T, 0.1), ridge=0.1)).test_error for T in (100, 200))
    assert one > two
    assert len(calls) == 1
    del spectrum
    gc.collect()
    assert len(grid._compressed) <= before


def test_covariate_shift_is_never_compressed():
    s = np.arange(1.0, 3001) ** -1.2
    spectrum = mc.Spectrum(s, np.ones(3000))
    shift = np.where(np.arange(3000) % 2, s, 0.3 * s)  # no function of the eigenvalue: neighbours differ
    source = mc.truth(spectrum).label(500, 0.1, inputs=shift)
    prediction = mc.predict(mc.fit(source, ridge=0.01), inputs=shift).test_error
    same = mc.predict(mc.fit(mc.truth(mc.Spectrum(shift, np.ones(3000))).label(500, 0.1), ridge=0.01)).test_error
    assert prediction == pytest.approx(same, rel=1e-11)


def test_fifty_fits_on_a_grid_are_the_fits_at_its_points():
    def graph(ridge):
        rng = np.random.default_rng(0)
        models = [mc.truth(POWER_LAW)]
        for _ in range(50):
            other = models[rng.integers(len(models))]
            models.append(mc.fit(models[-1].label(90, 0.1), other.label(60, 0.2), ridge=ridge))
        return mc.predict(models[-1]).test_error

    ridges = np.geomspace(1e-6, 1, 70)
    surface = graph(ridges)
    for i in (0, 40, 69):
        assert surface[i] == pytest.approx(graph(float(ridges[i])), rel=1e-12)


def test_compiled_kernels_are_kept_only_where_they_can_be(tmp_path, monkeypatch):
    import jax

    before = jax.config.jax_compilation_cache_dir  # None, unless a test of the command line has set it
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
    assert keep_compiled_kernels(tmp_path) is None
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    occupied = tmp_path / "file"
    occupied.write_text("")
    assert keep_compiled_kernels(occupied / "kernels") is None
    assert jax.config.jax_compilation_cache_dir == before
    assert before != str(tmp_path)


def test_a_table_without_certificate_is_not_used(monkeypatch):
    """Five points per panel are too few: every point is refused and evaluated directly."""
    model = mc.fit(mc.truth(POWER_LAW).label(SAMPLES, 0.1), ridge=RIDGES)
    direct = directly(monkeypatch, model).test_error
    accepted = []

    def watched(*arguments, look_up=tables.look_up):
        found = look_up(*arguments)
        accepted.append(np.asarray(found[2]))
        return found

    monkeypatch.setattr(tables, "look_up", watched)
    try:
        for order in (5, tables.ORDER):
            monkeypatch.setattr(tables, "ORDER", order)
            jax.clear_caches()
            np.testing.assert_allclose(mc.predict(model).test_error, direct, rtol=1e-12)
    finally:
        jax.clear_caches()
    few, enough = accepted
    assert not few.any()
    assert enough.all()
