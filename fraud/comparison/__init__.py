"""The rows of both engines, laid side by side."""
