"""What runs leave behind: folders, tables and what a person reads."""
