r"""Ridge fits on random features, on rows that were drawn.

$$ \hat w = F^\top \hat v, \qquad \hat v = \arg\min_v \sum_i \| y_i - R_i F^\top v \|^2 + \Lambda \|v\|^2, \qquad
   F \in \mathbb{R}^{m \times d}, \; F_{kj} \sim N(0, 1/m), $$

over blocks of rows as in `ridge_solutions`; Λ = 0 is the solution of least norm in v. F → OF with O orthogonal turns
v and leaves ŵ as it is, so the Bartlett factor of m Gaussian rows, with min(m, d) rows, stands for √m F. For the same
reason, now with R → OR, the blocks may hold Bartlett factors of Gaussian inputs. Both keep the law of ŵ exactly.
"""

import math

import numpy as np

from modelcollapse.validation.designs import trapezoid
from modelcollapse.validation.ridge_solutions import Block, ridge_solution

__all__ = ["feature_solution"]


def feature_solution(generator, blocks, penalty, features):
    """ŵ (d,) or (d, k) of a fit on random features that are drawn here.

    generator : numpy Generator; one m × d Gaussian matrix is drawn, after whatever drew the blocks
    blocks : sequence of Block, rows (r, d) times the square root of their weight, labels (r,) or (r, k)
    penalty : Λ = λT ≥ 0, finite
    features : m ≥ 1, whole; ∞ is `ridge_solution` and draws nothing

    >>> generator = np.random.default_rng(0)
    >>> truth = generator.standard_normal(5)
    >>> rows = generator.standard_normal((8, 5))
    >>> fitted = feature_solution(generator, [Block(rows, rows @ truth)], 0.0, 7)  # m ≥ d: F has full rank
    >>> bool(np.allclose(fitted, truth))
    True
    """
    if math.isinf(features):
        return ridge_solution(blocks, penalty)
    mixing = trapezoid(generator, int(features), blocks[0].rows.shape[1]) / np.sqrt(features)
    seen = [Block(block.rows @ mixing.T, block.labels) for block in blocks]
    return mixing.T @ ridge_solution(seen, penalty)
