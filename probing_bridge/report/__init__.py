"""One self-contained page of all figures, tables and claims."""
