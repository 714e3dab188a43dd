"""A folder of images without labels: similar images, groups, near-duplicates and outliers, by features of a network."""
