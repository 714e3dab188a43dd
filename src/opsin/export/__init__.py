"""Exports: a model as files that are used without Opsin, one folder per format."""
