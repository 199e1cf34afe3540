"""The class: notebooks handed out, and checks of graded cells."""
