"""Starting training on clusters: Ray jobs, SLURM, Kubernetes."""
