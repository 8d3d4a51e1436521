"""What grades on servers: taggers and judges on chat models, reward models."""
