"""What every command shares: the command line, the console, files, paths, processes."""
