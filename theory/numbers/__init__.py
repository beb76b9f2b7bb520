"""The numbers of spectra and pipelines: their domains, and the three forms that they come in."""
