"""Every figure: color-blind-safe colors, and shapes that survive black-and-white print."""
