"""What a policy did at work: a row a request, in Parquet segments that are read while they grow."""
