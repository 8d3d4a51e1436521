"""The run directory: its files, its manifest, its quarantine."""
