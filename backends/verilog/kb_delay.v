`default_nettype none

// A bus, CYCLES cycles later.
module kb_delay #(
    parameter WIDTH = 1,
    parameter CYCLES = 1
) (
    input wire clk,
    input wire [WIDTH-1:0] d,
    output wire [WIDTH-1:0] q
);
    reg [WIDTH-1:0] stage [0:CYCLES-1];
    integer i;

    always @(posedge clk) begin
        stage[0] <= d;
        for (i = 1; i < CYCLES; i = i + 1) stage[i] <= stage[i-1];
    end

    assign q = stage[CYCLES-1];
endmodule
`default_nettype wire
