"""Starts the graders' vLLM servers and keeps them running; see `python -m mint.serve`."""
