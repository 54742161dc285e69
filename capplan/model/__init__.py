"""The maths: one idea per file, pure, knows no plan."""
