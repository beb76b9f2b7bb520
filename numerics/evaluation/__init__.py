"""From a pipeline to numbers: the walk over its steps, lanes of a grid, shared routes, the error to differentiate."""
