"""Attribution: which places of an image speak for an answer, by several methods, one per file."""
