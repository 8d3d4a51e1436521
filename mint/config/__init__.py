"""Everything a Hydra key can name: the settings, the recipes, their composition and their page."""
