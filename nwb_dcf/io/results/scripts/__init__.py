"""Scripts for clean processes that write and verify a copy; only `append` imports the extension."""
