"""The report of a model: typed objects become a document, and the document becomes one HTML file. Pure."""
