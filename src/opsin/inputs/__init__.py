"""The kinds of input besides images: one folder for each, with its files, its preparation and its augmentation."""
