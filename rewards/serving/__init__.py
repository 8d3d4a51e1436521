"""One HTTP client for all served graders: retries, cache, record and replay, typed failures."""
