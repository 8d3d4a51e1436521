"""One training run on this machine: checks, stages, supervision."""
