"""Products with constant matrices as graphs of shifts and additions: shared by Verilog and HLS C++."""
