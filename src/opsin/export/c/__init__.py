"""The format `c`: a folder with a model in C99, ready projects, and a certificate of what it needs."""
