"""Files: how they are opened (backends), what is read (recordings) and what is written (results)."""
