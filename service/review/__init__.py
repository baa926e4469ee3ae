"""From the view to the reviewer's page, and from the reviewer's decision to its topic."""
