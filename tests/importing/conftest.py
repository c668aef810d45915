from footage import film, importer, studio

__all__ = ["film", "importer", "studio"]
