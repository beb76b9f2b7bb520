"""Strict tests: warnings are errors (pyproject), pictures need no screen, Hypothesis draws the same examples again."""

import contextlib
import ctypes
import gc
import importlib
import linecache
import os
import pickle
import sys
import tempfile
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
for library in ("OMP", "OPENBLAS", "MKL"):  # pytest-xdist runs a worker per core: threads of theirs would only spin
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
os.environ.setdefault(  # kernels of tests run once or twice: their time is the compiler's
    "XLA_FLAGS",
    "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1",
)  # instead of the package's own options, by which `numerics/test_cost.py` compiles
sys.dont_write_bytecode = False  # a module is compiled once for all processes of the tests, not again in each
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="modelcollapse-tests-")  # where the command line keeps kernels
os.environ.setdefault("MPLCONFIGDIR", os.environ["XDG_CACHE_HOME"])  # one for all processes: the list of fonts is long

HALVES = (  # of what takes long to import
    ("sympy", "matplotlib.figure", "pandas", "distributed", "polars"),
    ("scipy.stats", "jax", "sklearn.calibration", "sklearn.utils.estimator_checks"),
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session):
    """Of two workers, each begins at a half of the modules: on a new installation the first to come compiles them.

    They would collect in step, and both compile all. What cannot be imported is reported when it is collected.
    """
    worker, wanted = os.environ.get("PYTEST_XDIST_WORKER"), session.config.getini("testpaths")
    if worker is None or {Path(name).name for name in session.config.args} != {Path(name).name for name in wanted}:
        return  # one process, or a part of the tests
    second = int(worker.removeprefix("gw")) % 2
    files = sorted(Path(__file__).parent.glob("*/test_*.py"))
    sys.path[:0] = dict.fromkeys(str(file.parent) for file in files)
    gc.disable()
    for name in (*HALVES[second], *HALVES[1 - second], *(file.stem for file in files[len(files) // 2 * second :])):
        with contextlib.suppress(Exception, pytest.skip.Exception):
            importlib.import_module(name)


def pytest_collectstart():
    """Modules and cases stay: looking for garbage among them took a third of the collection's time."""
    gc.disable()


def pytest_collection_finish():
    """What is there now stays to the end, and garbage is looked for among what tests make."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)  # tracing makes many objects and little garbage
    gc.enable()


def _check_lines(filename=None, check=linecache.checkcache):
    """The lines of a function that SymPy made leave the cache when it is collected: not while the cache is walked."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        check(filename)
    finally:
        if enabled:
            gc.enable()


linecache.checkcache = _check_lines  # which doctest calls before every example

hypothesis.settings.register_profile("fixed", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("random", deadline=None)  # pytest --hypothesis-profile=random
hypothesis.settings.load_profile("fixed")


@pytest.fixture(autouse=True)
def _unchanged_precision():
    """No test may leave JAX in another precision than it found."""
    yield
    if "jax" in sys.modules:
        assert not sys.modules["jax"].config.jax_enable_x64, "JAX was switched to double precision for good"


@pytest.fixture
def double_precision():
    """JAX computes in double precision, for a whole test."""
    import jax

    with jax.enable_x64(True):
        yield


@pytest.fixture(autouse=True, scope="module")
def _bounded_memory():
    """Compiled kernels and free pages go back after a file of tests where a worker has grown beyond a gigabyte."""
    yield
    if "jax" in sys.modules and _resident() > 1e9:
        sys.modules["jax"].clear_caches()
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def _resident():
    """Bytes of this process in memory; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def fitted_once(monkeypatch):
    """Simulated fits that pipelines share are made once: one step at one place, on the same labels, in the same trials,
    draws the same numbers (`modelcollapse.validation.streams`). The fixture holds those that were made."""
    from modelcollapse.validation import trials

    fit, found = trials.fit_step, {}

    def once(problem, step, labels, place, sampler, others=()):
        models = [*labels, *(model for voters in others for model in voters)]
        arrays = tuple(array.tobytes() for array in (problem.truth, *models))
        key = (place.key, place.step, place.trials, pickle.dumps((problem.distribution, step, sampler)), arrays)
        if key not in found:
            found[key] = fit(problem, step, labels, place, sampler, others)
        return found[key]

    monkeypatch.setattr(trials, "fit_step", once)
    return found


@pytest.fixture
def few_shapes(monkeypatch):
    """Four of twenty shapes that a truth may have, for tests that do not ask how good the choice of weights is."""
    shapes = [(0.0, 0.0, ""), (0.5, -1.0, ""), (-1.0, -1.0, ""), (0.5, -1.0, "fine")]
    monkeypatch.setattr("modelcollapse.numerics.mixes.evidence.SHAPES", shapes)


@pytest.fixture
def run(capsys):
    """Run a command of the command line: exit status, what it printed, what it complained about."""
    from modelcollapse import cli

    def run(*argv):
        try:
            status = cli.main([*map(str, argv)])
        except SystemExit as stop:
            status = stop.code
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run
