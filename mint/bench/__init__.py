"""Measurements of mint and of TRL on the same work: `python -m mint.bench`."""
