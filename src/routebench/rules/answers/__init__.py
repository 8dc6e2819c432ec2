"""What is read of an answer before it is accepted."""
