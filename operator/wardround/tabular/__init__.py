"""Patients' rows by their schema: fields, columns of text turned into values, and the split. No I/O."""
