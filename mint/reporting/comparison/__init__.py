"""One page that puts several evaluations side by side."""
