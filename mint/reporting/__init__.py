"""The page of one run; `comparison` puts several evaluations side by side."""
