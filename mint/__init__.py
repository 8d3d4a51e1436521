"""MINT: multi-turn inter-tactic novelty training for empathic dialogue (arXiv 2604.11742)."""

__version__ = "0.1.0"
