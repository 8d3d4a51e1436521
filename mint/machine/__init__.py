"""What this machine has: cores, memory, disk, GPUs, packages, Ray. Nothing heavy is imported."""
