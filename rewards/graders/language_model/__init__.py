"""A judge that asks a language model how likely a reply is, in its conversation and without."""
