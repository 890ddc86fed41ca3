"""What a run costs, how far it is, and which code made it."""
