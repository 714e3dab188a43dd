"""What people start: the command line, the scikit-learn estimator, the benchmark."""
