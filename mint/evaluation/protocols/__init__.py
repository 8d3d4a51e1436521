"""What a model is asked, protocol by protocol."""
