"""What the studies share: their worlds, their command, their pictures."""
