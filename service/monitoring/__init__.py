"""The service's health, status and metrics, for those who operate it."""
