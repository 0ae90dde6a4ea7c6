"""Wire formats between parts of Wardround, each as one frozen type, and their one spelling. No I/O."""
