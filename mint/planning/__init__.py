"""What a run will need and take, from its configuration alone: a file for each group of formulas.

Everything here is arithmetic: nothing is started, and no device is asked.
"""
