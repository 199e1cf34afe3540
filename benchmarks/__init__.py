"""How fast the kit is beside the handout of 2020, measured side by side: `make bench`."""
