"""The report as a table: on the terminal, in Markdown, in LaTeX, as CSV."""
