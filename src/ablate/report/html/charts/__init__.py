"""Interactive pictures of the page, as Vega-Lite specifications made by Altair."""
