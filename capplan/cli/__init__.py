"""The command line: one thin file per command, none of which loads anything heavy."""
