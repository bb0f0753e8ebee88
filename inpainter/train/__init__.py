"""Training: photos and their neighbors, recipes, tasks, and runs put together."""
