"""Ways to run everything: with Docker (`docker-compose.yml`), and without it (`python -m compose`)."""
