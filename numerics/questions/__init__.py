"""What a user asks: the error of a pipeline, its derivatives, the best ridge, time or values, and how many rows."""
