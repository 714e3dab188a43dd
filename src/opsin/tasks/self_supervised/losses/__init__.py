"""What is learned without labels, one file per idea."""
