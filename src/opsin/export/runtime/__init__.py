"""What runs a model in browsers and Node: a module, weights, a description, and a script without dependencies."""
