"""Pages over the store for people: `policy-agent audit web`."""
