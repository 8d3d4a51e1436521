"""MINT: multi-turn inter-tactic novelty training for empathic dialogue (arXiv 2604.11742).

For other code: `from mint import load_graders, tag, judge, Seeker, evaluate` (docs/python.md). They
are loaded when first asked for, so that `import mint` stays fast.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mint.dialogue.protocol import Seeker as Seeker
    from mint.library.evaluating import evaluate as evaluate
    from mint.library.grading import judge as judge
    from mint.library.grading import load_graders as load_graders
    from mint.library.grading import tag as tag

__version__ = "0.1.0"
__all__ = ["Seeker", "__version__", "evaluate", "judge", "load_graders", "tag"]

_PUBLIC = {
    "Seeker": "mint.dialogue.protocol",
    "evaluate": "mint.library.evaluating",
    "judge": "mint.library.grading",
    "load_graders": "mint.library.grading",
    "tag": "mint.library.grading",
}
"""Public name -> the module that has it."""


class _Package(ModuleType):
    """Keeps the public functions where commands of the same name (`python -m mint.tag`) lie: the
    import of such a module would put the module in the function's place."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _PUBLIC and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
