"""What is written about the results: one HTML page, tables in three formats, metrics.json."""
