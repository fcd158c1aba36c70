"""From recipe to results: the stages, the cache of what they made, and who runs them (doit, the command, the API)."""
