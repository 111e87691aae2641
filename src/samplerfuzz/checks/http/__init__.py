"""Claims about a server: trials of a few requests each, and what their replies show."""
