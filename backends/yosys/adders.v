// Every adder and subtractor becomes one carry chain.
//
// Left alone, Yosys (alumacc) gathers sums of three or more terms into a $macc and builds it from carry-save
// adders, two LUTs a bit and a stage, with one carry chain at the end. That suits a target without fast carries.
// On FPGAs a carry chain costs one LUT a bit: on adder trees of constant multiplications this mapping takes a
// quarter fewer LUTs on ECP5 and a third fewer on iCE40, and half the time, since ABC has less to map.

(* techmap_celltype = "$add" *)
module kbuild_add (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  (* force_downto *) input [A_WIDTH-1:0] A;
  (* force_downto *) input [B_WIDTH-1:0] B;
  (* force_downto *) output [Y_WIDTH-1:0] Y;
  wire [Y_WIDTH-1:0] X, CO;
  \$alu #(.A_SIGNED(A_SIGNED), .B_SIGNED(B_SIGNED), .A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH))
    _TECHMAP_REPLACE_ (.A(A), .B(B), .BI(1'b0), .CI(1'b0), .X(X), .Y(Y), .CO(CO));
endmodule

(* techmap_celltype = "$sub" *)
module kbuild_sub (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  (* force_downto *) input [A_WIDTH-1:0] A;
  (* force_downto *) input [B_WIDTH-1:0] B;
  (* force_downto *) output [Y_WIDTH-1:0] Y;
  wire [Y_WIDTH-1:0] X, CO;
  \$alu #(.A_SIGNED(A_SIGNED), .B_SIGNED(B_SIGNED), .A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH))
    _TECHMAP_REPLACE_ (.A(A), .B(B), .BI(1'b1), .CI(1'b1), .X(X), .Y(Y), .CO(CO));
endmodule
