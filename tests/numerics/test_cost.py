"""What predictions cost: compilations and memory, counted and not timed."""

import os
import subprocess
import sys
import textwrap

import modelcollapse as mc

POWER_LAW = mc.power_law(1.5, 0.5, dim=60)

COUNT_COMPILATIONS = """
    import time, jax, numpy as np, modelcollapse as mc
    compilations = [0]
    def count(name, seconds, **_):
        compilations[0] += name == "/jax/core/compile/backend_compile_duration"
    jax.monitoring.register_event_duration_secs_listener(count)
    rng = np.random.default_rng(7)
    spectra = [mc.isotropic(100), mc.power_law(1.5, 0.5, dim=100), mc.power_law(1.2, 0.3, dim=10**6)]

    def rows():
        return int(np.exp(rng.uniform(np.log(20), np.log(400))))

    def ridge():
        return 0.0 if rng.random() < 0.3 else 10 ** rng.uniform(-6, 0)

    def pipeline(spectra=spectra):
        models = [mc.truth(spectra[rng.integers(len(spectra))])]
        def pick():
            return models[rng.integers(len(models))]
        for _ in range(rng.integers(1, 5)):
            kind = rng.integers(4)
            if kind == 0:
                models.append(mc.chain(pick(), int(rng.integers(0, 9)), rows(), 0.1, ridge()))
            if kind == 1:
                models.append(mc.accumulate(pick(), int(rng.integers(0, 5)), rows(), 0.1, ridge()))
            if kind == 2:
                models.append(rng.random() * pick() + rng.random() * pick())
            sources = [pick().label(rows(), rng.random(), weight=1 + rng.random()) for _ in range(rng.integers(1, 4))]
            models.append(mc.fit(*sources, ridge=ridge()))
        return models[-1]

    for _ in range(40):
        mc.predict(pipeline())
    points = compilations[0]
    for _ in range(6):
        mc.predict(pipeline(spectra[:2]) * np.linspace(0.5, 1.0, 1000))
    first = compilations[0]
    for _ in range(5):
        model = pipeline(spectra[:2])
        errors = mc.predict(model * np.linspace(0.1, 1.0, 800)).test_error
        np.testing.assert_allclose(errors[0], mc.predict(model * 0.1).test_error, rtol=1e-10)
    again = compilations[0] - first
    print(points, first, again)
"""


def test_no_compilation_per_pipeline():
    """Single points compile nothing; on large grids five random pipelines, after six others, next to nothing.

    Kernels compile by the package's own options here, as users have them, and say what NumPy says.
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(COUNT_COMPILATIONS)],
        env={**os.environ, "XLA_FLAGS": "--xla_cpu_parallel_codegen_split_count=1"},
        capture_output=True,
        text=True,
        check=True,
    )
    points, first, again = map(int, out.stdout.split())
    assert points == 0
    assert 1 <= first <= 16  # with the two, of no size, by which `arrays.jit` asks where it is and what XLA knows
    assert again <= 3
