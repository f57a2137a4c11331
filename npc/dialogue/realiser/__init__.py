"""The trained dialogue model in the composed mind: other words for a reply whose facts are already chosen."""
