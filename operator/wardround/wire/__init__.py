"""Wire formats: what one part of Wardround writes and another reads, each as one frozen type, and how it is spelt."""
