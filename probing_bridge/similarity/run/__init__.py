"""From dumps on disk to tables: the plan, its tiles, and who works on them."""
