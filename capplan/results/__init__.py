"""What commands hand each other: frozen, versioned results in JSON."""
