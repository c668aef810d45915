"""How fast an export is, beside the dissertation's."""
