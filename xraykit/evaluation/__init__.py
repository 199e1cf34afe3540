"""What a network learned, in figures that can be trusted."""
