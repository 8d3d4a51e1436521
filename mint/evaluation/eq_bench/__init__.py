"""EQ-Bench v2: questions, answers and their score, as published.

questions  the question file
scoring    answer -> scores of the first pass and the revision -> score of a run
released   published result files, their raw answers parsed and scored anew
files      eq_bench.json
"""
