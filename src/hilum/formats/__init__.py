"""Files in, files out: volumes, series of slices, pictures and arrays; read lazily, written whole or not at all."""
