"""From the topics of cases and decisions to a view of the review queue that can be searched."""
