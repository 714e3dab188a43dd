"""The format `web`: one HTML file that runs a model in a browser, without a network."""
