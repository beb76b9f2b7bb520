"""What becomes of a law in a loop: founders, modes, missing mass, entropy, diversity, perplexity, and answers."""
