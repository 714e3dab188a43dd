"""Attribution: which parts of an image support an answer, by several methods, one per file."""
