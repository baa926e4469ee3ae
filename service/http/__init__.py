"""HTTP as every address has it: bodies, problems, headers, connections, pages, the API's documents."""
