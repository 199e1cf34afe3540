"""Speed of the kit compared with the handout of 2020: `make bench`."""
