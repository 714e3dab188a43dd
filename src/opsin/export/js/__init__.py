"""The format `js`: a JavaScript module with types, for a page of one's own or for Node."""
