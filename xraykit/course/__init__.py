"""The class: notebooks run, checked and handed out."""
