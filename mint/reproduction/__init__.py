"""Rebuilds the published tables from the official repository's released files, and looks further.

read       released files -> systems, every row checked
panel      the turns all systems share, as arrays
measure    metrics of one system with intervals, and its permutation null; from `sums`
compare    every pair of systems, paired, corrected for many tests
surface    repetition of wording beside repetition of tactics
experts    how well the judge agrees with the experts
published  what the paper says (published.yaml) against what is observed
results    all of these in turn
sage/      SAGE's leaderboard from its released dialogues, apart from all of the above
report/    what is written: metrics.json, tables (CSV, Markdown, LaTeX) and one HTML page
"""
