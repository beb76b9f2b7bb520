"""The rows of a data set as the population: fits are on random subsets of them, errors are measured on the others.

Nothing is assumed about the law of the inputs. A kernel matrix K (M, M) holds all that a kernel ridge fit sees of
them, targets are known on all rows, and *pools* divide the rows: real inputs, inputs that a generator wrote, rows that
only test. A fit takes T of the rows of a pool at random, without replacement.
"""

import functools
import warnings
from typing import Any, ClassVar

import numpy as np

from modelcollapse.theory.numbers.domains import REAL
from modelcollapse.theory.numbers.leaves import leaf
from modelcollapse.theory.populations.data import square_matrix, vector
from modelcollapse.theory.populations.factors import factor_of
from modelcollapse.theory.populations.kernels import kernel_matrix
from modelcollapse.theory.populations.population import DensePopulation
from modelcollapse.theory.populations.resolved_directions import distinct_rows, gram_noise, precision
from modelcollapse.theory.populations.threads import pinned

__all__ = ["MOST_ROWS", "DataRows", "rows"]

MOST_ROWS = 6000  # of method "rows": 2000 were measured to take 5 s of two cores and 0.85 GB, cubic and quadratic in M
METHODS = ("rows", "spectrum")


class DataRows(DensePopulation):
    """What `rows` returns.

    Attributes
    ----------
    kernel_matrix : (M, M), symmetric; targets : (M,)
    pools : dict name -> sorted row numbers
    kernel : name or function; method : "rows" or "spectrum"
    factor : (M, rank) with kernel_matrix = factor @ factor.T, for method "rows"
    """

    kernel_matrix: np.ndarray
    targets: np.ndarray
    pools: dict
    kernel: Any
    method: str
    factor: np.ndarray | None
    noun: ClassVar = "rows"

    def __init__(self, kernel_matrix, targets, pools, kernel, method, factor):
        content = {"kernel_matrix": kernel_matrix, "targets": targets, "method": method, "pools": pools}
        self._fill(content, kernel=kernel, factor=factor)

    @property
    def default_pool(self):
        """The pool "all", or the only one; None if there are several."""
        return "all" if "all" in self.pools else next(iter(self.pools)) if len(self.pools) == 1 else None

    @property
    def label_variance(self):
        """The mean square of the targets."""
        return float(np.mean(self.targets**2))

    def checked_inputs(self, name, inputs):
        """The name of a pool; the default one for None."""
        known = ", ".join(map(repr, self.pools))
        if inputs is None:
            if self.default_pool is None:
                raise ValueError(f"{name} is missing and there are several pools; give the name of one: {known}")
            return self.default_pool
        if not isinstance(inputs, str):
            raise TypeError(f"{name} is a {type(inputs).__name__}; on rows give the name of a pool: {known}")
        if inputs not in self.pools:
            raise ValueError(f"{name} = {inputs!r} is no pool; the pools are {known}")
        return inputs

    def require_drawable(self, pool, counts):
        """ValueError for more rows of a pool than it has."""
        size, most = len(self.pools[pool]), float(np.max(counts))
        if most > size:
            raise ValueError(
                f"samples = {most:g} of pool {pool!r}, which has {size} rows; give {size} at most (they are drawn "
                "without replacement)"
            )

    def require_one_weight(self, pool, lowest, highest):
        """ValueError for sources of one pool whose weights, from lowest to highest, differ."""
        differ = np.asarray(highest) > np.asarray(lowest)
        if np.any(differ):
            low, high = (np.ravel(np.broadcast_to(x, np.shape(differ))[differ])[0] for x in (lowest, highest))
            raise ValueError(
                f"weight = {low:g} and weight = {high:g} on rows of one pool, {pool!r}; give equal weights, or each "
                "source a pool of its own"
            )

    def refuse_mixture(self, pool):
        """The error of a mixture on rows of which its parts have seen some, each others, has no formula."""
        raise ValueError(
            f"inputs = {pool!r} is a pool that parts of the mixture were fitted on, each on other rows; give a pool "
            "that none of them draws from, or predict and simulate the parts"
        )

    @functools.cached_property
    def directions(self):
        """Eigenvalues of the pool's kernel matrix (zero below rounding), squared coordinates of targets, the rank."""
        (rows,) = self.pools.values()
        gram = self.kernel_matrix[np.ix_(rows, rows)]
        with pinned(len(gram)):
            values, vectors = np.linalg.eigh(gram)
        values = np.where(values > gram_noise(gram), values, 0.0)
        return values, (vectors.T @ self.targets[rows]) ** 2, int(np.count_nonzero(values))

    def __repr__(self):
        kernel = self.kernel if isinstance(self.kernel, str) else getattr(self.kernel, "__name__", "a function")
        pools = ", ".join(f"{name}: {len(rows)}" for name, rows in self.pools.items())
        method = "" if self.method == "rows" else f", method={self.method}"
        return f"rows({len(self.targets)} rows, kernel={kernel}, pools {pools}{method})"


def rows(inputs, targets, kernel: Any = "rbf", *, pools=None, method="rows", **kernel_options) -> DataRows:
    """The rows of a data set as the population of a pipeline.

    Parameters
    ----------
    inputs : array (M, features), or the kernel matrix (M, M) with kernel="precomputed"
    targets : array (M,)
        The truth on every row, its noise included: errors are measured against them.
    kernel : name that scikit-learn knows, "precomputed", or a function of two rows
        `kernel_options` go to it (gamma, degree, …).
    pools : dict name -> row numbers or boolean mask (M,), optional
        May not overlap; rows in no pool are never drawn. Default: one pool "all".
    method : "rows" or "spectrum"
        "rows" follows every row with its own leverage, at the cost of a few inverses of K for every point. "spectrum"
        takes all rows for alike: a few times less accurate, thousands of times cheaper, one pool only.

    Warns of rows that repeat others, whose error is predicted too low. Raises ValueError for shapes that do not fit,
    numbers that are not finite, a kernel matrix that is not positive semidefinite, pools that overlap or are empty, and
    more than 6000 rows with method "rows".

    The error of leave-one-out cross-validation is the error of a fit on all rows:

    >>> import modelcollapse as mc
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((40, 3)); y = np.sin(X[:, 0])
    >>> data = mc.rows(X, y, "rbf", gamma=0.3)
    >>> data
    rows(40 rows, kernel=rbf, pools all: 40)
    >>> found = mc.predict(mc.fit(mc.truth(data).label(40), ridge=0.01)).test_error
    >>> inverse = np.linalg.inv(data.kernel_matrix + 40 * 0.01 * np.eye(40))
    >>> bool(np.isclose(found, np.mean((inverse @ y / np.diag(inverse)) ** 2)))
    True
    """
    targets = vector("targets", targets)
    count = len(targets)
    if method not in METHODS:
        raise ValueError(f'method = {method!r} is unknown; give "rows" or "spectrum"')
    if method == "rows" and count > MOST_ROWS:
        raise ValueError(
            f'inputs has {count} rows, more than the {MOST_ROWS} of method="rows"; give a random subsample, or '
            'method="spectrum"'
        )
    inputs = leaf("inputs", inputs.toarray() if hasattr(inputs, "toarray") else inputs, REAL)
    if np.ndim(inputs) != 2 or len(inputs) != count:
        raise ValueError(f"inputs has shape {np.shape(inputs)} and targets {count} entries; give one row for each")
    if isinstance(kernel, str) and kernel == "precomputed":
        gram = square_matrix("inputs", inputs)
    else:
        gram = square_matrix("kernel", np.asarray(kernel_matrix(inputs, kernel, kernel_options), float))
    if not gram.any():
        raise ValueError("the kernel matrix is zero everywhere; give inputs that are not all zero")
    factor = factor_of("the kernel matrix", gram, precision(inputs)) if method == "rows" else None
    if method == "rows":
        _warn_of_copies(gram, precision(inputs))
    found = {"all": np.arange(count)} if pools is None else _pools(pools, count)
    if method == "spectrum" and len(found) > 1:
        raise ValueError(f'pools has {len(found)} pools; method="spectrum" takes one, use method="rows"')
    return DataRows(gram, targets, found, kernel, method, factor)


def _warn_of_copies(gram, eps):
    """A row whose twin was seen is known to a fit; the equivalent takes every row for a site of its own."""
    copies = len(gram) - len(distinct_rows(gram, 4 * gram_noise(gram, eps) / np.sqrt(len(gram))))
    if copies:
        warnings.warn(
            f"{copies} of the {len(gram)} rows repeat others; a fit that has seen a row's twin knows it, which a "
            "prediction row by row leaves out: next to no ridge it is too low, by half or more where every row comes "
            "twice; give every row once, with the mean of its targets",
            stacklevel=3,
        )


def _pools(pools, count):
    if not isinstance(pools, dict) or not pools:
        raise TypeError(f"pools is a {type(pools).__name__}; give a dict of at least one name -> row numbers or mask")
    found, taken = {}, np.zeros(count, bool)
    for name, given in pools.items():
        if not isinstance(name, str):
            raise TypeError(f"the pool {name!r} is named by a {type(name).__name__}; give names as str")
        given = np.asarray(given)
        if given.dtype == bool and given.shape == (count,):
            given = np.flatnonzero(given)
        if given.ndim != 1 or not np.issubdtype(given.dtype, np.integer) or not given.size:
            raise ValueError(
                f"pools[{name!r}] is no list of row numbers and no mask of {count} rows; give either, not empty"
            )
        if given.min() < 0 or given.max() >= count:
            raise ValueError(f"pools[{name!r}] has row {given.max()}; rows are numbered 0 to {count - 1}")
        if len(np.unique(given)) < len(given) or taken[given].any():
            raise ValueError(f"pools[{name!r}] repeats rows, its own or another pool's; a row is in one pool at most")
        taken[given] = True
        found[name] = np.sort(given)
    return found
