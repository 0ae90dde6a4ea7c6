"""A hospital's own report: its typed objects become a document. cli/report turns the document into a page. Pure."""
