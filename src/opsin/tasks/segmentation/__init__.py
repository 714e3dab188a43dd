"""Semantic segmentation: which class does each pixel of an image belong to?"""
