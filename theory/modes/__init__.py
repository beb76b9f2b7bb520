"""Rare events, modes and text: the laws that are drawn from, and the loops in which samples are drawn from samples.

`modelcollapse.modes` is the public path. The descriptions stand here as plain data; `modelcollapse.numerics.modes`
computes what becomes of them, `modelcollapse.validation.modes` draws the samples.
"""
