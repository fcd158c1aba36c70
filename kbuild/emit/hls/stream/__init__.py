"""`io_stream`: every layer is a process, values go from one to the next packet by packet through FIFOs."""
