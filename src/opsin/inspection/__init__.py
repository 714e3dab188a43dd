"""`opsin see`: a network and its images as one page that needs no network access, and as data."""
