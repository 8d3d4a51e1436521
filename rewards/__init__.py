"""The MINT reward and its graders; knows nothing of trainers, configuration files or `mint`."""
