"""The kit that every page is made of.

page     the skeleton: head, header, navigation, footer; style.css is its one style sheet
explorer the table of all replies, with its script explorer.js
html     sections, tables, lists; `replies` marks sentences by tactic
svg      elements, scales and axes of charts; `marks` has markers and legends
lines, bars, scatter, rows, grids, histograms    the charts
texts    titles and explanations that lie in YAML files beside the code which shows them
"""
