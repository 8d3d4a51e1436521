"""Texts of the pages that lie in YAML files beside the code which shows them."""

from __future__ import annotations

from importlib import resources
from typing import Any

import yaml


def read(package: str, name: str) -> Any:
    """Content of a YAML file that ships with a package."""
    return yaml.safe_load((resources.files(package) / name).read_text(encoding="utf-8"))
