"""Files in, files out: NIfTI volumes, pictures and arrays in .npz files; read lazily, written whole or not at all."""
