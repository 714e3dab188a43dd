"""From a dataset and this machine to a training plan."""
