"""People to talk with in the free-running protocol: scripted from banks, or played by an LLM."""
