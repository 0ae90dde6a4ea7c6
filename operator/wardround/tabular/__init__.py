"""Tables of patients as their schema describes them: fields, columns of text turned into values, the split."""
