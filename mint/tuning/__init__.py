"""What supervised fine-tuning and preference training share: loop, checkpoints, run directory."""
