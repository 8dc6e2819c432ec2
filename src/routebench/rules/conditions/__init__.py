"""What must be true of a request: built once, asked for every request, and compared with each other."""
