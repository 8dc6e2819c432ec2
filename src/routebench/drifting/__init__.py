"""What production did, beside the evidence that the rules were chosen by."""
