"""The pictures of `modelcollapse.plot`, one kind per file."""
