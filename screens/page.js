// The first-visit tour, and what this browser remembers.
