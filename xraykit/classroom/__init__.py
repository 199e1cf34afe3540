"""The class: student versions of notebooks, and checks of graded cells."""
