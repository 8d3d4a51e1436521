"""Grade lines of a pipe or a file: what `mint.tag` and `mint.judge` share."""
