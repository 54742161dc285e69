"""What the user wrote: the typed plan, read from YAML with line numbers."""
