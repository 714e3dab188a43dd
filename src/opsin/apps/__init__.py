"""The applications: the command line, the scikit-learn estimator, the benchmark."""
