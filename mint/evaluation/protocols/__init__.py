"""What a model is asked, protocol by protocol; all return a `mint.evaluation.results.Outcome`."""
