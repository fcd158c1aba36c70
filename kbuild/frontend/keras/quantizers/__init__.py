"""The quantizers of quantized models: what each library computes, as exact operations and exact constants."""
