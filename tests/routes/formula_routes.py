"""One independent route per record of the catalogue: name -> Route.

A route computes the number in another way (tests/routes/formula_references.py) at points drawn from the record's
domain, or at stated points; `tolerance` is the relative accuracy of the route itself: 1e-10 unless the route is a sum
in place of an integral, a slope or a simulation. For an equation the route solves for `unknown` and the residual must
vanish.
"""

import formula_routes_class_scaling  # noqa: F401
import formula_routes_classes  # noqa: F401
import formula_routes_fits  # noqa: F401
import formula_routes_lost  # noqa: F401
import formula_routes_rare  # noqa: F401
import formula_routes_scaling
import formula_routes_shared  # noqa: F401
import formula_routes_sources  # noqa: F401
import formula_routes_toys  # noqa: F401
import formula_routes_votes  # noqa: F401
from formula_route import ROUTES, Route, solved

optimum = formula_routes_scaling.optimum

__all__ = ["ROUTES", "Route", "optimum", "solved"]
