"""Errors of `rewards` and `mint`. Each also is the standard exception it refines.

To add one: subclass `MintError` and the standard exception a caller would already catch, keep it
picklable (arguments in `args`; it crosses process boundaries), and raise it with four facts: what
is wrong, the value, what is allowed, and where to change it.
"""


class MintError(Exception):
    """Root of every error a user of mint can cause or should read."""


class ConfigError(MintError, ValueError):
    """A setting, a file path or a combination of settings is not usable."""


class DataError(MintError, ValueError):
    """A data file or record is not in the documented form."""


class GraderError(MintError, RuntimeError):
    """A grader is unusable as a whole. One failed reply is a `rewards.types.Failure` instead."""
