"""What other code uses: graders, tags, ratings, rewards and evaluations as plain functions."""
