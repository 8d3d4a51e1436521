"""The small policies that a laptop trains, and what a model folder says of itself."""
