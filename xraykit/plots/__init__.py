"""Every figure: colours that all can tell apart, and shapes that survive black-and-white print."""
