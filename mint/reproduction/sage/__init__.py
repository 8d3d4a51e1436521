"""SAGE's published leaderboard rebuilt from released dialogues, with what it leaves out.

read         *_result.jsonl files -> dialogues; every unusable line named
measure      one file: score, success, failure, curves, turns to success, by intention and type
compare      every pair of models on common profiles; agreement between simulators
published    the published leaderboard (leaderboard.yaml)
page, files  report.html, sage.json
"""
